# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours: sRGB as an avatar stores them, scene-linear as Blender wants them."""

import bpy
import torch

# Linear Rec.709 to the other working spaces of Blender 5, white point D65 kept (ACEScg: Bradford to D60).
REC2020 = (
    (0.6274039, 0.3292830, 0.0433131),
    (0.0690973, 0.9195404, 0.0113623),
    (0.0163914, 0.0880133, 0.8955953),
)
ACESCG = (
    (0.6130974, 0.3395231, 0.0473795),
    (0.0701937, 0.9163539, 0.0134524),
    (0.0206156, 0.1095698, 0.8698147),
)
WORKING_SPACES = {"Linear Rec.2020": REC2020, "ACEScg": ACESCG}
LUMA = (0.2126, 0.7152, 0.0722)  # Rec.709
UNSEEN = (1.0, 0.32, 0.0)  # sRGB of what no photo shows


def srgb_to_linear(colors: torch.Tensor) -> torch.Tensor:
    """IEC 61966-2-1, any shape; values below zero become zero, values above one follow the same curve."""
    colors = colors.clamp_min(0)
    return torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def confidence_colors(colors: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    """sRGB [N,3] that say what photos show: there grey, of the brightness of `colors` [N,3]; orange where
    none does. confidence [N] uint8, as an `Avatar` has it.
    """
    grey = (colors @ torch.tensor(LUMA))[:, None]
    unseen = (0.4 + 0.6 * grey) * torch.tensor(UNSEEN)
    return torch.lerp(unseen, grey.expand(-1, 3), confidence[:, None] / 255)


def scene_linear(colors: torch.Tensor) -> torch.Tensor:
    """sRGB [..., 3] to the working space of the open file."""
    linear = srgb_to_linear(colors)
    space = getattr(getattr(bpy.data, "colorspace", None), "working_space", "Linear Rec.709")
    if space in WORKING_SPACES:
        linear = (linear @ torch.tensor(WORKING_SPACES[space], dtype=linear.dtype).T).clamp_min(0)
    return linear
