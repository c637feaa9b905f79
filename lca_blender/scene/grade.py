# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's own exposure, tint, saturation and sharpness, to match it to a plate or a set."""

from dataclasses import replace
from typing import NamedTuple

import bpy
import torch

from ..backend.gaussians import Gaussians
from ..backend.srgb import encoded_of
from .colour import LUMA, srgb_to_linear


class Grade(NamedTuple):
    """exposure in stops; tint, a factor of each scene-linear channel; saturation 0: grey; sharpness: how
    often the area of splats is halved."""

    exposure: float = 0.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    sharpness: float = 0.0

    @classmethod
    def of(cls, obj: bpy.types.Object) -> "Grade":
        """The grade of an evaluated avatar object."""
        properties = obj.lca
        tint = tuple(properties.tint)
        return cls(properties.exposure, tint, properties.saturation, properties.sharpness)

    def matrix(self) -> torch.Tensor:
        """[3,3] that takes scene-linear colours, as columns, to graded ones."""
        grey = torch.tensor(LUMA).expand(3, 3)
        mixed = torch.lerp(grey, torch.eye(3), self.saturation)
        return 2.0**self.exposure * torch.diag(torch.tensor(self.tint)) @ mixed


def graded(splats: Gaussians, grade: Grade) -> Gaussians:
    """The splats with a grade; the same object where it changes nothing."""
    if grade == Grade():
        return splats
    colors = splats.colors if splats.linear else srgb_to_linear(splats.colors)
    colors = (colors @ grade.matrix().T).clamp_min(0)
    colors = colors if splats.linear else torch.from_numpy(encoded_of(colors.numpy()))
    return replace(splats, colors=colors, covariances=splats.covariances * 2.0**-grade.sharpness)
