# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth image of triangle meshes, which hide the splats behind them."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..native import FLOAT, INT, POINTER, Kernel
from ..workers import default_threads, share
from .camera import Camera

CHUNK = 4096  # vertices or triangles of one ticket
BANDS = 4  # of the picture per thread, for load balancing
SPARE = 7  # padding columns on the right, for eight lanes
ALONE = 2000  # triangles up to which one thread draws them

_corners = Kernel("lca_mesh_corners", POINTER, INT, INT, POINTER, POINTER, POINTER)
_bounds = Kernel("lca_mesh_bounds", POINTER, INT, INT, POINTER, POINTER, INT, INT, POINTER)
_fill = Kernel(
    *("lca_mesh_fill", POINTER, INT, INT, POINTER, POINTER, POINTER, FLOAT, FLOAT, INT, INT, INT, POINTER)
)


class Mesh(NamedTuple):
    """points [n,3] float32, triangles [t,3] int32 (corners: rows of points), matrix [4,4] to the world."""

    points: np.ndarray
    triangles: np.ndarray
    matrix: np.ndarray


def mesh_depth(meshes: Iterable[Mesh], camera: Camera, far: float = math.inf) -> np.ndarray:
    """Camera z in metres of the nearest surface at every pixel centre: float32 [H,W], inf where nothing is.

    Both sides of a triangle count; what is nearer than the camera's `near` or beyond `far` does not. The same
    on any number of threads. Triangles with a point that is not finite are left out. ValueError where an
    array has another shape or type, or a corner names no point.
    """
    nothing = -math.inf if camera.orthographic else 0.0  # nearness: -z or 1/z
    picture = np.full((camera.height, camera.width + SPARE), nothing, np.float32)
    limits = (-far, -camera.near) if camera.orthographic else (1 / far, 1 / camera.near)
    view = _corner_matrix(camera)
    for mesh in meshes:
        _check(mesh)
        _draw(mesh, view @ np.asarray(mesh.matrix, np.float64), limits, picture)
    picture = picture[:, : camera.width]
    with np.errstate(divide="ignore"):
        return np.negative(picture) if camera.orthographic else np.reciprocal(picture)


def _corner_matrix(camera: Camera) -> np.ndarray:
    """World point to (u, v, w, k) [4,4]: pixel x = u / w, pixel y = v / w, nearness k / w."""
    x, y, z, one = camera.viewmat
    w, k = (one, -z) if camera.orthographic else (z, one)
    K = camera.K
    return np.array([K[0, 0] * x + K[0, 2] * w, K[1, 1] * y + K[1, 2] * w, w, k])


def _check(mesh: Mesh) -> None:
    points, triangles = mesh.points, mesh.triangles
    if points.dtype != np.float32 or points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must be float32 [n, 3], not {points.dtype} {list(points.shape)}.")
    if triangles.dtype != np.int32 or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles must be int32 [t, 3], not {triangles.dtype} {list(triangles.shape)}.")
    if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(points):
        raise ValueError(f"A triangle's corners must lie in 0..{len(points) - 1}.")


def _draw(mesh: Mesh, matrix: np.ndarray, limits: tuple[float, float], picture: np.ndarray) -> None:
    points, triangles = (np.ascontiguousarray(a) for a in (mesh.points, mesh.triangles))
    (height, stride), count = picture.shape, len(triangles)
    width = stride - SPARE
    threads = default_threads() if count > ALONE else 1
    corners, bounds = np.empty((len(points), 4)), np.empty((count, 4), np.int32)
    share(_corners, -(-len(points) // CHUNK), threads, len(points), CHUNK, points, matrix, corners)
    share(_bounds, -(-count // CHUNK), threads, count, CHUNK, corners, triangles, width, height, bounds)
    bands = min(BANDS * threads, height)
    size = (width, height, stride)
    share(_fill, bands, threads, bands, count, corners, triangles, bounds, *limits, *size, picture)
