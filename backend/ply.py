# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes Gaussians as the PLY file of 3D Gaussian splatting (Kerbl et al. 2023), binary little endian.

Per Gaussian: x y z; nx ny nz (zeros); f_dc_0..2, colour (sRGB) = 0.5 + 0.28209479 f_dc; f_rest_*,
view-dependent colour, is not written; opacity as a logit; scale_0..2 as logs; rot_0..3 (w, x, y,
z).
"""

import math
from pathlib import Path

import torch

from .files import replacing
from .gaussians import Gaussians

SH_DC = 0.5 / math.sqrt(math.pi)  # the constant spherical harmonic
FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
_OPACITY = (1e-6, 1 - 1e-6)  # a logit is finite between these
_SMALLEST = 1e-9  # metres: a log of a scale is finite from here on


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Writes Gaussians atomically. UserError where the disk refuses, ValueError for linear colours."""
    if gaussians.linear:
        raise ValueError("A PLY file of Gaussians holds sRGB colours, but these are linear.")
    quats, scales = gaussians.to_quats_scales()
    columns = (
        gaussians.means,
        torch.zeros_like(gaussians.means),
        (gaussians.colors - 0.5) / SH_DC,
        torch.logit(gaussians.opacities.clamp(*_OPACITY))[:, None],
        scales.clamp_min(_SMALLEST).log(),
        quats,
    )
    table = torch.cat(columns, 1).detach().cpu().numpy().astype("<f4")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    lines += [f"property float {name}" for name in FIELDS]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join([*lines, "end_header", ""]).encode() + table.tobytes())
