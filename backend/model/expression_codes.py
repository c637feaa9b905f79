# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression codes read from photos of faces.

A code has 128 numbers. Which linear mixture of them means what is free, so it is chosen such that the linear
readouts to and from ARKit's 52 values are `body.expression.arkit_from_code` and `expression_code`, whose rows
are orthonormal. Sliders therefore give a code without looking at a photo, a photo's code gives slider values,
and the 76 numbers at right angles to the rows are left for what ARKit has no name for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..body.expression import CODE_SIZE, arkit_from_code, expression_code
from ..tensor_file import TensorFile, fill, write_tensors

SIZE = (96, 96)  # pixels at which a face is read
WIDTHS = (4, 24, 48, 96, 160, 192)
GAZE = 4  # yaw and pitch of both eyes
VERSION = 1


@dataclass(frozen=True)
class FaceReading:
    """What faces show: code [...,128], gaze [...,2,2] radians as in a `Signal`."""

    code: Tensor
    gaze: Tensor

    @property
    def arkit(self) -> Tensor:
        """ARKit values [...,52] in 0..1."""
        return arkit_from_code(self.code).clamp(0, 1)


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


def face_trunk(training: bool = False) -> nn.Sequential:
    """Photos by `even_light` [N,4,96,96] -> features [N,192,3,3]; with batch normalisation for `training`."""
    parts: list[nn.Module] = []
    for n, (before, after) in enumerate(pairwise(WIDTHS)):
        size = 3 if n else 5
        parts.append(nn.Conv2d(before, after, size, 2, size // 2))
        if training:
            parts.append(nn.BatchNorm2d(after))
        parts.append(nn.ReLU())
    return nn.Sequential(*parts)


class FaceEncoder(nn.Module):
    """Masked photos of faces by `face_crop`, of any size -> `FaceReading`.

    `training`: with the batch normalisation that a start from nothing needs; `folded` takes it out again.
    """

    def __init__(self, training: bool = False):
        super().__init__()
        self.trunk = face_trunk(training)
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

    def folded(self) -> FaceEncoder:
        """The same function as in evaluation mode, without batch normalisation."""
        out = FaceEncoder()
        plain = [m for m in out.trunk if isinstance(m, nn.Conv2d)]
        norms = [m for m in self.trunk if isinstance(m, nn.BatchNorm2d)]
        own = [m for m in self.trunk if isinstance(m, nn.Conv2d)]
        for target, convolution, norm in zip(plain, own, norms, strict=True):
            target.load_state_dict(fuse_conv_bn_eval(convolution.eval(), norm.eval()).state_dict())
        out.read.load_state_dict(self.read.state_dict())
        return out.eval()


def bundled_codes() -> Path:
    """Where the codes that come with the package lie."""
    return Path(__file__).parent / "data" / "codes.safetensors"


def save_codes(path: str | Path, encoder: FaceEncoder, **notes) -> None:
    """Write the encoder as fp16, with notes in the header."""
    tensors = {k: v.to("cpu", torch.float16) for k, v in encoder.state_dict().items()}
    write_tensors(path, tensors, header={"lca_codes": VERSION, "notes": notes})


def load_codes(path: str | Path) -> FaceEncoder:
    """The encoder in `path`, in evaluation mode; `UserError` where the file is none."""
    file = TensorFile(path, "file of expression codes", "Choose another file.")
    if file.header().get("lca_codes") != VERSION:
        raise file.wrong(f"{file.path.name} holds no expression codes of this version.")
    encoder = FaceEncoder()
    fill(encoder.state_dict(), file)
    return encoder.eval()
