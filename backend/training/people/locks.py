# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes of hair: ribbons round strands, buns and braids."""

from __future__ import annotations

import numpy as np

from .strands import unit


def ribbons(
    rng: np.random.Generator, strands: np.ndarray, outward: np.ndarray, width: float, ridge: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ribbons along strands.

    Args: strands [n, m, 3]; outward [n, m, 3] unit: their flat side faces it; width: mean, in the strands'
        unit; ridge: a third vertex across raises the middle, which rounds a wide lock.
    Returns vertices [n m k, 3] with k = 2 or 3 across, faces, and strand coordinates: across in the strands'
        unit with an offset per ribbon, along 0..1, ribbon number.
    """
    n, m = strands.shape[:2]
    k = 3 if ridge else 2
    along = unit(np.gradient(strands, axis=1))
    across = unit(np.cross(along, outward))
    up = np.cross(across, along)
    tilt = (0.12 if ridge else 0.3) * rng.normal(size=(n, 1, 1))
    across, up = across * np.cos(tilt) + up * np.sin(tilt), up * np.cos(tilt) - across * np.sin(tilt)
    t = np.linspace(0, 1, m)[None, :, None]
    spread = np.exp(0.45 * rng.normal(size=(n, 1, 1)))
    length = np.linalg.norm(np.diff(strands, axis=1), axis=2).sum(1)[:, None, None]
    half = (
        np.minimum(0.5 * width * spread, 0.15 * length)
        * (0.6 + 0.4 * np.minimum(t * 4, 1))
        * (1 - 0.9 * t**2.5)
    )
    sides = np.linspace(-1, 1, k)
    rise = 0.35 * (1 - np.abs(sides)) if ridge else np.zeros(k)
    vertices = np.stack([strands + half * (a * across + b * up) for a, b in zip(sides, rise, strict=True)], 2)
    start = (np.arange(n)[:, None] * m + np.arange(m - 1)).ravel() * k
    faces = []
    for column in range(k - 1):
        a = start + column
        faces += [np.stack([a, a + 1, a + k], 1), np.stack([a + 1, a + k + 1, a + k], 1)]
    shift = width * 7 * rng.random((n, 1, 1))
    coordinate = np.empty((n, m, k, 3), np.float32)
    coordinate[..., 0] = half * sides + shift
    coordinate[..., 1] = t
    coordinate[..., 2] = np.arange(n)[:, None, None]
    return vertices.reshape(-1, 3), np.concatenate(faces).astype(np.int32), coordinate.reshape(-1, 3)


def bun_mesh(centre: np.ndarray, radius: float, phase: float) -> tuple[np.ndarray, np.ndarray]:
    """A knot of hair as a grooved ball: vertices [n, 3] head units, faces."""
    rows, columns = 20, 40
    a = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    b = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    coil = np.abs(np.sin(1.5 * b + 2.2 * a + phase)) ** 0.6
    r = radius * (0.88 + 0.13 * coil + 0.03 * np.sin(7 * a - 4 * b))
    points = np.stack(
        [r * np.sin(a) * np.cos(b), r * np.sin(a) * np.sin(b) * 0.95, r * np.cos(a) * np.ones_like(b) * 0.8],
        -1,
    )
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    p, q = i * columns + j, i * columns + (j + 1) % columns
    faces = np.concatenate([
        np.stack([p, p + columns, q], -1).reshape(-1, 3),
        np.stack([q, p + columns, q + columns], -1).reshape(-1, 3),
    ])  # fmt: skip
    return points.reshape(-1, 3) + centre, faces.astype(np.int32)


def braid_mesh(path: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three plaited strands along a path [m, 3] that runs downwards behind the neck.

    Returns vertices [3 m s, 3], faces and strand coordinates as `ribbons` has them.
    """
    m, sides = len(path), 9
    along = unit(np.gradient(path, axis=0))
    across = unit(np.cross(along, [0.0, 0.0, -1.0]))
    out = np.cross(across, along)
    length = np.concatenate([[0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    t = length / length[-1]
    fat = radius * np.where(t < 0.86, 1 - 0.35 * t, 0.75 - 0.6 * np.abs(t - 0.93) / 0.07)
    ring = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    vertices, coordinates = [], []
    for strand in range(3):
        turn = 2 * np.pi * (length / (5.0 * radius) + strand / 3)
        open_ = np.clip((0.86 - t) / 0.03, 0.15, 1)
        centre = path + (fat * open_)[:, None] * (
            0.62 * np.sin(turn)[:, None] * across + 0.34 * np.sin(2 * turn)[:, None] * out
        )
        tube = (0.62 * fat)[:, None, None] * (
            np.cos(ring)[None, :, None] * across[:, None] + np.sin(ring)[None, :, None] * out[:, None]
        )
        vertices.append(centre[:, None] + tube)
        u = np.broadcast_to(0.62 * radius * ring, (m, sides))
        coordinates.append(
            np.stack([u, np.broadcast_to(0.2 + 0.6 * t[:, None], (m, sides)), u * 0 + strand], -1)
        )
    i, j = np.meshgrid(np.arange(m - 1), np.arange(sides), indexing="ij")
    p, q = i * sides + j, i * sides + (j + 1) % sides
    one = np.concatenate([
        np.stack([p, q, p + sides], -1).reshape(-1, 3),
        np.stack([q, q + sides, p + sides], -1).reshape(-1, 3),
    ])  # fmt: skip
    faces = np.concatenate([one + strand * m * sides for strand in range(3)])
    return (
        np.concatenate(vertices).reshape(-1, 3),
        faces.astype(np.int32),
        np.concatenate(coordinates).reshape(-1, 3).astype(np.float32),
    )
