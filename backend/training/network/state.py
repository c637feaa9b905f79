# SPDX-License-Identifier: GPL-3.0-or-later
"""A training run that can be killed: weights, average, optimiser and clock in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UserError
from ...model.config import ModelConfig
from ...model.lca import LCA
from ...tensor_file import TensorFile, write_tensors
from ..common import Average
from .parallel import parted, whole

VERSION = 1


@dataclass
class Progress:
    """How far a run is: optimiser steps, people seen, and seconds of training (pauses left out)."""

    step: int = 0
    people: int = 0
    seconds: float = 0.0


def state_path(out: Path) -> Path:
    """Where the state of the run in a folder lies."""
    return out / "state.safetensors"


def save_state(
    path: Path, stage: str, model: LCA, average: Average, optimizer, progress: Progress, write: bool = True
) -> None:
    """Write the whole run to one file. All processes must call this, one of them with `write`."""
    tensors, names = {}, {id(p): k for k, p in model.trainable()}
    for k, p in model.trainable():
        tensors[f"weight/{k}"] = whole(p.detach())
        tensors[f"average/{k}"] = whole(average.weights[k])
    for p, values in optimizer.state.items():
        for key in ("exp_avg", "exp_avg_sq", "step"):
            tensors[f"{key}/{names[id(p)]}"] = whole(values[key])
    if not write:
        return
    header = {
        "lca_training": VERSION,
        "stage": stage,
        "config": model.config.to_json(),
        "average_count": average.count,
        "progress": vars(progress),
    }
    write_tensors(path, tensors, header=header)


def load_state(path: Path, stage: str, model: LCA, average: Average, optimizer) -> Progress:
    """Continue the run in `path`; `UserError` where it belongs to another network or another stage."""
    file = TensorFile(path, "training state", "Choose another output folder.")
    header = file.header()
    if header.get("lca_training") != VERSION or ModelConfig.from_json(header.get("config")) != model.config:
        raise file.wrong(f"{path} belongs to a run with another configuration.")
    if header.get("stage", stage) != stage:  # older files do not tell
        raise file.wrong(f"{path.parent} holds a {header['stage']} run.")
    try:
        count, clock = int(header["average_count"]), header["progress"]
        progress = Progress(int(clock["step"]), int(clock["people"]), float(clock["seconds"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise file.wrong(f"The header of {path} is damaged.") from error
    tensors = file.tensors()
    with torch.no_grad():
        for k, p in model.trainable():
            p.copy_(parted(_take(tensors, f"weight/{k}", p), p))
            average.weights[k].copy_(parted(_take(tensors, f"average/{k}", p), p))
            if f"step/{k}" in tensors:
                names = ("exp_avg", "exp_avg_sq")
                moments = {m: parted(_take(tensors, f"{m}/{k}", p), p).clone() for m in names}
                optimizer.state[p] = {"step": tensors[f"step/{k}"].clone(), **moments}
    average.count = count
    return progress


def _take(tensors: dict[str, Tensor], key: str, like: Tensor) -> Tensor:
    if key not in tensors or tensors[key].shape != like.shape:
        raise UserError(f"The training state lacks {key}.", "Choose another output folder.")
    return tensors[key]
