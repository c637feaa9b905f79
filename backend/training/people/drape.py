# SPDX-License-Identifier: GPL-3.0-or-later
"""How loose cloth hangs: not along the skin but from what stands out of it, down to the next such place.

Trunk, arms and legs are each measured as rings about an axis. A ring of cloth spans hollows (it is the convex
hull of the body there), and no ring is narrower than the one above it by more than the cut's `taper`.
"""

from __future__ import annotations

import numba
import numpy as np

from .cloth import BodyShape

_JIT = {"cache": True, "nogil": True}
COLUMNS = 48


@numba.njit(**_JIT)
def body_rings(along, radius, turn, step):
    """Largest radius [rings, COLUMNS] of points with a position along the axis (0 is the first ring), a
    radius and a turn, each [n]; gaps are filled from their neighbours."""
    rings = int(along.max() / step) + 1
    grid = np.zeros((rings, COLUMNS))
    for i in range(len(along)):
        if along[i] >= 0:
            row = int(along[i] / step)
            column = int((turn[i] / (2 * np.pi) + 1) * COLUMNS) % COLUMNS
            grid[row, column] = max(grid[row, column], radius[i])
    for row in range(rings):
        known = np.flatnonzero(grid[row])
        if len(known) < 3:
            if row:
                grid[row] = grid[row - 1]
            continue
        for column in range(COLUMNS):
            if grid[row, column] == 0:
                before, after = 1, 1
                while grid[row, (column - before) % COLUMNS] <= 0:
                    before += 1
                while grid[row, (column + after) % COLUMNS] <= 0:
                    after += 1
                a, b = grid[row, (column - before) % COLUMNS], grid[row, (column + after) % COLUMNS]
                grid[row, column] = -(a * after + b * before) / (before + after)
        grid[row] = np.abs(grid[row])
    return grid


@numba.njit(**_JIT)
def hull(ring):
    """Radii of the convex hull of a closed curve given by its radii [COLUMNS] about a point inside it."""
    cosine = np.cos(2 * np.pi * np.arange(COLUMNS) / COLUMNS)
    support = np.zeros(COLUMNS)
    for i in range(COLUMNS):
        for j in range(COLUMNS):
            support[i] = max(support[i], ring[j] * cosine[(i - j) % COLUMNS])
    out = np.full(COLUMNS, 1e9)
    for i in range(COLUMNS):
        for j in range(COLUMNS):
            if cosine[(i - j) % COLUMNS] > 0.2:
                out[i] = min(out[i], support[j] / cosine[(i - j) % COLUMNS])
    return out


@numba.njit(**_JIT)
def hanging_rings(grid, fall, first):
    """Rings of cloth over rings of a body [rings, COLUMNS], uppermost first; from ring `first` on none is
    narrower than the one above by more than `fall`."""
    out = np.empty_like(grid)
    for row in range(len(grid)):
        out[row] = hull(grid[row])
        if row > first:
            out[row] = np.maximum(out[row], out[row - 1] - fall)
    for _ in range(2):
        last = out.copy()
        for row in range(len(out)):
            up, down = last[max(row - 1, 0)], last[min(row + 1, len(out) - 1)]
            for c in range(COLUMNS):
                even = 0.25 * (up[c] + down[c]) + 0.25 * (last[row, c - 1] + last[row, (c + 1) % COLUMNS])
                out[row, c] = 0.5 * last[row, c] + 0.5 * even
    return out


@numba.njit(**_JIT)
def ring_radius(grid, along, turn, step):
    """Radius [n] of rings [rings, COLUMNS] at points, interpolated."""
    out = np.empty(len(along), np.float32)
    for i in range(len(along)):
        a = min(max(along[i] / step - 0.5, 0.0), len(grid) - 1.001)
        b = (turn[i] / (2 * np.pi) + 1) * COLUMNS - 0.5
        row, column = int(a), int(np.floor(b))
        s, t = a - row, b - column
        c, d = column % COLUMNS, (column + 1) % COLUMNS
        upper = grid[row, c] * (1 - t) + grid[row, d] * t
        lower = grid[row + 1, c] * (1 - t) + grid[row + 1, d] * t
        out[i] = upper * (1 - s) + lower * s
    return out


def _hung(along: np.ndarray, across: np.ndarray, taper: float, step: float, start=-np.inf) -> np.ndarray:
    """How far cloth stands outwards of points [n], given their position along the axis [n] and across it
    [n, 2], metres. It hangs from `start` along the axis on."""
    first = max(0, int((start - along.min()) / step)) if np.isfinite(start) else 0
    along = (along - along.min()).astype(np.float64)
    radius, turn = np.hypot(across[:, 0], across[:, 1]), np.arctan2(across[:, 1], across[:, 0])
    grid = hanging_rings(body_rings(along, radius, turn, step), taper * step, first)
    return np.maximum(ring_radius(grid, along, turn, step) - radius, 0)


