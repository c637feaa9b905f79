# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the network: `lca train starter --data DIR --minutes M`. Resumable, logged as JSON lines."""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..errors import UserError
from ..model.checkpoint import save_model
from ..model.config import ModelConfig
from ..model.lca import LCA, drive
from ..people.dataset import HELD_OUT
from .anchor_pool import PooledAnchors, anchor_pool, finest_anchors
from .batches import Batch, BatchRecipe, make_batch
from .check import check
from .losses import acap, asap, image_loss
from .noise import NoiseBank
from .prepare import PreparedPeople, make_sites, prepare
from .rendering import render_batch
from .state import Average, Progress, load_state, save_state


@dataclass(frozen=True)
class TrainingConfig:
    """One run. It ends after `minutes` of training, or after `steps` if that is given."""

    minutes: float = 60.0
    steps: int | None = None
    recipe: BatchRecipe = field(default_factory=BatchRecipe)
    lr: float = 8e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.02
    warmup_steps: int = 100
    clip: float = 1.0
    average_decay: float = 0.999
    alpha_weight: float = 0.3
    ssim_weight: float = 0.2
    acap_weight: float = 1.0
    asap_weight: float = 0.02
    canonical_every: int = 2  # steps between canonical renders
    finish_fraction: float = 0.15  # at the end, only the finest anchors
    pool_size: int = 12
    bf16: bool = True
    seed: int = 0
    log_every: int = 20
    save_seconds: float = 120.0
    check_seconds: float = 300.0
    check_people: int = 8


@dataclass
class Run:
    """Everything a step touches."""

    config: TrainingConfig
    model: LCA
    average: Average
    optimizer: torch.optim.Optimizer
    people: PreparedPeople
    held_out: PreparedPeople
    pool: list[PooledAnchors]
    final: PooledAnchors
    bank: NoiseBank | None
    progress: Progress

    @property
    def fraction(self) -> float:
        """Done part of the run, 0..1."""
        if self.config.steps is not None:
            return self.progress.step / self.config.steps
        return self.progress.seconds / (60 * self.config.minutes)


