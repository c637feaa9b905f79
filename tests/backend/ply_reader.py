# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a PLY file of Gaussians as other programs do: by its header."""

import numpy as np
import torch
from lca_blender.backend.gaussians import Gaussians

SH_DC = 0.28209479177387814


def read_columns(path):
    """Name -> values [N] float32 of a binary little-endian PLY file of floats."""
    header, _, data = path.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float")]
    count = int(lines[2].removeprefix("element vertex "))
    table = np.frombuffer(data, "<f4").reshape(count, len(names))
    return dict(zip(names, table.T.copy(), strict=True))


def read_ply(path):
    columns = {name: torch.from_numpy(values) for name, values in read_columns(path).items()}

    def stack(*names):
        return torch.stack([columns[name] for name in names], 1)

    return Gaussians.from_quats_scales(
        stack("x", "y", "z"),
        stack("rot_0", "rot_1", "rot_2", "rot_3"),
        stack("scale_0", "scale_1", "scale_2").exp(),
        torch.sigmoid(columns["opacity"]),
        0.5 + SH_DC * stack("f_dc_0", "f_dc_1", "f_dc_2"),
    )
