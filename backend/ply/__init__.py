# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians as PLY files of 3D Gaussian splatting (Kerbl et al. 2023): written, and read in many dialects.

Per Gaussian: x y z; nx ny nz (zeros); f_dc_0..2, colour (sRGB) = 0.5 + 0.28209479 f_dc; f_rest_*,
view-dependent colour; opacity as a logit; scale_0..2 as logs; rot_0..3 (w, x, y, z). `tables.py` reads PLY
files as tables, `compressed.py` SuperSplat's packed form.
"""

import math
from pathlib import Path

import numpy as np
import torch

from ..files import replacing
from ..gaussians import Gaussians
from .compressed import is_compressed, unpacked
from .tables import PlyError, read_tables

__all__ = ["PlyError", "read_ply", "write_ply"]

SH_DC = 0.5 / math.sqrt(math.pi)  # the constant spherical harmonic
_OPACITY = (1e-6, 1 - 1e-6)  # a logit is finite between these
_SMALLEST = 1e-9  # metres: a log of a scale is finite from here on
_NEEDED = ("x", "y", "z", "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)))


def write_ply(
    path: str | Path, gaussians: Gaussians, degree: int = 0, matrix: np.ndarray | None = None
) -> None:
    """Writes Gaussians atomically, carried by an affine `matrix` [4,4] where one is given.

    degree 0 to 3: so many bands of view-dependent colour are written, as zeros, for readers that insist on
    them. UserError where the disk refuses, ValueError for linear colours.
    """
    if gaussians.linear:
        raise ValueError("A PLY file of Gaussians holds sRGB colours, but these are linear.")
    if matrix is not None:
        gaussians = _moved(gaussians, torch.from_numpy(np.asarray(matrix, np.float32)))
    quats, scales = gaussians.to_quats_scales()
    rest = 3 * (degree + 1) ** 2 - 3
    columns = {
        "x y z": gaussians.means,
        "nx ny nz": torch.zeros_like(gaussians.means),
        "f_dc_0 f_dc_1 f_dc_2": (gaussians.colors - 0.5) / SH_DC,
        " ".join(f"f_rest_{i}" for i in range(rest)): gaussians.means.new_zeros(len(gaussians), rest),
        "opacity": torch.logit(gaussians.opacities.clamp(*_OPACITY))[:, None],
        "scale_0 scale_1 scale_2": scales.clamp_min(_SMALLEST).log(),
        "rot_0 rot_1 rot_2 rot_3": quats,
    }
    table = torch.cat(list(columns.values()), 1).detach().cpu().numpy().astype("<f4")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    lines += [f"property float {name}" for name in " ".join(columns).split()]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join([*lines, "end_header", ""]).encode() + table.tobytes())


def read_ply(path: str | Path) -> Gaussians:
    """Gaussians of a PLY file: ascii, little or big endian, or compressed; colours are those seen from
    nowhere in particular, without the bands f_rest.

    Infinite logs and logits mean what they say: a flat splat, a transparent or an opaque one. Gaussians
    without a place, a rotation or a finite size are left out. PlyError for a file that holds no splats.
    """
    path = Path(path)
    tables = read_tables(path)
    vertex = tables.get("vertex")
    if vertex is not None and is_compressed(tables):
        columns = unpacked(tables, path.name)
    elif vertex is None or not set(_NEEDED) <= set(vertex.dtype.names or ()):
        raise PlyError(
            f"{path.name} holds no Gaussian splats.", "Choose a PLY file of 3D Gaussian splatting."
        )
    else:
        columns = {name: vertex[name].astype(np.float32) for name in vertex.dtype.names}
    return _gaussians(columns, path.name)


def _gaussians(columns: dict[str, np.ndarray], name: str) -> Gaussians:
    def stack(*names: str) -> np.ndarray:
        return np.stack([columns[one] for one in names], 1)

    means, quats = stack("x", "y", "z"), stack("rot_0", "rot_1", "rot_2", "rot_3")
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.exp(stack("scale_0", "scale_1", "scale_2"))
        opacities = 1 / (1 + np.exp(-columns["opacity"]))
        lengths = np.linalg.norm(quats, axis=1)
    if {"f_dc_0", "f_dc_1", "f_dc_2"} <= columns.keys():
        colors = 0.5 + SH_DC * stack("f_dc_0", "f_dc_1", "f_dc_2")
    elif {"red", "green", "blue"} <= columns.keys():
        colors = stack("red", "green", "blue") / 255
    else:
        colors = np.full_like(means, 0.5)
    every = np.c_[means, scales, opacities, colors, lengths]
    kept = np.isfinite(every).all(1) & (lengths > 1e-6)
    if not kept.any():
        raise PlyError(f"{name} holds no Gaussian that could be drawn.", "Choose another file.")
    fields = (means, quats, scales, opacities, colors)
    return Gaussians.from_quats_scales(
        *(torch.from_numpy(np.ascontiguousarray(field[kept], np.float32)) for field in fields)
    )


def _moved(gaussians: Gaussians, matrix: torch.Tensor) -> Gaussians:
    linear = matrix[:3, :3]
    means = gaussians.means @ linear.T + matrix[:3, 3]
    return Gaussians(means, linear @ gaussians.covariances @ linear.T, gaussians.opacities, gaussians.colors)