def make_optimizer(model: LCA, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors do not."""
    parameters = [p for _, p in model.trainable()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, foreach=True)


def learning_rate(config: TrainingConfig, step: int, fraction: float) -> float:
    """Linear warm-up over steps, cosine to 2 % over the run."""
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(fraction, 1.0))
    return config.lr * min(1.0, (step + 1) / config.warmup_steps) * (0.02 + 0.98 * cosine)


def losses(model: LCA, batch: Batch, config: TrainingConfig, step: int, background: torch.Tensor) -> dict:
    """All parts of the loss and their weighted sum `loss`."""
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        anchors = batch.anchors.anchors
        encoding = model.encode(batch.body, batch.face, anchors, batch.sampled)
        canonical = model.canonical(encoding, anchors)
        deltas = model.deltas(encoding, batch.signals)
    posed = drive(canonical, deltas, batch.expression, batch.transforms, anchors)
    parts = picture_parts(render_batch(posed, batch.cameras), batch.targets, background, config)
    if step % config.canonical_every == 0:
        one = slice(0, 1)
        posed = drive(canonical, None, batch.expression[:, one], batch.transforms[:, one], anchors)
        image = render_batch(posed, [row[one] for row in batch.cameras])
        first = picture_parts(image, batch.targets[:, one], background[:, one], config)
        parts = {**parts, "canonical": first["image"]}
    parts["acap"] = acap(canonical.offsets)
    parts["asap"] = asap(posed.log_scales)
    parts["loss"] = (
        parts["image"]
        + parts.get("canonical", 0.0)
        + config.acap_weight * parts["acap"]
        + config.asap_weight * parts["asap"]
    )
    return parts


def picture_parts(image, target, background, config: TrainingConfig) -> dict:
    """The picture loss of renders [B,R,h,w,4], its parts and their sum `image`."""
    parts = image_loss(image.flatten(0, 1), target.flatten(0, 1), background.flatten(0, 1))
    parts["image"] = parts["l1"] + config.alpha_weight * parts["alpha"] + config.ssim_weight * parts["ssim"]
    return parts


def draw_batch(run: Run, step: int, final: bool) -> tuple[Batch, torch.Tensor]:
    """A step's batch and the background [B,R,1,1,3] behind its targets, drawn from (seed, step) alone."""
    rng = np.random.default_rng([run.config.seed, step])
    anchors = run.final if final else run.pool[rng.integers(len(run.pool))]
    batch = make_batch(run.people, anchors, run.model.config, run.config.recipe, rng, run.bank)
    background = rng.random((*batch.targets.shape[:2], 1, 1, 3)).astype(np.float32)
    return batch, torch.from_numpy(background)


class Prefetch:
    """Draws batches ahead on one thread."""

    def __init__(self, run: Run, ahead: int = 2):
        self.run, self.queue, self.stopped = run, queue.Queue(ahead), threading.Event()
        self.thread = threading.Thread(target=self._work, args=(run.progress.step,), daemon=True)
        self.thread.start()

    def _work(self, step: int) -> None:
        while not self.stopped.is_set():
            try:
                item = draw_batch(self.run, step, self._final(step))
            except Exception as error:
                item = error
            while not self.stopped.is_set():
                try:
                    self.queue.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            step += 1

    def _final(self, step: int) -> bool:
        config = self.run.config
        fraction = step / config.steps if config.steps is not None else self.run.fraction
        return fraction >= 1 - config.finish_fraction

    def next(self) -> tuple[Batch, torch.Tensor]:
        """The next step's batch."""
        item = self.queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


def step_once(run: Run, batch: Batch, background: torch.Tensor) -> dict[str, float]:
    """One optimiser step; returns the loss parts as numbers."""
    rate = learning_rate(run.config, run.progress.step, run.fraction)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    parts = losses(run.model, batch, run.config, run.progress.step, background)
    run.optimizer.zero_grad(set_to_none=True)
    parts["loss"].backward()
    norm = nn.utils.clip_grad_norm_([p for _, p in run.model.trainable()], run.config.clip)
    if not torch.isfinite(norm):
        return {"loss": float("nan"), "skipped": 1.0}
    run.optimizer.step()
    run.average.update(run.model)
    return {**{k: float(v.detach()) for k, v in parts.items()}, "gradient": float(norm), "lr": rate}


def split(seeds: list[int], held: int) -> tuple[list[int], list[int]]:
    """Training and held-out seeds; without people of a held-out seed, the last few are held out."""
    train, rest = [s for s in seeds if s < HELD_OUT], [s for s in seeds if s >= HELD_OUT]
    if not rest:
        train, rest = train[:-held], train[-held:]
    if not train:
        raise UserError("There are not enough people to train on.", "Make more with `lca demo-data`.")
    return train, rest


def start(data: Path, out: Path, model_config: ModelConfig, config: TrainingConfig, say=print) -> Run:
    """Prepare the people and a new run, or continue the one in `out`."""
    torch.manual_seed(config.seed)
    people = prepare(data, model_config, progress=lambda f, text: say(text))
    train_seeds, held_seeds = split(people.seeds, config.check_people)
    sites = make_sites(model_config)
    model = LCA(model_config)
    average = Average(model, config.average_decay)
    optimizer = make_optimizer(model, config)
    state = out / "state.safetensors"
    progress = load_state(state, model, average, optimizer) if state.is_file() else Progress()
    return Run(
        config=config,
        model=model,
        average=average,
        optimizer=optimizer,
        people=people.part(train_seeds),
        held_out=people.part(held_seeds[: config.check_people]),
        pool=anchor_pool(model_config, sites, config.pool_size, config.seed),
        final=finest_anchors(model_config, sites),
        bank=NoiseBank(sites.positions, sites.is_face, seed=config.seed)
        if model_config.sampled_pixels
        else None,
        progress=progress,
    )


def save_run(run: Run, out: Path) -> None:
    """The state to continue from, and the averaged model as a product."""
    save_state(out / "state.safetensors", run.model, run.average, run.optimizer, run.progress)
    notes = {
        "steps": run.progress.step,
        "people_seen": run.progress.people,
        "seconds": round(run.progress.seconds),
    }
    save_model(out / "model.safetensors", run.model, run.average.weights, **notes)


def check_run(run: Run) -> dict:
    """`check.check` with the averaged weights."""
    own = {k: p.detach().clone() for k, p in run.model.trainable()}
    with torch.no_grad():
        for k, p in run.model.trainable():
            p.copy_(run.average.weights[k])
    run.model.eval()
    try:
        return check(run.model, run.held_out, run.final, run.config.recipe)
    finally:
        run.model.train()
        with torch.no_grad():
            for k, p in run.model.trainable():
                p.copy_(own[k])


def train(
    data: str | Path,
    out: str | Path,
    model_config: ModelConfig,
    config: TrainingConfig,
    say=print,
    cancelled=None,
) -> Run:
    """Train until the run's end or until `cancelled()`; state, model and log.jsonl lie in `out`."""
    data, out = Path(data), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    run = start(data, out, model_config, config, say)
    (out / "training.json").write_text(json.dumps(_plain(config), indent=1))
    ahead = Prefetch(run)
    saved = checked = run.progress.seconds
    recent: list[dict] = []
    try:
        with open(out / "log.jsonl", "a") as log:

            def write(row: dict) -> None:
                log.write(json.dumps(row) + "\n")
                log.flush()
                say(" ".join(f"{k} {v}" for k, v in row.items()))

            while run.fraction < 1 and not (cancelled and cancelled()):
                began = time.monotonic()
                recent.append(step_once(run, *ahead.next()))
                run.progress.step += 1
                run.progress.people += run.config.recipe.people
                run.progress.seconds += time.monotonic() - began
                now = run.progress.seconds
                if run.progress.step % config.log_every == 0:
                    write({**_where(run), **_mean(recent)})
                    recent = []
                if now - saved > config.save_seconds:
                    save_run(run, out)
                    saved = now
                if now - checked > config.check_seconds:
                    write({**_where(run), "check": check_run(run)})
                    checked = now
            save_run(run, out)
            if run.fraction >= 1:
                write({**_where(run), "check": check_run(run)})
    finally:
        ahead.stop()
    return run


def _where(run: Run) -> dict:
    p = run.progress
    rate = p.people / max(p.seconds, 1e-9)
    return {
        "seconds": round(p.seconds, 1),
        "step": p.step,
        "people": p.people,
        "people_per_second": round(rate, 2),
    }


def _mean(rows: list[dict]) -> dict:
    keys = sorted({k for row in rows for k in row})
    return {k: round(float(np.mean([row[k] for row in rows if k in row])), 5) for k in keys}


def _plain(config: TrainingConfig) -> dict:
    return {**vars(replace(config)), "recipe": vars(config.recipe)}
