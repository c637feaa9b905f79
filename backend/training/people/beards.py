# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a beard grows on the mean head."""

from __future__ import annotations

import numba

from .landmarks import interp
from .noise import noise3, smoothstep

_JIT = {"cache": True, "nogil": True}


@numba.njit(**_JIT)
def beard_masks(x, y, z, marks):
    """(cheeks and jaw, moustache, chin) where a beard grows at a head-local point, each 0..1."""
    ear_low = marks.ear[1] - marks.ear_size[1]
    if y > marks.ear[1] + 1.5 or y < marks.chin[1] - 4.2 or z < -1.0:
        return 0.0, 0.0, 0.0
    ax = abs(x)
    wobble = 0.35 * noise3(x * 0.9, y * 0.9, z * 0.9)
    corner = marks.lip_seam[-1]
    # Upper border: from the sideburn before the ear down to the mouth's corner.
    side = smoothstep(marks.mouth + 3.2, marks.ear[0] - 0.7, ax)
    border = corner + 0.15 + 0.40 * max(ax - marks.mouth, 0.0) + (marks.ear[1] - corner - 0.3) * side
    jaw = smoothstep(1.1, -1.3, y - border + 1.5 * wobble) * smoothstep(
        marks.chin[1] - 4.0, marks.chin[1] - 2.2, y
    )
    jaw *= smoothstep(-0.8, 0.8, z - 0.5 * smoothstep(ear_low, ear_low - 2.0, y))
    if ax > marks.ear[0] - marks.ear_size[0] - 0.1 and y > ear_low:
        jaw *= smoothstep(marks.ear[2] + marks.ear_size[2] - 0.3, marks.ear[2] + marks.ear_size[2] + 0.3, z)
    t = ax / marks.mouth
    above, below = y - interp(marks.lip_top, t), interp(marks.lip_bottom, t) - y
    away = max(max(above, below), ax - marks.mouth)
    if z < 5.5:
        return jaw, 0.0, 0.0
    bare = smoothstep(0.05, 0.3, away)
    # Sparse beside the mouth and under the lip, but for the patch in the middle.
    beside = smoothstep(0.2, 0.9, max(below, ax - marks.mouth))
    patch = smoothstep(0.8, 0.3, ax) * smoothstep(0.1, 0.3, below)
    jaw *= bare * max(max(beside, patch), 0.45)
    under_nose = marks.wing[1] - 0.75
    upper = smoothstep(0.25, -0.2, y - under_nose + 0.3 * wobble + 0.05 * ax * ax)
    upper *= smoothstep(marks.mouth + 0.95, marks.mouth + 0.1, ax + 0.3 * wobble) * bare
    upper *= smoothstep(corner - 0.7, corner + 0.5, y)
    ring = smoothstep(
        1.0, 0.75, ((ax + 0.5 * wobble) / (marks.mouth + 0.9)) ** 2 + ((y - corner + 2.0) / 3.4) ** 2
    )
    return jaw, upper, jaw * ring * smoothstep(5.0, 7.0, z)
