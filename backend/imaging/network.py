# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense correspondence network: picture -> matte, point of the template, expected error.

A U-Net over strides 2 to 16 whose coarsest level is a small transformer: which side of the body is seen, and
which arm is which, needs the whole picture at once. The outputs have half of the picture's resolution: points
are smooth below that, and `matting.py` lays the matte's edge along the photo's colours.

A body seen from behind looks much like its mirror image seen from the front. A network that is asked for one
point answers such doubt with the mean of both, which lies nowhere. So it is asked which half (left or right)
and which side (front or back) of the body a pixel shows, and for the point given the answers.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class NetworkConfig:
    """Widths at strides 2, 4, 8, 16; width, layers and heads of the transformer at stride 16."""

    input_size: tuple[int, int] = (192, 144)  # height, width in pixels it is trained on and looks with
    widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    token_width: int = 192
    token_layers: int = 5
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
        self.embed = nn.Conv2d(width_in, width, 3, padding=1)
        grid = [math.ceil(side / 16) for side in config.input_size]
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
        for layer in self.layers:  # every layer begins as the identity
            nn.init.zeros_(layer.self_attn.out_proj.weight)
            nn.init.zeros_(layer.linear2.weight)
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
    logarithm of the expected distance in metres between `points` and the truth; `left` and `front`, logits
    [B,1] of the subject's left half and front side; and what the points are made of: `across` [B,1], the
    distance from the body's middle plane, `depth` [B,2], y on the front and on the back, `height` [B,1], z.
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
        self.last = nn.Conv2d(a, 2 * a, 3, padding=1)
        self.out = nn.Conv2d(2 * a, 8, 1)
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
        log_error = out[:, 4:5].clamp(-6, 2) - 2
        matte, points = out[:, :1], out[:, 1:4] * self.config.point_scale + self.centre
        across, height = points[:, :1], points[:, 2:]
        depth = torch.cat([points[:, 1:2], out[:, 5:6] * self.config.point_scale], 1)
        left, front = out[:, 6:7], out[:, 7:8]
        return {
            "matte": matte,
            "points": choose_point(left > 0, front > 0, across, depth, height),
            "log_error": log_error,
            "left": left,
            "front": front,
            "across": across,
            "depth": depth,
            "height": height,
        }

    def describe(self) -> dict:
        """The config as plain values, for a checkpoint's header."""
        return asdict(self.config)


def choose_point(left, front, across, depth, height) -> torch.Tensor:
    """Points [B,3,h,w] metres of the half and the side that the masks [B,1,h,w] name."""
    x = torch.where(left, across, -across)
    return torch.cat([x, torch.where(front, depth[:, :1], depth[:, 1:]), height], 1)


def mean_of_mirrored(
    out: dict[str, torch.Tensor], mirrored: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The answers to pictures and to their mirror images, made one."""
    back = {name: tensor.flip(-1) for name, tensor in mirrored.items()}
    back["left"] = -back["left"]  # what was on the left hand is now on the right one
    mean = {name: 0.5 * (tensor + back[name]) for name, tensor in out.items()}
    parts = (mean[name] for name in ("across", "depth", "height"))
    return {**mean, "points": choose_point(mean["left"] > 0, mean["front"] > 0, *parts)}
