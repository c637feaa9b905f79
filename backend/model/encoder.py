# SPDX-License-Identifier: GPL-3.0-or-later
"""Image encoders: photos [B,V,C,H,W] in 0..1 -> features [B,V,h,w,width]. Interchangeable."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import SelfBlock
from .config import ModelConfig


def make_encoder(config: ModelConfig) -> nn.Module:
    """The encoder that the configuration names; a Sapiens encoder still has to `load` its weights."""
    if config.encoder != "starter":
        from .sapiens import SapiensEncoder
        from .sapiens2 import Sapiens2Encoder

        make = {"sapiens": SapiensEncoder, "sapiens2": Sapiens2Encoder}[config.encoder]
        return make(config.encoder_width, config.encoder_layers, config.encoder_heads, config.patch)
    return StarterEncoder(config)


def grid_features(rows: int, columns: int, device=None, bands: int = 4) -> Tensor:
    """[rows, columns, 2 + 4 bands]: coordinates of the patch centres in -1..1, their sines and cosines."""
    line = lambda n: (torch.arange(n, device=device) + 0.5) / n * 2 - 1  # noqa: E731
    grid = torch.stack(torch.meshgrid(line(rows), line(columns), indexing="ij"), -1)  # (rows, columns, 2)
    waves = (grid[..., None] * (2.0 ** torch.arange(bands, device=device) * torch.pi / 2)).flatten(-2)
    return torch.cat([grid, waves.sin(), waves.cos()], -1)


class StarterEncoder(nn.Module):
    """Linear patches with their place in the photo, and optionally a few transformer layers."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.encoder_width
        self.patches = nn.Conv2d(config.image_channels, width, config.patch, config.patch)
        self.place = nn.Linear(18, width)
        inner = config.with_(width=width, heads=config.encoder_heads, pixel_values=False)
        self.blocks = nn.ModuleList(SelfBlock(inner) for _ in range(config.encoder_layers))

    def forward(self, images: Tensor) -> Tensor:
        b, v = images.shape[:2]
        x = self.patches(images.flatten(0, 1) * 2 - 1).permute(0, 2, 3, 1)  # (B V, rows, columns, C)
        rows, columns = x.shape[1:3]
        x = (x + self.place(grid_features(rows, columns, x.device))).flatten(1, 2)  # (B V, n, C)
        for block in self.blocks:
            x = block(x)
        return x.reshape(b, v, rows, columns, -1)
