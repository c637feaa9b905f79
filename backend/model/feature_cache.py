# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a frozen encoder, kept on disk: a photo is encoded once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from ..tensor_file import TensorFile, TensorFileError, write_tensors


def fingerprint(encoder: nn.Module) -> str:
    """Tells encoders apart by their biases and norms: quick for billions of weights."""
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        if value.ndim == 1:
            digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


class FeatureCache:
    """A folder of features, one file a photo, for one encoder after another.

    A photo is known by its pixels (8 bits a channel) and its size; a file that cannot be read is made again.
    """

    def __init__(self, folder: str | Path):
        self.folder, self._owner = Path(folder), (None, "")

    def path(self, encoder: nn.Module, rgb: Tensor) -> Path:
        """Where the features of a photo [3,H,W] lie."""
        if self._owner[0] is not encoder:
            self._owner = (encoder, fingerprint(encoder))
        pixels = (rgb.clamp(0, 1) * 255).round().byte().cpu()
        name = hashlib.sha256(str(tuple(pixels.shape)).encode() + pixels.numpy().tobytes()).hexdigest()[:32]
        return self.folder / self._owner[1] / name[:2] / f"{name}.safetensors"

    def __call__(self, encoder: nn.Module, rgb: Tensor) -> Tensor:
        """`encoder.features` of photos [N,3,H,W], from disk where they are known."""
        paths = [self.path(encoder, photo) for photo in rgb]
        known = [_read(path) for path in paths]
        if missing := [n for n, value in enumerate(known) if value is None]:
            for n, value in zip(missing, encoder.features(rgb[missing]), strict=True):
                known[n] = value
                paths[n].parent.mkdir(parents=True, exist_ok=True)
                write_tensors(paths[n], {"features": value.cpu()})
        return torch.stack([value.to(rgb.device) for value in known])


def _read(path: Path) -> Tensor | None:
    if not path.is_file():
        return None
    try:
        return TensorFile(path).tensors()["features"]
    except (TensorFileError, KeyError):
        return None
