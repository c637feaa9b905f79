# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained network in one safetensors file: fp16 weights and the configuration as JSON."""

from __future__ import annotations

from pathlib import Path

import torch

from ..tensor_file import TensorFile, TensorFileError, check_weights, fill, write_tensors
from .config import PRESETS, ConfigError, ModelConfig
from .feature_cache import FeatureCache
from .lca import LCA

VERSION = 1
DATA = Path(__file__).parent / "data"


class CheckpointError(TensorFileError):
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
        raise CheckpointError(
            "The network's weights do not fit fp16 or contain NaN or infinity; nothing was written."
        )
    header = {"lca_model": VERSION, "config": model.config.to_json(), "notes": notes}
    write_tensors(path, tensors, header=header)


def load_model(
    name_or_path: str | Path = "starter",
    encoder_weights: str | Path | None = None,
    features: str | Path | None = None,
) -> LCA:
    """A network in evaluation mode from a preset's bundled weights or from a file.

    encoder_weights, features: see `load_encoder`, where the configuration asks for a Sapiens encoder.
    """
    shipped = str(name_or_path) in PRESETS
    path = bundled(str(name_or_path)) if shipped else Path(name_or_path)
    if shipped and not path.is_file():
        raise CheckpointError(
            f"No weights of the {name_or_path} model are bundled.",
            "Train it with `lca train`, or give a file.",
        )
    file = TensorFile(path, "model file", "Choose another model file.", CheckpointError)
    header = file.header()
    version, notes = header.get("lca_model"), header.get("notes", {})
    if type(version) is not int or not isinstance(notes, dict):
        raise file.wrong(f"{path.name} holds no LCA model.")
    if version > VERSION:
        raise CheckpointError(f"{path.name} was written by a newer version of this program.")
    try:
        config = ModelConfig.from_json(header.get("config"))
        if not shipped:  # torch's meta device takes a second of imports
            _check_size(config, file, encoder_weights)
    except ConfigError as error:
        raise file.wrong(f"{path.name} cannot be used. {error.message}") from error
    model = LCA(config)
    fill(dict(model.trainable()), file)
    if config.encoder != "starter":
        load_encoder(model, encoder_weights, features)
    model.notes = notes
    return model.eval()


def _check_size(config: ModelConfig, file: TensorFile, encoder_weights: str | Path | None) -> None:
    """Compares a network of a configuration, which takes no memory yet, with the file's table, and its frozen
    encoder with the size of the encoder's own file.
    """
    with torch.device("meta"):
        network = LCA(config)
    check_weights(dict(network.trainable()), file)
    frozen = sum(p.numel() for p in network.parameters() if not p.requires_grad)
    if frozen and frozen > _encoder_file(encoder_weights).stat().st_size:  # no weight has less than a byte
        raise CheckpointError(
            f"{Path(encoder_weights).name} is too small for the image encoder of {file.path.name}.",
            "Choose the encoder that the model was trained with.",
        )


def load_encoder(model: LCA, weights: str | Path | None, features: str | Path | None = None) -> None:
    """Give a network the user's Sapiens checkpoint; features: a folder to keep those of photos in."""
    model.encoder.load(_encoder_file(weights))
    model.encoder.cache = FeatureCache(features) if features is not None else None


def _encoder_file(weights: str | Path | None) -> Path:
    if weights is None:
        raise CheckpointError("This model needs the Sapiens image encoder.", "Download it and give its path.")
    if not Path(weights).is_file():
        raise CheckpointError(f"There is no file {weights}.", "Choose the Sapiens image encoder's file.")
    return Path(weights)
