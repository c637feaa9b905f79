# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the correspondence network on synthetic people: `lca train-correspondence --data DIR --out FILE`.

It can be killed at any time and goes on where it was; started again after its end it runs another cycle of
the learning rate from the weights reached. The log has one JSON object a line. People with seeds from
1,000,000 up are held out and only measured on.
"""

import json
import math
import os
import time
from copy import deepcopy
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from ..correspondence import HEAD_HEIGHT
from ..estimator_file import save_network, start_from
from ..network import CorrespondenceNetwork
from .losses import loss_terms, to_targets
from .pictures import Folders, TrainingPictures, evaluation_batches, held_out_seeds

SMALL_SHARE = 0.3  # of the time is spent on small pictures


@torch.no_grad()
def evaluate(network: CorrespondenceNetwork, batches: list[tuple[torch.Tensor, ...]]) -> dict[str, float]:
    """matte_iou over pictures with a person, point_mean_cm, point_median_cm, point_wrong (share of points
    more than 15 cm off), false_area of the empty pictures.
    """
    network.eval()
    inter = union = 0.0
    distances, empty = [], []
    device = next(network.parameters()).device
    for batch in batches:
        rgb, alpha, points = (tensor.to(device) for tensor in batch)
        out = network(to_pictures(rgb))
        matte, target, mask = to_targets(alpha, points)
        seen, truth = out["matte"] > 0, matte > 0.5
        person = truth.flatten(1).any(1)
        inter += (seen & truth)[person].sum().item()
        union += (seen | truth)[person].sum().item()
        distances.append((out["points"] - target).norm(dim=1)[mask[:, 0]])
        empty.append(seen[~person].float().flatten(1).mean(1))
    distance = torch.cat(distances)
    false = torch.cat(empty)
    return {
        "matte_iou": inter / max(union, 1.0),
        "point_mean_cm": 100 * distance.mean().item(),
        "point_median_cm": 100 * distance.median().item(),
        "point_wrong": (distance > 0.15).float().mean().item(),
        "false_area": false.mean().item() if len(false) else 0.0,
    }


def to_pictures(rgb: torch.Tensor) -> torch.Tensor:
    return (rgb.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)


class Average:
    """Exponential moving average of weights and of batch statistics."""

    def __init__(self, network: CorrespondenceNetwork, decay: float = 0.996):
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.decay, self.count = decay, 0

    @torch.no_grad()
    def update(self, network: CorrespondenceNetwork) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for mine, theirs in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)


class Run:
    """Network, optimiser and clock, saved together in one file."""

    def __init__(self, state_file: Path, minutes: float, rate: float, device: str, start: Path | None):
        self.file, self.minutes, self.rate, self.device = state_file, minutes, rate, device
        self.network = CorrespondenceNetwork()
        if start is not None and not state_file.is_file():
            start_from(start, self.network)
        self.network.to(device, memory_format=torch.channels_last)
        decay = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
        self.average = Average(self.network)
        self.step, self.seconds, self.total_seconds = 0, 0.0, 0.0
        if state_file.is_file():
            self._load()

    def _load(self) -> None:
        state = torch.load(self.file, weights_only=True, map_location=self.device)
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.count = state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.total_seconds = state["step"], state["seconds"], state["total_seconds"]
        if self.finished:
            self.seconds = 0.0

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "total_seconds": self.total_seconds,
        }
        temporary = self.file.with_name(self.file.name + ".part")
        torch.save(state, temporary)
        os.replace(temporary, self.file)

    @property
    def finished(self) -> bool:
        return self.seconds >= 60 * self.minutes

    @property
    def full_size(self) -> bool:
        """Not in the first part of the time: of small pictures there are three times as many a second."""
        return self.seconds > 60 * self.minutes * SMALL_SHARE

    def set_rate(self) -> float:
        """20 seconds of warm-up, then a cosine to 2 % over the minutes given."""
        done = min(self.seconds / (60 * self.minutes), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        rate = self.rate * min(1.0, 0.05 + self.seconds / 20) * (0.02 + 0.98 * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def train_step(self, batch: tuple[torch.Tensor, ...], bf16: bool) -> dict[str, float]:
        self.network.train()
        self.set_rate()
        rgb, alpha, points = (tensor.to(self.device, non_blocking=True) for tensor in batch)
        # Fused bf16 attention is slow backwards on processors; there are but a hundred tokens.
        attention = SDPBackend.MATH if self.device == "cpu" else SDPBackend.FLASH_ATTENTION
        with torch.autocast(self.device, torch.bfloat16, enabled=bf16), sdpa_kernel(attention):
            out = self.network(to_pictures(rgb))
        terms = loss_terms(out, alpha, points)
        self.optimizer.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimizer.step()
        self.average.update(self.network)
        self.step += 1
        return {name: term.item() for name, term in terms.items()}


def train(
    data: list[Path],
    minutes: float,
    out: Path,
    state_file: Path | None = None,
    backgrounds: Path | None = None,
    batch: int = 16,
    rate: float = 2e-3,
    workers: int = 1,
    threads: int = 1,
    log_file: Path | None = None,
    device: str = "cpu",
    start: Path | None = None,
) -> dict[str, float]:
    """Trains for `minutes` of processor time per thread (by the clock on CUDA), however busy the machine is.

    Writes `out` every 2.5 such minutes and at the end. Returns the last evaluation.
    """
    torch.set_num_threads(threads)
    state_file = state_file or data[0] / "correspondence_training.pt"
    dataset = Folders(data)
    held = held_out_seeds(dataset)
    run = Run(state_file, minutes, rate, device, start)
    batches = evaluation_batches(dataset, held, backgrounds)
    pictures = TrainingPictures(data, set(held), backgrounds, batch, seed=run.step)
    loader = DataLoader(pictures, None, num_workers=workers, prefetch_factor=3 if workers else None)
    bf16 = device == "cuda" or torch.backends.mkldnn.is_available()

    def clock() -> float:
        return time.monotonic() if device == "cuda" else time.process_time() / threads

    sums: dict[str, float] = {}
    result: dict[str, float] = {}

    def checkpoint() -> dict[str, float]:
        measured = evaluate(run.average.network, batches)
        run.save()
        notes = {
            "steps": run.step,
            "minutes": run.total_seconds / 60,
            "people": dataset.refresh() - len(held),
            **measured,
        }
        save_network(out, run.average.network, HEAD_HEIGHT, notes)
        means = {f"loss_{name}": value / max(1, run.step - first) for name, value in sums.items()}
        line = {"step": run.step, "seconds": round(run.total_seconds), **means, **measured}
        _log(line, log_file)
        return measured

    first = run.step
    last_save = before = clock()
    pictures.full_size.value = run.full_size
    for samples in loader:
        pictures.full_size.value = run.full_size
        for name, value in run.train_step(samples, bf16).items():
            sums[name] = sums.get(name, 0.0) + value
        now = clock()
        run.seconds += now - before
        run.total_seconds += now - before
        before = now
        if run.finished or now - last_save > 150:
            result = checkpoint()
            sums, first = {}, run.step
            last_save = before = clock()
            if run.finished:
                return result
    return result


def _log(line: dict, log_file: Path | None) -> None:
    rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in line.items()}
    text = json.dumps(rounded)
    print(text, flush=True)
    if log_file is not None:
        with open(log_file, "a", encoding="utf-8") as file:
            file.write(text + "\n")
