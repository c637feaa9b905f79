# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles between Gaussians that lie next to each other on a surface, which cast its shadows: they leave no
holes, and end where the Gaussians do."""

import numpy as np
from scipy.spatial import cKDTree

from ..native import FLOAT, INT, POINTER, Kernel
from ..workers import default_threads, share

NEAR = 16  # points that a point's triangles are sought among
SIDES_APART = 0.1  # metres that the sides of cloth are taken to be apart
ALIKE = 0.3  # least cosine between normals of one layer
SLOPE = 0.8  # most that a neighbour lies off a point's plane, by its distance along it
CHUNK = 1024  # points of a ticket, in kernels/light_triangles.c

_triangles = Kernel("lca_light_triangles", POINTER, INT, INT, *[POINTER] * 3, *[FLOAT] * 3, POINTER)


def neighbour_triangles(points: np.ndarray, normals: np.ndarray, widest: float) -> np.ndarray:
    """Triangles [t,3] int32, rows of points: those in the Delaunay triangulations of two of their points or
    all three, each with its neighbours on its own tangent plane. points and unit normals float32 [n,3];
    widest: metres, of their circumcircles."""
    count, near = len(points), min(NEAR, len(points))
    placed = np.hstack([points, SIDES_APART / 2 * normals])
    neighbours = cKDTree(placed).query(placed, k=[*range(1, near + 1)], workers=default_threads())[1]
    out = np.empty((count, near, 3), np.int32)
    arrays = (np.ascontiguousarray(a, np.float32) for a in (points, normals))
    given = *arrays, np.ascontiguousarray(neighbours, np.int32), ALIKE, SLOPE, widest, out
    share(_triangles, -(-count // CHUNK), default_threads(), count, near, *given)
    found = np.sort(out.reshape(-1, 3)[out[..., 0].ravel() >= 0], 1).astype(np.int64)
    keys, stars = np.unique((found[:, 0] << 42) | (found[:, 1] << 21) | found[:, 2], return_counts=True)
    keys = keys[stars > 1]  # those of one alone overlap others
    last = (1 << 21) - 1
    return np.stack([keys >> 42, (keys >> 21) & last, keys & last], 1).astype(np.int32)
