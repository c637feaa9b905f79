# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo with the body that was fitted to it, and the avatar's places as they lie in it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ..avatar import Signal
from ..body.expression import apply_face_joints
from ..body.pose import joint_transforms
from ..body.skinning import blend, unskin_points
from ..body.template import load_template
from ..gaussians import Gaussians
from ..imaging.fit.face_warp import FaceWarp, face_warp
from ..imaging.fit.model import BodyFit
from ..imaging.sighting import Sighting
from ..raster import Camera
from .places import Places


class Posed(NamedTuple):
    """Places in a photo's camera axes: points [N,3] metres, unit normals [N,3], linear [N,3,3] canonical ->
    posed, pixels [N,2] (x, y).
    """

    points: np.ndarray
    normals: np.ndarray
    linear: np.ndarray
    pixels: np.ndarray

    @property
    def facing(self) -> np.ndarray:
        """[N] cosine between the normal and the direction to the camera."""
        return -(self.normals * self.points).sum(1) / np.linalg.norm(self.points, axis=1)

    def balls(self, sizes: np.ndarray) -> Gaussians:
        """The places as round Gaussians of their sizes [N] metres, whose depth is that of the surface."""
        spread = torch.from_numpy((sizes**2).astype(np.float32))
        points = torch.from_numpy(self.points.astype(np.float32))
        covariances = torch.eye(3) * spread[:, None, None] * 0.5
        return Gaussians(points, covariances, torch.full((len(sizes),), 0.9), torch.zeros(len(sizes), 3))


@dataclass(frozen=True)
class FittedPhoto:
    """A photo's sighting and fit; `warp`: from the fitted body's pixels to the photo's, about the face."""

    seen: Sighting
    fit: BodyFit
    warp: FaceWarp | None
    name: str = "The photo"

    @classmethod
    def of(cls, seen: Sighting, fit: BodyFit, name: str = "The photo") -> "FittedPhoto":
        return cls(seen, fit, face_warp(fit, seen, to_photo=True), name)

    def signal(self) -> Signal:
        """What drives an avatar into the photo's pose and expression, in the camera's axes."""
        fit = self.fit
        placed = (a.astype(np.float32) for a in (fit.rotations, fit.translation, fit.joint_heads))
        transforms = joint_transforms(load_template(), *placed)
        tensors = (
            torch.from_numpy(np.asarray(a, np.float32)) for a in (transforms, fit.expression, fit.gaze)
        )
        return Signal(*tensors)

    def transforms(self) -> torch.Tensor:
        """Skinning matrices [J,4,4] from the mean canonical space to the camera's axes, with jaw and eyes."""
        signal = self.signal()
        return apply_face_joints(signal.transforms, signal.expression, signal.gaze)

    def expression_moves(self, places: Places) -> np.ndarray:
        """[N,3] metres that the photo's expression moves the places by, in the mean canonical space."""
        rows, deltas = places.expressive
        moves = np.zeros((len(places), 3), np.float32)
        moves[rows] = np.tensordot(self.fit.expression.astype(np.float32), deltas, (0, 0))
        return moves

    @property
    def plainness(self) -> float:
        """2 for a face at rest, less the more it is moved: what a moved face shows where is less certain."""
        return float(1 / (0.5 + np.square(self.fit.expression).sum()))

    @property
    def camera(self) -> Camera:
        return Camera(np.eye(4), self.fit.K, *self.seen.size[::-1])

    def pose(
        self,
        places: Places,
        canonical: np.ndarray,
        normals: np.ndarray,
        rows: np.ndarray | slice = slice(None),
    ) -> Posed:
        """Places [N,3] of the mean canonical space, with normals [N,3] there, as they lie in the photo; of
        all places, or of some `rows` [n].
        """
        moved = canonical + self.expression_moves(places)
        matrix = blended(places, self.transforms(), rows)
        linear = matrix[:, :, :3]
        points = np.einsum("nij,nj->ni", linear, moved[rows]) + matrix[:, :, 3]
        turned = np.einsum("nij,nj->ni", cofactors(linear), normals[rows])
        turned /= np.linalg.norm(turned, axis=1, keepdims=True) + 1e-12
        return Posed(points, turned, linear, self.fit.project(points))


def blended(places: Places, transforms: torch.Tensor, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Skinning matrices [n,3,4] of the places, or of some `rows`."""
    indices, weights = (torch.from_numpy(a[rows]) for a in (places.skin_indices, places.skin_weights))
    return blend(indices, weights, transforms).numpy()


def cofactors(matrices: np.ndarray) -> np.ndarray:
    """[N,3,3]: determinant times the transposed inverse, which turns normals."""
    a, b, c = np.moveaxis(matrices, 1, 0)
    return np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)


def fitted_surface(places: Places, fit: BodyFit) -> np.ndarray:
    """[N,3] metres: the fitted person's surface in the mean canonical space, where avatars live."""
    template = load_template()
    shaped = template.vertices + np.tensordot(fit.betas.astype(np.float32), template.shape_deltas, (0, 0))
    rest = np.zeros((len(template.joint_names), 3), np.float32)
    to_person = joint_transforms(template, rest, joint_heads=fit.joint_heads.astype(np.float32))
    return unskin_points(places.at(shaped), places.skin_indices, places.skin_weights, to_person)
