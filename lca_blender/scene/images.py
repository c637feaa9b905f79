# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's images as arrays."""

import bpy
import numpy as np

from ..backend.errors import UserError


def pixels(image: bpy.types.Image) -> np.ndarray:
    """[H,W,4] float32, row 0 at the top, values as Blender holds them (8-bit files: the file's / 255)."""
    width, height = image.size
    if not width or not height:
        raise UserError(
            f"The image \u201c{image.name}\u201d has no pixels.",
            "Check that its file exists and is a picture.",
        )
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    return np.ascontiguousarray(flat.reshape(height, width, 4)[::-1])
