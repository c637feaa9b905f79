# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoder of expression codes from photos of faces.

A code has 128 numbers. Which linear mixture of them means what is free, so it is chosen such that the linear
readouts to and from ARKit's 52 values are `body.expression.arkit_from_code` and `expression_code`, whose rows
are orthonormal. Sliders therefore give a code without looking at a photo, a photo's code gives slider values,
and the 76 numbers at right angles to the rows are left for what ARKit has no name for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..body.expression import CODE_SIZE, arkit_from_code, expression_code

SIZE = (96, 96)  # pixels at which a face is read
WIDTHS = (4, 24, 48, 96, 160, 192)
GAZE = 4  # yaw and pitch of both eyes


@dataclass(frozen=True)
class FaceReading:
    """What faces show: code [...,128], gaze [...,2,2] radians as in a `Signal`."""

    code: Tensor
    gaze: Tensor


def beyond_arkit(code: Tensor) -> Tensor:
    """The part [...,128] of codes that ARKit's values do not express."""
    return code - expression_code(arkit_from_code(code))


def even_light(photos: Tensor) -> Tensor:
    """Masked photos [N,3 or 4,H,W] -> [N,4,H,W]: colours of mean 0 and deviation 1 where the matte is 1, the
    matte. Skin and light leave less of a trace in the code."""
    matte = photos[:, 3:] if photos.shape[1] == 4 else torch.ones_like(photos[:, :1])
    count = matte.sum((2, 3), keepdim=True) + 1
    color = (photos[:, :3] - (photos[:, :3] * matte).sum((2, 3), keepdim=True) / count) * matte
    deviation = (color.square().sum((1, 2, 3), keepdim=True) / (3 * count)).sqrt()
    return torch.cat([color / (deviation + 0.02), matte], 1)


def face_trunk() -> nn.Sequential:
    """Photos by `even_light` [N,4,96,96] -> features [N,192,3,3]."""
    parts: list[nn.Module] = []
    for n, (before, after) in enumerate(pairwise(WIDTHS)):
        size = 3 if n else 5
        parts += [nn.Conv2d(before, after, size, 2, size // 2), nn.ReLU()]
    return nn.Sequential(*parts)


class FaceEncoder(nn.Module):
    """Masked photos of faces by `face_crop`, of any size -> `FaceReading`."""

    def __init__(self):
        super().__init__()
        self.trunk = face_trunk()
        last = nn.Linear(256, CODE_SIZE + GAZE)
        nn.init.normal_(last.weight, 0, 0.01)
        nn.init.zeros_(last.bias)
        first = nn.Linear(WIDTHS[-1] * 9, 256)
        # Without the norm the first steps push all 256 below zero, and the code is the mean for ever.
        self.read = nn.Sequential(nn.Flatten(), first, nn.LayerNorm(256), nn.ReLU(), last)

    def forward(self, faces: Tensor) -> FaceReading:
        """faces [...,3 or 4,H,W] in 0..1, the background grey."""
        flat = faces.flatten(0, -4)
        if flat.shape[-2:] != SIZE:
            flat = F.interpolate(flat, SIZE, mode="bilinear", antialias=True)
        out = self.read(self.trunk(even_light(flat))).float().unflatten(0, faces.shape[:-3])
        return FaceReading(out[..., :CODE_SIZE], out[..., CODE_SIZE:].unflatten(-1, (2, 2)))
