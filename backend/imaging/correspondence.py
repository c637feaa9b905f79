# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense correspondence of a photo with the template, by the body that is fitted to the photo.

correspondence = Estimator().estimate(photo.rgb)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..body.skeleton import INDEX
from ..body.template import load_template
from ..raster.mesh_faces import rasterize_mesh
from .crops import Box, crop, nearest_cells
from .fit.face_warp import face_warp
from .fit.model import BodyFit, fit_model
from .fit.photo_pose import PhotoPose
from .fit.solve import fit_bodies, fit_pose
from .matting import without_background_in_hair, without_gaps
from .sighting import NoPersonError, Sighting, see

__all__ = ["Correspondence", "Estimator", "NoPersonError"]

ON_BODY, BESIDE = 0.008, 0.5  # metres of expected error on the body, and of each metre beside it
FARTHEST = 0.15  # metres beside the body that a pixel may be and still belong to the person
ERROR_SCALE = 0.05  # metres of expected error at which confidence is one half
TORN = 0.01  # metres between neighbouring points beyond which none is interpolated
HEAD_MARGIN, HEAD_ASPECT, LEAST_HEAD = 0.22, 0.75, 8  # of the head's box; pixels
HAIR_REACH = 0.15  # metres from the head
HEAD_JOINTS = ("head", "neck2", "jaw", "eye.L", "eye.R")


@dataclass(frozen=True)
class Correspondence:
    """The result for one photo of H x W pixels; arrays match `Sighting.rgb`, in which the person is upright.

    `matte` [H,W] in 0..1, the person's coverage; `points` [H,W,3] metres in the mean template's canonical
    space, 0 where the matte is 0: of pixels beside the fitted body (hair, skirts, hats) the nearest place;
    `distance` [H,W] metres that a pixel lies beside the body's outline; `confidence` [H,W] in 0..1, 0 outside
    the person, one half where 5 cm of error are expected; `box` the person's; `head` the head's crop or None
    where none is in the photo; `fit`: the body fitted to the photo; `seen`: what it was fitted to, with the
    landmarks that the fit used.
    """

    matte: np.ndarray
    points: np.ndarray
    distance: np.ndarray
    confidence: np.ndarray
    box: Box
    head: Box | None
    fit: BodyFit
    seen: Sighting

    @property
    def error(self) -> np.ndarray:
        """[H,W] metres by which the points are expected to be off."""
        return ON_BODY + BESIDE * self.distance


@dataclass(frozen=True)
class Estimator:
    """Reads photos on a torch device."""

    device: str = "cpu"

    def estimate(
        self, rgb: np.ndarray, alpha: np.ndarray | None = None, name: str = "The photo"
    ) -> Correspondence:
        """One photo, as `see` takes it. Raises `NoPersonError`."""
        return self.explain([self.see(rgb, alpha, name)])[0]

    def see(
        self,
        rgb: np.ndarray,
        alpha: np.ndarray | None = None,
        name: str = "The photo",
        person: int | tuple[float, float] | None = None,
    ) -> Sighting:
        """rgb float32 [H,W,3] sRGB in 0..1, alpha [H,W] or None; `sighting.see`. Raises `NoPersonError`."""
        return see(rgb, alpha, name, person, self.device)

    def explain(
        self, sightings: list[Sighting], poses: Sequence[PhotoPose | None] | None = None
    ) -> list[Correspondence]:
        """Fits one body shape to all photos of a person; poses: as `fit_bodies` takes them."""
        return [_explained(seen, fit) for seen, fit in fit_bodies(sightings, poses)]

    def explain_further(self, sighting: Sighting, betas: np.ndarray) -> Correspondence:
        """Fits the pose of a person whose shape, betas [S], other photos decided (`BodyFit`)."""
        return _explained(*fit_pose(sighting, betas))


def _explained(seen: Sighting, fit: BodyFit) -> Correspondence:
    points, distance, hair = _template_points(seen, fit)
    if not seen.cut_out:
        matte = without_gaps(seen.rgb, seen.matte, distance == 0)
        seen = replace(seen, matte=without_background_in_hair(seen.rgb, matte, hair))
    matte = np.where(distance < FARTHEST, seen.matte, 0).astype(np.float32)
    points[matte == 0] = 0
    confidence = matte / (1 + ((ON_BODY + BESIDE * distance) / ERROR_SCALE) ** 2)
    solid = matte > 0.5
    box = Box.of_mask(solid) if solid.any() else Box(0, 0, *matte.shape[::-1])
    return Correspondence(matte, points, distance, confidence, box, _head_box(fit, matte.shape), fit, seen)


