# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS with a VGG-16 backbone (Zhang 2018, arXiv 1801.03924), from weights that the user has on disk."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from ...model.sapiens import read_checkpoint

BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # torchvision's numbers of VGG-16
CHANNELS = (64, 128, 256, 512, 512)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """`lpips(a, b)` of images [B,H,W,3] in 0..1: the mean distance. Its weights are frozen."""

    def __init__(self):
        super().__init__()
        channels = 3
        self.blocks = nn.ModuleList()
        for numbers, width in zip(BLOCKS, CHANNELS, strict=True):
            self.blocks.append(
                nn.ModuleList(
                    nn.Conv2d(w, width, 3, padding=1) for w in (channels,) + (width,) * (len(numbers) - 1)
                )
            )
            channels = width
        self.lines = nn.ParameterList(torch.zeros(1, width, 1, 1) for width in CHANNELS)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """The last activation of every block, normalised over its channels."""
        x, out = (images.movedim(-1, 1) * 2 - 1 - self.shift) / self.scale, []
        for number, block in enumerate(self.blocks):
            x = F.max_pool2d(x, 2) if number else x
            for layer in block:
                x = F.relu(layer(x))
            out.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return out

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(self.features(a), self.features(b), self.lines, strict=True)
        return sum(((x - y).square() * line).sum(1).mean() for x, y, line in pairs)


def load_lpips(path: str | Path) -> Lpips:
    """A state dict (.pth) with torchvision's VGG-16 `features.*` and LPIPS's `lin<i>.model.1.weight`; both
    files of the `lpips` package and torchvision merged into one. `UserError` where it cannot be read or lacks
    a tensor.
    """
    state, model = read_checkpoint(path), Lpips()
    with torch.no_grad():
        for i, (numbers, block) in enumerate(zip(BLOCKS, model.blocks, strict=True)):
            for n, layer in zip(numbers, block, strict=True):
                layer.weight.copy_(_take(state, f"features.{n}.weight", layer.weight))
                layer.bias.copy_(_take(state, f"features.{n}.bias", layer.bias))
            model.lines[i].copy_(_take(state, f"lin{i}.model.1.weight", model.lines[i]))
    return model.eval()


def _take(state: dict, key: str, like: Tensor) -> Tensor:
    if key not in state or state[key].shape != like.shape:
        raise UserError(f"The LPIPS backbone lacks {key}.")
    return state[key]
