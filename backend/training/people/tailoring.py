# SPDX-License-Identifier: GPL-3.0-or-later
"""What tailors add to cloth, drawn at points of it: seams, stitches, buttons, zips, pockets, buckles."""

from __future__ import annotations

import numba
import numpy as np

from .noise import smoothstep

NO_CLOSURE, BUTTONS, ZIP, FLY, BUCKLE = range(5)
NO_POCKETS, CHEST, WELT, JEANS, PATCH = range(5)
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


@numba.njit(**_JIT)
def line(distance, half):
    """1 on a line of that half width, soft over a millimetre."""
    if abs(distance) > half + 0.0006:
        return 0.0
    return smoothstep(half + 0.0006, half - 0.0006, abs(distance))


@numba.njit(**_JIT)
def stitches(distance, along):
    """A row of stitches, 4 mm each."""
    if abs(distance) > 0.0015:
        return 0.0
    return line(distance, 0.0009) * (1.0 if (along / 0.004) % 1.0 < 0.65 else 0.25)


@numba.njit(**_JIT)
def _box(u, v, half_width, half_height):
    """Signed distance to a box whose lower edge comes to a shallow point."""
    low = v + half_height + 0.012 * max(1 - abs(u) / half_width, 0.0)
    return max(abs(u) - half_width, max(v - half_height, -low))


@numba.njit(**_JIT)
def _pocket(x, y, u, v, look):
    """(dark line, stitch) of the pockets."""
    if look.pockets == CHEST:
        if y > -0.035 or x < 0:
            return 0.0, 0.0
        d = _box(u - 0.092, v - look.pocket_z, 0.042, 0.05)
        return line(d, 0.0008), stitches(d + 0.004, u + v)
    if look.pockets == WELT:
        if y > -0.035:
            return 0.0, 0.0
        a, b = abs(u) - 0.115, v - look.pocket_z
        along, off = 0.45 * a + 0.89 * b, 0.89 * a - 0.45 * b
        inside = smoothstep(0.078, 0.074, abs(along))
        return inside * max(line(off, 0.0012), 0.6 * line(off - 0.016, 0.0008)), 0.0
    if look.pockets == PATCH:
        if y > -0.035:
            return 0.0, 0.0
        d = _box(abs(u) - 0.105, v - look.pocket_z, 0.07, 0.075)
        flap = line(v - look.pocket_z - 0.03, 0.0012) if d < 0 else 0.0
        return max(line(d, 0.001), flap), stitches(d + 0.004, u + v)
    below = look.top - v
    if y < 0.0:
        # Front pockets curve from the waistband to the side seam.
        off = below - 0.03 - 0.085 * max(abs(u) - 0.075, 0.0) ** 0.6 / 0.07**0.6
        inside = 1.0 if 0.07 < abs(u) < 0.17 and below > 0.03 else 0.0
        return inside * line(off, 0.0012), inside * stitches(off + 0.006, u)
    d = _box(abs(u) - 0.098, v - (look.top - 0.105), 0.058, 0.05)
    return line(d, 0.0009), stitches(d + 0.004, u + v)


@numba.njit(**_JIT)
def _closure(x, z, look):
    """(dark line, stitch, weight of a button or metal, is it metal) down the middle of the front."""
    if look.closure == BUTTONS:
        edge = line(x - 0.015, 0.0009)
        step = (z / 0.085) % 1.0 - 0.5
        r = np.sqrt(x * x + (step * 0.085) ** 2)
        hole = 0.0
        if r < 0.0035:
            hx, hz = abs(x) - 0.0013, abs(step * 0.085) - 0.0013
            hole = 1.0 if hx * hx + hz * hz < 5e-7 else 0.0
        rim = line(r - 0.0062, 0.0007)
        return (
            max(edge, max(rim, hole)),
            stitches(x + 0.015, z),
            smoothstep(0.0062, 0.0052, r) * (1 - hole),
            0.0,
        )
    if look.closure == ZIP:
        teeth = 1.0 if ((z + (0.0015 if x > 0 else 0.0)) / 0.003) % 1.0 < 0.55 else 0.35
        band = smoothstep(0.0035, 0.0028, abs(x))
        return line(abs(x) - 0.0075, 0.0012), stitches(abs(x) - 0.014, z), band * teeth, 1.0
    if look.closure == BUCKLE:
        a, b = abs(x), abs(z - look.mark_z)
        frame = max(a - 0.024, b - 0.017)
        metal = smoothstep(0.0006, -0.0006, frame) * smoothstep(-0.0056, -0.0044, frame)
        pin = smoothstep(0.0022, 0.0014, b) * (1.0 if x > -0.02 and x < 0.02 else 0.0)
        hole = 1.0 if abs((x / 0.022) % 1.0 - 0.5) < 0.08 and b < 0.002 and 0.03 < x < 0.12 else 0.0
        return max(line(frame, 0.0008), hole), 0.0, max(metal, pin), 1.0
    below = look.top - z
    if below > 0.16 or below < 0.03:
        if below < 0.03:
            r = np.sqrt(x * x + (below - 0.017) ** 2)
            return line(r - 0.0085, 0.0007), 0.0, smoothstep(0.0085, 0.0075, r), 1.0
        return 0.0, 0.0, 0.0, 0.0
    j = 0.032 * np.sqrt(max(1 - (max(below - 0.11, 0.0) / 0.05) ** 2, 0.0))
    return line(x, 0.001), stitches(x - j, z), 0.0, 0.0


@numba.njit(**_JIT)
def details(x, y, z, u, v, piece, look, place):
    """(dark, stitch, hard, metal) at a point: depth of seams and edges, weight of stitching in a contrasting
    thread, weight of a button or metal, and whether it is metal."""
    dark, thread, hard, metal = 0.0, 0.0, 0.0, 0.0
    if piece == 0 and look.closure != NO_CLOSURE and y < 0.02 and abs(x) < 0.125:
        dark, thread, hard, metal = _closure(x, z, look)
    if piece == 0 and look.pockets != NO_POCKETS:
        edge, row = _pocket(x, y, u, v, look)
        dark, thread = max(dark, edge), max(thread, row)
    if look.seams > 0:
        if look.lie == 0:
            d = abs(x) - place.seam_x
            dark = max(dark, line(d, 0.0012))
            if look.seams > 0.5:
                thread = max(thread, stitches(d + 0.006, z))
        if piece == 0:
            dark = max(dark, line(abs(u) - 0.251, 0.0012))
        if piece == 2:
            dark = max(dark, line(u - 0.1335, 0.0012))
            if look.seams > 0.5:
                thread = max(thread, stitches(u - 0.1275, v))
        if piece != 1:
            up = v - look.bottom - 0.022
            dark, thread = max(dark, 0.5 * line(up, 0.0008)), max(thread, stitches(up + 0.003, u))
    return dark, thread, hard, metal
