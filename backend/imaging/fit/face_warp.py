# SPDX-License-Identifier: GPL-3.0-or-later
"""The smooth warp of a photo's face that lands the fitted body's landmarks on the photo's: a thin-plate
spline (Bookstein 1989) that fades out around the face.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates

from ..sighting import Sighting
from .evidence import face_rows, jaw_line
from .model import BodyFit, fit_model
from .terms import JAW_REACH, meet

# Cells of the grid each way, and how far it goes from the middle, in sizes of the face.
CELLS, REACH = 96, 1.2
FADE_FROM, FADE_TO = 0.9, 1.15
HOLD = (1.0, 1.2)  # radii of the rings that stay, in sizes of the face
RING = 40
FAR = 0.25  # of the face's size; a landmark that is farther off is not trusted
SMOOTHING = 0.5


@dataclass(frozen=True)
class FaceWarp:
    """centre (x, y) and size in pixels; moves [CELLS,CELLS,2] in pixels, on a grid over centre +- REACH
    sizes.
    """

    centre: np.ndarray
    size: float
    moves: np.ndarray

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Moves (x, y) [...,2] of pixels [...,2]; 0 away from the face."""
        x, y = np.moveaxis(((pixels - self.centre) / self.size + REACH) / (2 * REACH) * (CELLS - 1), -1, 0)
        return np.stack([map_coordinates(self.moves[..., c], [y, x], order=1) for c in range(2)], -1)


def face_warp(fit: BodyFit, seen: Sighting, to_photo: bool) -> FaceWarp | None:
    """`to_photo`: from pixels where the fitted body shows a place to those where the photo does; else back.
    None where there is no face, or hardly a landmark of it is near.
    """
    if seen.face is None:
        return None
    rows = face_rows(seen.face, seen.matte)
    fitted = fit.project(fit.posed(fit_model().face.take(rows)))
    shown = seen.face.points[rows, :2] + 0.5
    size = seen.face.size
    near = np.linalg.norm(fitted - shown, axis=1) < FAR * size
    if near.sum() < len(rows) / 2:
        return None
    on_rim, on_jaw = _jaw_pairs(fit, seen)
    fitted, shown = np.concatenate([fitted[near], on_rim]), np.concatenate([shown[near], on_jaw])
    start, end = (fitted, shown) if to_photo else (shown, fitted)
    centre = (shown.min(0) + shown.max(0)) / 2
    angles = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    held = np.concatenate([centre + radius * size * circle for radius in HOLD])
    spline = RBFInterpolator(
        np.concatenate([start, held]) / size,
        np.concatenate([end - start, np.zeros_like(held)]),
        kernel="thin_plate_spline",
        degree=1,
        smoothing=SMOOTHING / size**2,
    )
    steps = np.linspace(-REACH, REACH, CELLS)
    x, y = np.meshgrid(steps, steps)
    moves = spline(np.stack([x.ravel(), y.ravel()], 1) + centre / size).reshape(CELLS, CELLS, 2)
    fade = np.clip((FADE_TO - np.hypot(x, y)) / (FADE_TO - FADE_FROM), 0, 1)
    return FaceWarp(centre, float(size), moves * fade[..., None])


def _jaw_pairs(fit: BodyFit, seen: Sighting) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n,2] of the fitted body's rim about cheeks and chin, and those of the face's outline beside
    them.
    """
    line, normals = jaw_line(seen.face)
    rim = meet(fit, line, normals, fit_model().face_skin, JAW_REACH)
    at = fit.project(fit.vertices(plain=True)[rim.skin])
    depth = fit.vertices(plain=True)[rim.skin, 2:]
    return at, at + normals[rim.outline] * rim.gap[:, None] * fit.focal / np.maximum(depth, 0.1)
