# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered pictures as files: whether one is whole, and what a person sees of it."""

from pathlib import Path

import numpy as np
from PIL import Image

from .. import exr
from ..srgb import encoded_of

GREY = 0.18  # scene-linear, behind transparent pictures in films and sheets


def is_whole(file: Path, size: tuple[int, int], kind: str | None = None) -> bool:
    """Whether a file is there, of this width and height, and can be read to its end; kind: its suffix, where
    its name does not say it."""
    try:
        if (kind or file.suffix.lower()) == ".exr":
            return exr.check(file) == size
        with Image.open(file, formats=["PNG"]) as picture:
            picture.load()
            return picture.size == size
    except (OSError, ValueError, SyntaxError):
        return False


def shown(file: Path) -> Image.Image:
    """A rendered picture on grey, 8 bits sRGB: a PNG as it is, an OpenEXR by the sRGB curve.

    ValueError and OSError for one that cannot be read.
    """
    if file.suffix.lower() == ".exr":
        channels = exr.read(file, _is_combined)
        channels = {name.rpartition(".")[2]: values.astype(np.float32) for name, values in channels.items()}
        if not channels.keys() >= set("RGB"):
            raise ValueError(f"{file.name} has no picture of colours.")
        color = np.stack([channels[letter] for letter in "RGB"], -1)
        if "A" in channels:
            color += GREY * (1 - channels["A"])[..., None]
        return Image.fromarray((encoded_of(np.nan_to_num(color).clip(0, 1)) * 255 + 0.5).astype(np.uint8))
    with Image.open(file, formats=["PNG"]) as picture:
        picture = picture.convert("RGBA")
    grey = round(255 * float(encoded_of(np.float32(GREY))))
    paper = Image.new("RGBA", picture.size, (grey, grey, grey, 255))
    return Image.alpha_composite(paper, picture).convert("RGB")


def _is_combined(channel: str) -> bool:
    return channel in ("R", "G", "B", "A") or channel.rpartition(".")[0].endswith("Combined")
