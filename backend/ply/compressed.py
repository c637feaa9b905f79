# SPDX-License-Identifier: GPL-3.0-or-later
"""SuperSplat's compressed PLY: Gaussians in chunks of 256, each number a few bits between its chunk's bounds.

Format: PlayCanvas, "Compressed PLY" (splat-transform and SuperSplat write it). Positions and log scales have
11, 10 and 11 bits; a rotation has 2 bits that name its largest component of (w, x, y, z) and 10 for each
other one; colours and opacity have 8. Older files have no bounds of colours.
"""

import numpy as np

from .tables import PlyError

CHUNK = 256
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
COLUMNS = (
    *("x", "y", "z", "scale_0", "scale_1", "scale_2", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("rot_0", "rot_1", "rot_2", "rot_3"),
)
SH_DC = 0.28209479177387814  # the constant spherical harmonic


def is_compressed(tables: dict[str, np.ndarray]) -> bool:
    return set(PACKED) <= set(tables["vertex"].dtype.names or ())


def unpacked(tables: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The columns of an ordinary PLY file of Gaussians, float32."""
    vertex, chunk = tables["vertex"], tables.get("chunk")
    if chunk is None or len(chunk) * CHUNK < len(vertex):
        raise PlyError(f"{name} is damaged: bounds of its chunks are missing.")
    words = {one: vertex[one].astype(np.uint32) for one in PACKED}
    row = np.arange(len(vertex)) // CHUNK

    def between(shares: np.ndarray, low: list[str], high: list[str]) -> np.ndarray:
        if not set(low + high) <= set(chunk.dtype.names):
            raise PlyError(f"{name} is damaged: bounds of its chunks are missing.")
        lows, highs = (np.stack([chunk[one][row] for one in names], 1) for names in (low, high))
        return (lows * (1 - shares) + highs * shares).astype(np.float32)

    def bounds(*axes: str) -> tuple[list[str], list[str]]:
        return [f"min_{axis}" for axis in axes], [f"max_{axis}" for axis in axes]

    means = between(_bits(words["packed_position"], 11, 10, 11), *bounds("x", "y", "z"))
    scales = between(_bits(words["packed_scale"], 11, 10, 11), *bounds("scale_x", "scale_y", "scale_z"))
    colors = _bits(words["packed_color"], 8, 8, 8, 8)
    opacities = colors[:, 3]
    rgb = colors[:, :3]
    if "min_r" in chunk.dtype.names:
        rgb = between(rgb, *bounds("r", "g", "b"))
    with np.errstate(divide="ignore"):
        logits = np.log(opacities) - np.log(1 - opacities)
    columns = (*means.T, *scales.T, *((rgb - 0.5) / SH_DC).T, logits, *_rotations(words["packed_rotation"]).T)
    return {one: column.astype(np.float32) for one, column in zip(COLUMNS, columns, strict=True)}


def _bits(words: np.ndarray, *widths: int) -> np.ndarray:
    """Numbers of so many bits out of 32-bit words, the highest first, as shares of the largest: [n,len]."""
    shift, found = sum(widths), []
    for width in widths:
        shift -= width
        found.append((words >> np.uint32(shift) & np.uint32((1 << width) - 1)) / ((1 << width) - 1))
    return np.stack(found, 1)


def _rotations(words: np.ndarray) -> np.ndarray:
    """Quaternions [n,4] (w, x, y, z)."""
    others = (_bits(words & np.uint32((1 << 30) - 1), 10, 10, 10) - 0.5) * np.sqrt(2)
    largest = np.sqrt(np.clip(1 - (others**2).sum(1), 0, None))
    which = (words >> np.uint32(30)).astype(int)
    quats = np.empty((len(words), 4))
    for place in range(4):
        rows = which == place
        quats[rows] = np.insert(others[rows], place, largest[rows], axis=1)
    return quats
