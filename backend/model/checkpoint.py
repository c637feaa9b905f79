# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained network in one safetensors file: fp16 weights and the configuration as JSON."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from .config import PRESETS, ModelConfig
from .feature_cache import FeatureCache
from .files import read_tensors, write_tensors
from .lca import LCA

VERSION = 1
DATA = Path(__file__).parent / "data"


class CheckpointError(UserError):
    """A model file that cannot be used."""


def bundled(name: str) -> Path:
    """Where the weights of a bundled preset lie."""
    return DATA / f"{name}.safetensors"


def save_model(path: str | Path, model: LCA, **notes) -> None:
    """Write the network; a frozen encoder is left out.

    notes: JSON values kept in the header (steps, people seen).
    """
    tensors = {k: v.detach().to("cpu", torch.float16) for k, v in model.trainable()}
    if not all(torch.isfinite(t).all() for t in tensors.values()):
        raise CheckpointError("The network's weights do not fit fp16 or are no numbers; nothing was written.")
    write_tensors(path, tensors, {"lca_model": VERSION, "config": model.config.to_json(), "notes": notes})


def load_model(
    name_or_path: str | Path = "starter",
    encoder_weights: str | Path | None = None,
    features: str | Path | None = None,
) -> LCA:
    """A network in evaluation mode from a preset's bundled weights or from a file.

    encoder_weights, features: see `load_encoder`, where the configuration asks for a Sapiens encoder.
    """
    path = bundled(str(name_or_path)) if str(name_or_path) in PRESETS else Path(name_or_path)
    if str(name_or_path) in PRESETS and not path.is_file():
        raise CheckpointError(
            f"No weights of the {name_or_path} model are bundled.",
            "Train it with `lca train`, or give a file.",
        )
    tensors, header = read_tensors(path)
    version = header.get("lca_model") if isinstance(header, dict) else None
    if not isinstance(version, int):
        raise CheckpointError(f"{path.name} holds no LCA model.")
    if version > VERSION:
        raise CheckpointError(f"{path.name} was written by a newer version of this program.")
    model = LCA(ModelConfig.from_json(header.get("config")))
    fill(model, tensors, path.name)
    if model.config.encoder != "starter":
        load_encoder(model, encoder_weights, features)
    model.notes = header.get("notes", {})
    return model.eval()


def load_encoder(model: LCA, weights: str | Path | None, features: str | Path | None = None) -> None:
    """Give a network the user's Sapiens checkpoint; features: a folder to keep those of photos in."""
    if weights is None:
        raise CheckpointError("This model needs the Sapiens image encoder.", "Download it and give its path.")
    model.encoder.load(weights)
    model.encoder.cache = FeatureCache(features) if features is not None else None


def fill(model: LCA, tensors: dict[str, Tensor], name: str) -> None:
    """Copy weights into the network; every name, shape and value must fit."""
    own = dict(model.trainable())
    if odd := sorted(set(own) ^ set(tensors)):
        raise CheckpointError(f"{name} does not fit its own configuration (first misfit: {odd[0]}).")
    for key, parameter in own.items():
        if tensors[key].shape != parameter.shape or not torch.isfinite(tensors[key]).all():
            raise CheckpointError(f"{name} holds a wrong tensor: {key}.")
    with torch.no_grad():
        for key, parameter in own.items():
            parameter.copy_(tensors[key])
