# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a beard grows on the mean head."""

from __future__ import annotations

import numba

from .noise import noise3, smoothstep

_JIT = {"cache": True, "nogil": True}


@numba.njit(**_JIT)
def beard_masks(x, y, z):
    """(cheeks and jaw, moustache, chin) where a beard grows, each 0..1."""
    if y > 2.0 or y < -14.5 or z < -1.0:
        return 0.0, 0.0, 0.0
    ax = abs(x)
    wobble = 0.35 * noise3(x * 0.9, y * 0.9, z * 0.9)
    # Upper border: from the sideburn before the ear down to the mouth's corner.
    border = -6.6 + 0.45 * max(ax - 2.3, 0.0) + 3.0 * smoothstep(5.0, 7.2, ax)
    jaw = smoothstep(0.6, -0.9, y - border + wobble) * smoothstep(-13.8, -12.0, y) * smoothstep(-0.8, 0.8, z)
    # Bare skin round the lips, an ellipse; a patch below the lower lip stays.
    lips = smoothstep(0.9, 1.3, (ax / 2.65) ** 2 + ((y + 7.05) / (0.8 if y > -7.05 else 1.0)) ** 2)
    beside = smoothstep(0.9, 1.5, (ax / 2.75) ** 2 + ((y + 7.4) / 1.45) ** 2)
    patch = smoothstep(0.9, 0.3, ax) * smoothstep(-8.0, -8.4, y)
    jaw *= lips * max(max(beside, patch), 0.5) if z > 5.0 else 1.0
    upper = smoothstep(-4.95, -5.5, y + 0.3 * wobble + 0.06 * ax * ax) * smoothstep(
        3.3, 2.4, ax + 0.3 * wobble
    )
    upper *= lips * smoothstep(-7.6, -6.4, y) if z > 6.0 else 0.0
    ring = smoothstep(1.0, 0.75, ((ax + 0.5 * wobble) / 3.3) ** 2 + ((y + 9.2) / 3.6) ** 2)
    chin = jaw * ring * smoothstep(5.0, 7.0, z)
    return jaw, upper, chin
