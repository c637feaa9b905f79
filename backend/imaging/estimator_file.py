# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimator's file: a safetensors file of half floats with the network's config in its header."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.nn import functional

from ..errors import UserError
from .network import CorrespondenceNetwork, NetworkConfig

BUNDLED = Path(__file__).parent / "data" / "correspondence.safetensors"
VERSION = 1


class EstimatorFileError(UserError):
    """The estimator's file is missing or cannot be used."""


def save_network(
    path: Path, network: CorrespondenceNetwork, head_height: float, notes: dict | None = None
) -> None:
    """Writes weights as fp16, through a temporary name. `notes`: how it was trained, plain values."""
    tensors = {
        name: tensor.detach().cpu().half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    header = {
        "lca_correspondence": str(VERSION),
        "config": json.dumps(network.describe()),
        "head_height": repr(float(head_height)),
        "notes": json.dumps(notes or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "wb") as file:
        file.write(save(tensors, header))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_network(path: Path = BUNDLED) -> tuple[CorrespondenceNetwork, float]:
    """(network in float32, head height in metres). Raises `EstimatorFileError`."""
    if not path.is_file():
        raise EstimatorFileError(
            f"The photo estimator {path.name} is missing.", "Install the extension again."
        )
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            version = int(header["lca_correspondence"])
            if version > VERSION:
                raise EstimatorFileError(f"{path.name} is from a newer version.", "Update the extension.")
            config = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in json.loads(header["config"]).items()
            }
            network = CorrespondenceNetwork(NetworkConfig(**config))
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            head_height = float(header["head_height"])
        _load(network, state)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise EstimatorFileError(f"{path.name} is damaged.", "Install the extension again.") from error
    return network.eval(), head_height


def _load(network: CorrespondenceNetwork, state: dict[str, torch.Tensor]) -> None:
    if not all(torch.isfinite(tensor).all() for tensor in state.values()):
        raise ValueError("values that are not finite")
    missing, unexpected = network.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"tensors differ: {missing} {unexpected}")


def start_from(path: Path, network: CorrespondenceNetwork) -> None:
    """Takes every tensor of the file that has its name and shape in `network`; a grid of positions is
    resized. Raises `EstimatorFileError`.
    """
    source, _ = load_network(path)
    own = network.state_dict()
    for name, tensor in source.state_dict().items():
        if name == "tokens.position" and name in own:
            size = own[name].shape[-2:]
            tensor = functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)
        if name in own and own[name].shape == tensor.shape:
            own[name].copy_(tensor)