class Drape:
    """Measures one body for hanging cloth; fields [Nv, 3] metres say how far it hangs off each vertex."""

    def __init__(self, shape: BodyShape, tape):
        self.shape, self.tape = shape, tape
        self.step = 0.016 * shape.scale
        self.skin = np.zeros(len(tape.z), bool)
        self.skin[shape.sites.skin_vertices] = True

    def _empty(self) -> np.ndarray:
        return np.zeros((len(self.tape.z), 3), np.float32)

    def trunk(self, taper: float, crotch: bool = False) -> np.ndarray:
        """Off chest, shoulder blades, belly and seat; `crotch`: trousers, which run in between the legs."""
        t, v = self.tape, self.shape.vertices
        chosen = np.flatnonzero(
            self.skin & ~t.arm & (t.z > t.crotch) & (t.z < t.height(148)) & (t.x < 0.3 * t.k)
        )
        centre = 0.5 * (v[chosen, 1].min() + v[chosen, 1].max())
        across = v[chosen, :2] - np.array([0, centre], np.float32)
        armpit = v[chosen[np.abs(t.z[chosen] - t.height(136)) < 0.015], 2].mean()
        off = _hung(-v[chosen, 2], across, taper, self.step, -armpit)
        off *= np.clip((t.height(147) - t.z[chosen]) / 0.09, 0, 1)
        if crotch:
            off *= np.clip((t.z[chosen] - t.crotch - 0.03) / 0.08, 0, 1)
        out = self._empty()
        out[chosen, :2] = across * (off / (np.linalg.norm(across, axis=1) + 1e-6))[:, None]
        return out

    def legs(self, taper: float) -> np.ndarray:
        """Off both legs, from the thighs down."""
        t, v, out = self.tape, self.shape.vertices, self._empty()
        below = self.skin & ~t.arm & (t.z < t.crotch + 0.01) & (t.z > t.height(6.5)) & (t.x < 0.3 * t.k)
        for side in (1, -1):
            chosen = np.flatnonzero(below & (t.side * side > 0))
            levels = np.array([t.height(c) for c in (12, 30, 50, 74)])
            middle = np.array([v[chosen[np.abs(t.z[chosen] - z) < 0.015]].mean(0) for z in levels])
            at = np.stack([np.interp(v[chosen, 2], middle[:, 2], middle[:, i]) for i in (0, 1)], 1)
            across = v[chosen, :2] - at
            off = _hung(-v[chosen, 2], across, taper, self.step)
            off = off * np.clip((t.crotch - t.z[chosen]) / 0.07, 0, 1)
            moved = across * (off / (np.linalg.norm(across, axis=1) + 1e-6))[:, None]
            # The legs' tubes stay apart.
            room = np.maximum(v[chosen, 0] * side - 0.006 * self.shape.scale, 0)
            moved[:, 0] = side * np.maximum(moved[:, 0] * side, -room)
            out[chosen, :2] = moved
        return out

    def arms(self, taper: float) -> np.ndarray:
        """Off both arms, from the shoulders to the wrists."""
        t, v, out = self.tape, self.shape.vertices, self._empty()
        for side in (1, -1):
            chosen = np.flatnonzero(self.skin & t.arm & (t.side * side > 0) & (t.t < t.wrist))
            start = v[chosen[np.abs(t.t[chosen] - 0.25 * t.wrist) < 0.02]].mean(0)
            end = v[chosen[np.abs(t.t[chosen] - 0.95 * t.wrist) < 0.02]].mean(0)
            axis = (end - start) / np.linalg.norm(end - start)
            up = np.cross(axis, [0.0, 1.0, 0.0])
            up = (up / np.linalg.norm(up)).astype(np.float32)
            d = v[chosen] - start
            along = (d * axis).sum(1)
            front = d[:, 1] - along * axis[1]
            height = (d * up).sum(1)
            upper = -0.05 * self.shape.scale * t.wrist  # the armpit's fold is no place to hang from
            off = _hung(along, np.stack([front, height], 1), taper, self.step, upper)
            off = off * np.clip((t.t[chosen] - 0.05) / 0.08, 0, 1)
            radius = np.hypot(front, height) + 1e-6
            out[chosen] = (off / radius)[:, None] * (height[:, None] * up)
            out[chosen, 1] += off / radius * front
        return out
