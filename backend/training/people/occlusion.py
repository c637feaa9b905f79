# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the light is blocked: ambient occlusion from the depth buffer, cast shadows from a depth map
of the light.
"""

from __future__ import annotations

import numba
import numpy as np

from ...raster.mesh_faces import GBuffer, rasterize_flat

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}
_MAP_SIZE = 320
_REACH = (0.012, 0.035, 0.09, 0.2)  # metres from a point to the places that may block it


def _hemisphere(per_reach: int = 6) -> np.ndarray:
    """Cosine-distributed offsets [4 * per_reach, 3] about +z, lengths from `_REACH`, evenly turned."""
    offsets = []
    for i, reach in enumerate(_REACH):
        u = (np.arange(per_reach) + 0.5) / per_reach
        turn = 2 * np.pi * (np.arange(per_reach) / per_reach + i * 0.618)
        r, z = np.sqrt(u), np.sqrt(1 - u)
        offsets.append(reach * np.stack([r * np.cos(turn), r * np.sin(turn), z], 1))
    return np.concatenate(offsets).astype(np.float32)


_OFFSETS = _hemisphere()


def ambient_visibility(
    positions: np.ndarray,
    normals: np.ndarray,
    gbuffer: GBuffer,
    viewmat: np.ndarray,
    K: np.ndarray,
    samples: int,
) -> np.ndarray:
    """Share of the sky each point sees, judged from the picture's own depths -> [p] float32 in 0..1.

    positions [p, 3] and unit normals [p, 3] in world space; K in pixels of the picture, `samples` per pixel
    side in gbuffer.
    """
    viewmat = np.asarray(viewmat, np.float32)
    rotation = np.ascontiguousarray(viewmat[:3, :3])
    camera = np.ascontiguousarray(positions @ rotation.T + viewmat[:3, 3])
    scaled = np.ascontiguousarray(np.asarray(K, np.float32))
    scaled = np.concatenate([scaled[:2] * samples, scaled[2:]])
    return _sky(camera, np.ascontiguousarray(normals @ rotation.T), gbuffer.depth, scaled, _OFFSETS)


@numba.njit(**_JIT)
def _sky(points, normals, depth, K, offsets):
    height, width = depth.shape
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        # A frame about the normal (Duff et al. 2017).
        sign = np.float32(1) if nz >= 0 else np.float32(-1)
        a = -1 / (sign + nz)
        b = nx * ny * a
        tx, ty, tz = 1 + sign * nx * nx * a, sign * b, -sign * nx
        bx, by, bz = b, sign + ny * ny * a, -ny
        blocked = np.float32(0)
        for o in offsets:
            reach = np.sqrt(o[0] * o[0] + o[1] * o[1] + o[2] * o[2])
            lift = o[2] + 0.15 * reach
            x = points[i, 0] + o[0] * tx + o[1] * bx + lift * nx
            y = points[i, 1] + o[0] * ty + o[1] * by + lift * ny
            z = points[i, 2] + o[0] * tz + o[1] * bz + lift * nz
            if z < 0.02:
                continue
            column = int((K[0, 0] * x + K[0, 1] * y) / z + K[0, 2])
            row = int(K[1, 1] * y / z + K[1, 2])
            if column < 0 or row < 0 or column >= width or row >= height:
                continue
            behind = z - depth[row, column]
            # Something far in front of the point does not shade it much: fade with distance.
            if behind > 0:
                blocked += max(np.float32(0), 1 - max(np.float32(0), behind - reach) / (2 * reach))
        out[i] = 1 - blocked / len(offsets)
    return out


def key_visibility(
    positions: np.ndarray,
    normals: np.ndarray,
    mesh_points: np.ndarray,
    faces: np.ndarray,
    direction: np.ndarray,
    spread: float = 0.006,
) -> np.ndarray:
    """Share of the key light that reaches points [p, 3] of a mesh -> [p] float32 in 0..1.

    direction [3] points towards the light, which is infinitely far; `spread` is the half width in metres of
    the shadow's soft edge. The depth map of the light covers just the points asked for.
    """
    if not len(positions):
        return np.ones(0, np.float32)
    axis = np.asarray(direction, np.float64)
    side = np.cross([0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [0.0, 1.0, 0.0], axis)
    side /= np.linalg.norm(side)
    basis = np.stack([side, np.cross(axis, side), -axis], 1).astype(np.float32)
    seen = (positions + normals * 0.006) @ basis
    low, high = seen[:, :2].min(0) - 0.02, seen[:, :2].max(0) + 0.02
    scale = np.float32(_MAP_SIZE / max(high - low))
    mesh = mesh_points @ basis
    depth = rasterize_flat((mesh[:, :2] - low) * scale, mesh[:, 2], faces, _MAP_SIZE, _MAP_SIZE).depth
    place = np.concatenate([(seen[:, :2] - low) * scale, seen[:, 2:]], 1).astype(np.float32)
    return _lit(place, depth, np.float32(max(spread * scale, 0.75) / 2))


@numba.njit(**_JIT)
def _lit(place, depth, step):
    height, width = depth.shape
    out = np.empty(len(place), np.float32)
    for i in range(len(place)):
        lit = 0
        for v in range(-2, 3):
            for u in range(-2, 3):
                x = min(max(int(place[i, 0] + u * step), 0), width - 1)
                y = min(max(int(place[i, 1] + v * step), 0), height - 1)
                lit += place[i, 2] <= depth[y, x] + np.float32(0.004)
        out[i] = lit / 25
    return out
