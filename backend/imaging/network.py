# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense correspondence network: picture -> matte, point of the template, expected error.

A U-Net over strides 2 to 32 whose coarsest level, some 30 tokens, is a small transformer:
which side of the body is seen, and which arm is which, needs the whole picture at once. The outputs have half
of the picture's resolution: points are smooth below that, and a guided filter sharpens the matte afterwards.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class NetworkConfig:
    """Widths at strides 2, 4, 8, 16; width, layers and heads of the transformer at stride 32."""

    input_size: tuple[int, int] = (192, 144)  # height, width in pixels it is trained on and looks with
    widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    token_width: int = 192
    token_layers: int = 3
    token_heads: int = 6
    point_centre: tuple[float, float, float] = (0.0, 0.0, 0.9)  # metres; the middle of the template
    point_scale: float = 0.5  # metres for one unit of the last layer


class Residual(nn.Module):
    """Two 3x3 convolutions with batch normalisation around an identity."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + self.norm2(self.conv2(y)))


class Down(nn.Sequential):
    def __init__(self, width_in: int, width_out: int):
        super().__init__(
            nn.Conv2d(width_in, width_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(),
        )


class Up(nn.Module):
    """Half the stride: 1x1 to the new width, doubling, plus the encoder's features; a residual block."""

    def __init__(self, width_in: int, width_out: int):
        super().__init__()
        self.reduce = nn.Conv2d(width_in, width_out, 1)
        self.block = Residual(width_out)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = functional.interpolate(self.reduce(x), size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.block(x + skip)


class Tokens(nn.Module):
    """A transformer over the coarsest grid, with a learned position per cell (resized for other grids)."""

    def __init__(self, width_in: int, config: NetworkConfig):
        super().__init__()
        width = config.token_width
        self.embed = nn.Conv2d(width_in, width, 3, stride=2, padding=1)
        grid = [math.ceil(side / 32) for side in config.input_size]
        self.position = nn.Parameter(torch.randn(1, width, *grid) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                config.token_heads,
                3 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.token_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        position = self.position
        if position.shape[-2:] != x.shape[-2:]:
            position = functional.interpolate(
                position, size=x.shape[-2:], mode="bilinear", align_corners=False
            )
        x = x + position
        height, width = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens).transpose(1, 2).unflatten(2, (height, width)).contiguous()


class CorrespondenceNetwork(nn.Module):
    """Pictures [B,3,H,W] sRGB in 0..1, H and W even -> dict at half resolution [B,.,H/2,W/2]:

    `matte` logit [B,1], `points` metres in the mean template's canonical space [B,3], `log_error` [B,1]: the
    logarithm of the expected distance in metres between `points` and the truth.
    """

    def __init__(self, config: NetworkConfig | None = None):
        super().__init__()
        self.config = config = config or NetworkConfig()
        a, b, c, d = config.widths
        self.stem = Down(3, a)
        self.down1 = nn.Sequential(Down(a, b), Residual(b))
        self.down2 = nn.Sequential(Down(b, c), Residual(c), Residual(c))
        self.down3 = nn.Sequential(Down(c, d), Residual(d), Residual(d))
        self.tokens = Tokens(d, config)
        self.up3 = Up(config.token_width, d)
        self.up2 = Up(d, c)
        self.up1 = Up(c, b)
        self.reduce = nn.Conv2d(b, a, 1)
        self.last = nn.Conv2d(a, a, 3, padding=1)
        self.out = nn.Conv2d(a, 5, 1)
        self.register_buffer("centre", torch.tensor(config.point_centre).view(1, 3, 1, 1))

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        x1 = self.stem((pictures - 0.5) * 4)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.up3(self.tokens(x4), x4)
        x = self.up2(x, x3)
        x = self.up1(x, x2)
        x = functional.interpolate(self.reduce(x), size=x1.shape[-2:], mode="bilinear", align_corners=False)
        out = self.out(functional.relu(self.last(functional.relu(x + x1)))).float()
        points = out[:, 1:4] * self.config.point_scale + self.centre
        return {"matte": out[:, :1], "points": points, "log_error": out[:, 4:].clamp(-6, 2) - 2}

    def describe(self) -> dict:
        """The config as plain values, for a checkpoint's header."""
        return asdict(self.config)
