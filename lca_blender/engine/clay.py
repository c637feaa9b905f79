# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes as plain clay, of their depth image: as the 3D view draws them."""

import numpy as np

from ..backend.raster import Camera
from .merging import camera_points

CLAY = (0.35, 0.35, 0.35)  # scene-linear
LIGHT = np.array([-0.5, 0.8, -0.4]) / np.linalg.norm([-0.5, 0.8, -0.4])  # from above the camera, to its left


def clay_picture(depth: np.ndarray, camera: Camera, background) -> np.ndarray:
    """Premultiplied [H,W,4] float32 of a depth image [H,W], inf where nothing is, row 0 at the bottom;
    background: scene-linear colour [3], None where the film is transparent."""
    behind = (0, 0, 0, 0) if background is None else (*background, 1)
    picture = np.full((*depth.shape, 4), behind, np.float32)
    there = np.isfinite(depth)
    points = camera_points(np.where(there, depth, 0)[..., None], camera)
    normal = np.cross(_slope(points, depth, 1), _slope(points, depth, 0))
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    toward = -points if not camera.orthographic else np.array([0.0, 0.0, -1.0])
    normal = np.where((normal * toward).sum(-1, keepdims=True) < 0, -normal, normal)
    shade = 0.6 + 0.4 * normal @ LIGHT
    picture[there] = np.c_[shade[there, None] * np.float32(CLAY), np.ones(there.sum())]
    return picture


def _slope(points: np.ndarray, depth: np.ndarray, axis: int) -> np.ndarray:
    """Difference [H,W,3] to the next or the last point along an axis, whichever is nearer in depth: they are
    of one surface."""
    with np.errstate(invalid="ignore"):
        step, rise = np.diff(points, axis=axis), np.abs(np.diff(depth, axis=axis))
    rise = np.where(np.isfinite(rise), rise, np.inf)
    pad = [(0, 1) if a == axis else (0, 0) for a in range(3)]
    back = [(1, 0) if a == axis else (0, 0) for a in range(3)]
    after, before = np.pad(step, pad), np.pad(step, back)
    next_rise = np.pad(rise, pad[:2], constant_values=np.inf)
    last_rise = np.pad(rise, back[:2], constant_values=np.inf)
    return np.where((next_rise <= last_rise)[..., None], after, before)