def _template_points(seen: Sighting, fit: BodyFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """points float32 [H,W,3] and distance [H,W] of every pixel, those of the face by the landmarks' warp; and
    bool [H,W] where hair may be: on the head but for the face, and beside it.
    """
    model, (height, width) = fit_model(), seen.size
    drawn = rasterize_mesh(fit.vertices(), model.faces, np.eye(4), fit.K, width, height)
    points, body = drawn.interpolate(model.skin.places, model.faces), drawn.face >= 0
    hair = body & (drawn.interpolate(np.float32(model.hair)[:, None], model.faces)[..., 0] > 0.5)
    depth = np.where(body, drawn.depth, 0).astype(np.float32)
    warp = face_warp(fit, seen, to_photo=False)
    if warp is not None:
        _warped(warp, points, body, depth)
    away, (rows, columns) = ndimage.distance_transform_edt(~body, return_indices=True)
    if not body.any():
        return np.zeros_like(points), np.full(body.shape, np.inf, np.float32), hair
    points, distance = points[rows, columns], (away * depth[rows, columns] / fit.focal).astype(np.float32)
    beside = (distance > 0) & (distance < HAIR_REACH)
    above = points[..., 2] > load_template().joint_heads[INDEX["head"], 2]
    return points, distance, above & (hair | beside)


def _warped(warp, points: np.ndarray, body: np.ndarray, depth: np.ndarray) -> None:
    """Resamples the region of the face, in place: each pixel takes the value at its warped position."""
    box = Box.around(*warp.centre, *(2.4 * warp.size,) * 2).inside(*body.shape)
    if box.width < 2 or box.height < 2:
        return
    region = slice(box.top, box.bottom), slice(box.left, box.right)
    y, x = np.mgrid[region].astype(np.float64)
    at = np.stack([x, y], -1) + 0.5
    moved = np.moveaxis(at + warp(at) - 0.5, -1, 0)[::-1]
    row, column = (np.clip(np.rint(a).astype(int), 0, n - 1) for a, n in zip(moved, body.shape, strict=True))
    nearest = points[row, column]
    smooth = np.stack(
        [ndimage.map_coordinates(points[..., c], moved, order=1, mode="nearest") for c in range(3)], -1
    )
    whole = np.linalg.norm(smooth - nearest, axis=-1, keepdims=True) < TORN
    there, deep = body[row, column], depth[row, column]
    points[region] = np.where(whole, smooth, nearest)
    body[region], depth[region] = there, deep


def _head_box(fit: BodyFit, size: tuple[int, int]) -> Box | None:
    model = fit_model()
    of_head = np.isin(model.skin.indices, [INDEX[name] for name in HEAD_JOINTS]) * model.skin.weights
    pixels = fit.project(fit.vertices(plain=True)[of_head.sum(1) > 0.5])
    (left, top), (right, bottom) = np.floor(pixels.min(0)).astype(int), np.ceil(pixels.max(0)).astype(int)
    box = Box(int(left), int(top), int(right), int(bottom)).inside(*size)
    if box.width <= LEAST_HEAD or box.height <= LEAST_HEAD:
        return None
    return box.grown(HEAD_MARGIN, HEAD_ASPECT)


def masked_crop(
    rgb: np.ndarray, correspondence: Correspondence, box: Box, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """A straight-alpha crop of the person, float32 [height,width,4], and its template points
    [height,width,3].

    Colours are averaged with the matte as weight, so that the background does not bleed in; points are the
    nearest ones.
    """
    matte = crop(correspondence.matte, box, height, width, fill=0.0)
    colour = crop(rgb * correspondence.matte[..., None], box, height, width, fill=0.0)
    colour = np.where(matte[..., None] > 1e-4, colour / np.maximum(matte[..., None], 1e-4), 0.5)
    points = correspondence.points[nearest_cells(box, height, width, rgb.shape)]
    return np.dstack([np.clip(colour, 0, 1), matte]).astype(np.float32), points
