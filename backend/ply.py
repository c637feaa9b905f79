# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians as a PLY file of 3D Gaussian Splatting (Kerbl et al. 2023), which every splat viewer reads.

Float32 properties in its order: position, a normal of zeros, colour as degree-0 spherical harmonics, opacity
as a logit, scales as logarithms, rotation as a quaternion (w, x, y, z).
"""

from pathlib import Path

import numpy as np
import torch

from .errors import UserError
from .files import replacing
from .gaussians import Gaussians

SH0 = 0.28209479177387814  # the constant spherical harmonic, 1 / (2 sqrt(pi))
SMALLEST = 1e-7  # metres; a flat Gaussian's logarithm must stay finite
FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Writes Gaussians with sRGB colours, whole or not at all. Raises UserError when the disk refuses."""
    if gaussians.linear:
        raise ValueError("a PLY file holds sRGB-encoded colours")
    quats, scales = gaussians.to_quats_scales()
    opacity = gaussians.opacities.double().clamp(1e-6, 1 - 1e-6)
    columns = (
        gaussians.means,
        torch.zeros_like(gaussians.means),
        (gaussians.colors - 0.5) / SH0,
        torch.logit(opacity)[:, None].float(),
        scales.clamp_min(SMALLEST).log(),
        quats,
    )
    rows = torch.cat(columns, 1).detach().cpu().numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property float {name}" for name in FIELDS] + ["end_header", ""]
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(rows.tobytes())


def read_ply(path: str | Path) -> Gaussians:
    """Reads such a file back; spherical harmonics above degree 0 are left out. Raises UserError."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}.") from error
    head, separator, body = content.partition(b"end_header\n")
    lines = head.decode("ascii", "replace").split("\n")
    names = [
        line.split()[2] for line in lines if line.startswith("property float ") and len(line.split()) == 3
    ]
    counts = [line.split()[2] for line in lines if line.startswith("element vertex ")]
    if (
        not separator
        or not content.startswith(b"ply")
        or len(counts) != 1
        or not set(FIELDS) <= set(names) | {"nx", "ny", "nz"}
    ):
        raise UserError(f"{path.name} is not a splat PLY file.")
    if not counts[0].isdigit() or len(body) < int(counts[0]) * len(names) * 4:
        raise UserError(f"{path.name} is damaged: it ends early.")
    count = int(counts[0])
    rows = np.frombuffer(body, "<f4", count * len(names)).reshape(count, len(names)).copy()
    if not np.isfinite(rows).all():
        raise UserError(f"{path.name} is damaged: it holds values that are no numbers.")

    def take(*wanted: str) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows[:, [names.index(name) for name in wanted]]))

    return Gaussians.from_quats_scales(
        take("x", "y", "z"),
        take("rot_0", "rot_1", "rot_2", "rot_3"),
        take("scale_0", "scale_1", "scale_2").exp(),
        take("opacity")[:, 0].sigmoid(),
        take("f_dc_0", "f_dc_1", "f_dc_2") * SH0 + 0.5,
    )
