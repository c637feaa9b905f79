# SPDX-License-Identifier: GPL-3.0-or-later
"""A z-buffer for triangle meshes: which triangle every sample sees, and where inside it.

Triangles are set up in homogeneous pixel coordinates (Olano & Greer 1997, "Triangle scan conversion using 2D
homogeneous coordinates"), so barycentrics are perspective correct and triangles that pass behind the camera
need no clipping. One thread, fixed order: equal bits on every run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..native import FLOAT, INT, POINTER, Kernel

_faces = Kernel("lca_mesh_faces", INT, *[POINTER] * 2, FLOAT, INT, INT, *[POINTER] * 3)
_values = Kernel("lca_mesh_values", INT, INT, *[POINTER] * 5)


class GBuffer(NamedTuple):
    """What h x w samples see: face [h, w] int32 (-1 nothing), bary [h, w, 2] of its corners 1 and 2, depth
    [h, w] metres along the view axis (inf where nothing)."""

    face: np.ndarray
    bary: np.ndarray
    depth: np.ndarray

    def interpolate(self, attribute: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Vertex attribute [n, c], faces [f, 3] -> [h, w, c] float32, zero where nothing is seen."""
        attribute, faces = np.ascontiguousarray(attribute, np.float32), np.ascontiguousarray(faces, np.int32)
        values = np.zeros((*self.face.shape, attribute.shape[1]), np.float32)
        _values(self.face.size, attribute.shape[1], self.face, self.bary, faces, attribute, values)
        return values


def to_pixels(points: np.ndarray, viewmat: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World points [n, 3] -> homogeneous pixels [n, 3] (x w, y w, w) and camera depth [n] (w is the depth),
    float64.
    """
    viewmat, K = np.asarray(viewmat, np.float64), np.asarray(K, np.float64)
    camera = np.asarray(points, np.float64) @ viewmat[:3, :3].T + viewmat[:3, 3]
    return camera @ K.T, camera[:, 2].copy()


def rasterize_mesh(
    points: np.ndarray,
    faces: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    width: int,
    height: int,
    samples: int = 1,
    near: float = 0.01,
) -> GBuffer:
    """Draws a mesh through an OpenCV camera.

    Args: points [n, 3] world metres; faces [f, 3]; viewmat [4, 4] world to camera; K [3, 3] in pixels;
    `samples` x `samples` samples a pixel on a regular grid; nothing nearer than `near` metres is drawn. Both
    sides are visible.
    Returns: a `GBuffer` of height * samples by width * samples.
    """
    homogeneous, depth = to_pixels(points, viewmat, K)
    homogeneous[:, :2] *= samples
    return _draw(homogeneous, depth, faces, width * samples, height * samples, near)


def rasterize_flat(
    pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, width: int, height: int
) -> GBuffer:
    """Draws a mesh without perspective: pixels [n, 2], depth [n]."""
    homogeneous = np.ones((len(pixels), 3))
    homogeneous[:, :2] = pixels
    return _draw(homogeneous, np.asarray(depth, np.float64), faces, width, height, -np.inf)


def _draw(homogeneous, depth, faces, width, height, near):
    if not (np.isfinite(homogeneous).all() and np.isfinite(depth).all()):
        raise ValueError("The mesh or the camera contains NaN or infinity.")
    faces = np.ascontiguousarray(faces, np.int32)
    corners = np.column_stack([homogeneous, depth])
    made = GBuffer(
        np.full((height, width), -1, np.int32),
        np.zeros((height, width, 2), np.float32),
        np.full((height, width), np.inf, np.float32),
    )
    _faces(len(faces), corners, faces, near, width, height, *made)
    return made
