# SPDX-License-Identifier: GPL-3.0-or-later
"""A training run that can be killed: weights, average, optimiser and clock in one file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UserError
from ...model.config import ModelConfig
from ...model.files import read_tensors, write_tensors
from ...model.lca import LCA
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
    write_tensors(path, tensors, header)


def load_state(path: Path, stage: str, model: LCA, average: Average, optimizer) -> Progress:
    """Continue the run in `path`; `UserError` where it belongs to another network or another stage."""
    tensors, header = read_tensors(path)
    if header.get("lca_training") != VERSION or ModelConfig.from_json(header["config"]) != model.config:
        raise UserError(
            f"{path} belongs to a run with another configuration.", "Choose another output folder."
        )
    if header.get("stage", stage) != stage:  # older files do not tell
        raise UserError(f"{path.parent} holds a {header['stage']} run.", "Choose another output folder.")
    with torch.no_grad():
        for k, p in model.trainable():
            p.copy_(parted(_take(tensors, f"weight/{k}", p), p))
            average.weights[k].copy_(parted(_take(tensors, f"average/{k}", p), p))
            if f"step/{k}" in tensors:
                moments = {m: parted(tensors[f"{m}/{k}"], p).clone() for m in ("exp_avg", "exp_avg_sq")}
                optimizer.state[p] = {"step": tensors[f"step/{k}"].clone(), **moments}
    average.count = header["average_count"]
    return Progress(**{f.name: header["progress"][f.name] for f in fields(Progress)})


def _take(tensors: dict[str, Tensor], key: str, like: Tensor) -> Tensor:
    if key not in tensors or tensors[key].shape != like.shape:
        raise UserError(f"The training state lacks {key}.", "Choose another output folder.")
    return tensors[key]
