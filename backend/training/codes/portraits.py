# SPDX-License-Identifier: GPL-3.0-or-later
"""A small image decoder that stands for the avatar's while expression codes are learned from crops alone."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...body.expression import CODE_SIZE, gaze_vectors
from ...model.expression_codes import face_trunk

SIZE = (48, 48)  # of the pictures it draws
POSE = 9 + 6  # the head's rotation, two gaze vectors


class Appearance(nn.Module):
    """Who somebody is and how the picture is lit, from a photo: features [N,192,3,3]."""

    def __init__(self):
        super().__init__()
        self.trunk = face_trunk(training=True)

    def forward(self, photos: Tensor) -> Tensor:
        return self.trunk(photos * 2 - 1)


def identity_of(appearance: Tensor) -> Tensor:
    """Unit vectors [N,192] of appearance features."""
    return F.normalize(appearance.mean((2, 3)), dim=-1)


class UpBlock(nn.Module):
    """Twice the size; shifted and scaled by the driving signal."""

    def __init__(self, before: int, after: int, signal: int):
        super().__init__()
        self.convolve = nn.Conv2d(before, after, 3, 1, 1)
        self.norm = nn.GroupNorm(8, after, affine=False)
        self.modulate = nn.Linear(signal, 2 * after)

    def forward(self, x: Tensor, signal: Tensor) -> Tensor:
        shift, scale = self.modulate(signal)[..., None, None].chunk(2, 1)
        x = self.convolve(F.interpolate(x, scale_factor=2.0))
        return F.silu(self.norm(x) * (1 + scale) + shift)


class Portraits(nn.Module):
    """Appearance [N,192,3,3], code [N,128], turn [N,3,3] and gaze [N,2,2] -> premultiplied RGBA [N,4,48,48].

    As in the pose-dependent decoder, the head's pose and the gaze enter beside the code: it need not hold
    them.
    """

    def __init__(self):
        super().__init__()
        self.signal = nn.Sequential(
            nn.Linear(CODE_SIZE + POSE, 192), nn.SiLU(), nn.Linear(192, 192), nn.SiLU()
        )
        widths = (192, 160, 96, 64)
        self.blocks = nn.ModuleList(UpBlock(a, b, 192) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 16, 3, 1, 1)

    def forward(self, appearance: Tensor, code: Tensor, turn: Tensor, gaze: Tensor) -> Tensor:
        signal = self.signal(torch.cat([code, turn.flatten(1), gaze_vectors(gaze)], -1))
        x = appearance
        for block in self.blocks:
            x = block(x, signal)
        return torch.sigmoid(F.pixel_shuffle(self.last(x), 2))
