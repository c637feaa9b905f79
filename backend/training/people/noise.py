# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeatable value noise for numba kernels: a lattice hash, no tables, equal bits on every run."""

from __future__ import annotations

import numba
import numpy as np

_JIT = {"cache": True, "inline": "never", "nogil": True}


@numba.njit(**_JIT)
def lattice(i: int, j: int, k: int) -> float:
    """A number in [-1, 1] that belongs to the lattice point (i, j, k) (an integer mix with 32-bit
    avalanche).
    """
    h = (i * 374761393 + j * 668265263 + k * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return (h ^ (h >> 15)) / 2147483647.5 - 1.0


@numba.njit(**_JIT)
def noise3(x: float, y: float, z: float) -> float:
    """Value noise in [-1, 1], one feature per unit length, continuous first derivative."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = lattice(i, j, k) * (1 - u) + lattice(i + 1, j, k) * u
    b = lattice(i, j + 1, k) * (1 - u) + lattice(i + 1, j + 1, k) * u
    c = lattice(i, j, k + 1) * (1 - u) + lattice(i + 1, j, k + 1) * u
    d = lattice(i, j + 1, k + 1) * (1 - u) + lattice(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@numba.njit(**_JIT)
def fbm(x: float, y: float, z: float, octaves: int) -> float:
    """Octaves of `noise3`, each twice as fine and half as strong; within [-2, 2], mostly within [-0.7,
    0.7].
    """
    total, amplitude = 0.0, 1.0
    for octave in range(octaves):
        shift = 17.3 * octave
        total += amplitude * noise3(x + shift, y - shift, z + 2.0 * shift)
        x, y, z, amplitude = 2.0 * x, 2.0 * y, 2.0 * z, 0.5 * amplitude
    return total


@numba.njit(**_JIT)
def fbm_points(points: np.ndarray, octaves: int) -> np.ndarray:
    """`fbm` at points [p, 3] (already multiplied by the wanted frequency) -> [p] float32."""
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        out[i] = fbm(points[i, 0], points[i, 1], points[i, 2], octaves)
    return out


@numba.njit(**_JIT)
def smoothstep(low: float, high: float, x: float) -> float:
    """0 below `low`, 1 above `high`, 3t^2 - 2t^3 between; `low` may exceed `high` (falling step)."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)
