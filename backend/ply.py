# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians as the PLY file of 3D Gaussian splatting (Kerbl et al. 2023), binary little endian.

Per Gaussian: x y z; nx ny nz (zeros); f_dc_0..2, colour (sRGB) = 0.5 + 0.28209479 f_dc; f_rest_*,
view-dependent colour, neither read nor written; opacity as a logit; scale_0..2 as logs; rot_0..3 (w, x, y,
z).
"""

import math
import os
from pathlib import Path

import numpy as np
import torch

from .errors import UserError
from .files import replacing
from .gaussians import Gaussians

SH_DC = 0.5 / math.sqrt(math.pi)  # the constant spherical harmonic
FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
_NEEDED = tuple(name for name in FIELDS if name not in ("nx", "ny", "nz"))
_TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2"},
    **{"ushort": "<u2", "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4"},
    **{"float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8"},
}
_MAX_HEADER = 1 << 16
_OPACITY = (1e-6, 1 - 1e-6)  # a logit is finite between these
_SMALLEST = 1e-9  # metres: a log of a scale is finite from here on


class PlyError(UserError):
    """A PLY file that holds no Gaussians that can be read."""


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Writes Gaussians, whole or not at all. UserError if the disk refuses, ValueError for linear colours."""
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


def read_ply(path: str | Path) -> Gaussians:
    """The Gaussians of a PLY file of this or another program. PlyError says what is wrong with it."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            dtype, count = _read_header(file, path.name)
            if count * dtype.itemsize > size - file.tell():
                raise PlyError(f"{path.name} is cut off.", "Export it again.")
            table = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    except OSError as error:
        raise PlyError(f"{path.name} cannot be read: {error.strerror}.") from error
    columns = {name: torch.from_numpy(table[name].astype(np.float32)) for name in _NEEDED}
    bad = next((name for name, column in columns.items() if not torch.isfinite(column).all()), None)
    if bad:
        raise PlyError(f"{path.name} holds a value of {bad} that is not finite.")

    def stack(*names):
        return torch.stack([columns[name] for name in names], 1)

    return Gaussians.from_quats_scales(
        stack("x", "y", "z"),
        stack("rot_0", "rot_1", "rot_2", "rot_3"),
        stack("scale_0", "scale_1", "scale_2").exp(),
        torch.sigmoid(columns["opacity"]),
        stack("f_dc_0", "f_dc_1", "f_dc_2") * SH_DC + 0.5,
    )


def _read_header(file, name: str) -> tuple[np.dtype, int]:
    """Type and number of the vertices; the file then stands at their first byte."""
    lines = []
    while not lines or lines[-1] != "end_header":
        raw = file.readline(1024)
        if not raw.endswith(b"\n") or file.tell() > _MAX_HEADER or (not lines and raw.strip() != b"ply"):
            raise PlyError(f"{name} is no PLY file.")
        lines.append(raw.decode("ascii", "replace").strip())
    words = [line.split() for line in lines if line]
    if ["format", "binary_little_endian", "1.0"] not in words:
        raise PlyError(f"{name} is not a binary PLY file.", "Export it as binary, little endian.")
    elements = [w for w in words if w[0] == "element"]
    if (
        not elements
        or elements[0][1:2] != ["vertex"]
        or len(elements[0]) != 3
        or not elements[0][2].isdecimal()
    ):
        raise PlyError(f"{name} does not begin with its vertices.")
    first = words.index(elements[0])
    last = words.index(elements[1]) if len(elements) > 1 else len(words)
    fields = [w for w in words[first:last] if w[0] == "property"]
    if any(len(w) != 3 or w[1] not in _TYPES for w in fields):
        raise PlyError(f"{name} holds a property of a kind that Gaussians do not have.")
    names = [w[2] for w in fields]
    missing = [field for field in _NEEDED if field not in names]
    if missing or len(set(names)) != len(names):
        lacking = f"it has no {missing[0]}" if missing else "a property appears twice"
        raise PlyError(f"{name} holds no Gaussians: {lacking}.")
    return np.dtype([(w[2], _TYPES[w[1]]) for w in fields]), int(elements[0][2])
