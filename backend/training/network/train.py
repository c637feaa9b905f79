# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the network in either stage: resumable, logged as JSON lines."""

from __future__ import annotations

import copy
import json
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...errors import UserError
from ...model.checkpoint import save_model
from ...model.config import preset
from ...model.lca import LCA, drive
from ..common import Average, learning_rate
from ..dataset.prepared import PreparedPeople, prepared
from ..dataset.sites import make_sites
from ..people.dataset import is_held_out
from .anchor_pool import PooledAnchors, anchor_pool, whole_anchors
from .batches import Batch, make_batch
from .check import check
from .codes import code_terms
from .config import TrainingConfig
from .journal import Journal
from .losses import acap, asap, image_loss, over, region_weights, surface_distance, transparency
from .noise import NoiseBank
from .parallel import Processes, join, moved, share, whole
from .perceptual import Lpips, load_lpips
from .rendering import render_batch
from .sheet import save_sheet
from .state import Progress, load_state, save_state, state_path


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
    check_anchors: PooledAnchors
    bank: NoiseBank | None
    progress: Progress
    processes: Processes
    passes: nn.Module  # the network as training calls it
    product: LCA  # another one, for the averaged weights
    perceptual: Lpips | None

    @property
    def fraction(self) -> float:
        """Done part of the run, 0..1."""
        if self.config.steps is not None:
            return self.progress.step / self.config.steps
        return self.progress.seconds / (60 * self.config.minutes)


def depth_of(name: str, layers: int) -> int:
    """How many layers lie below the decoders that the parameter `name` belongs to: 0 for the decoders."""
    first, _, rest = name.partition(".")
    if first == "layers":
        return layers - int(rest.split(".")[0])
    return layers + 1 if first in ("encoder", "project", "embed", "globe") else 0


def make_optimizer(model: LCA, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors do not. A group's rate is `scale` = layer_decay^depth of the run's."""
    groups: dict[tuple, list] = {}
    for name, p in model.trainable():
        key = (depth_of(name, model.config.layers), p.ndim > 1)
        groups.setdefault(key, []).append(p)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay if matrix else 0.0,
                "scale": config.layer_decay**depth,
            }
            for (depth, matrix), parameters in groups.items()
        ],
        lr=config.lr,
        betas=config.betas,
        foreach=True,
    )


def losses(
    model: nn.Module,
    batch: Batch,
    config: TrainingConfig,
    step: int,
    background: torch.Tensor,
    perceptual: Lpips | None = None,
) -> dict:
    """All parts of the loss and their weighted sum `loss`."""
    anchors = batch.anchors.anchors
    with torch.autocast(batch.body.device.type, torch.bfloat16, enabled=config.bf16):
        canonical, deltas, reading = model(
            batch.body, batch.face, anchors, batch.sampled, batch.signals, batch.acted, batch.read
        )
    posed = drive(canonical, deltas, batch.expression, batch.transforms, anchors)
    truth = (batch.targets, batch.visible, background)
    parts = picture_parts(render_batch(posed, batch.cameras), *truth, config, perceptual)
    if step % config.canonical_every == 0:
        one = slice(0, 1)
        still = drive(canonical, None, batch.expression[:, one], batch.transforms[:, one], anchors)
        image = render_batch(still, [row[one] for row in batch.cameras])
        parts["canonical"] = picture_parts(image, *(t[:, one] for t in truth), config, perceptual)["image"]
    weights = region_weights(anchors, config)
    parts["acap"] = acap(canonical.offsets, weights=weights)
    parts["asap"] = asap(posed.log_scales, weights=weights)
    parts["transparency"] = transparency(canonical.opacities)
    parts["surface"] = surface_distance(canonical.offsets, batch.offsets)
    if reading is not None:
        parts["codes"] = code_terms(reading, batch.expression, batch.gaze, batch.shown)
    parts["loss"] = (
        parts["image"]
        + parts.get("canonical", 0.0)
        + config.acap_weight * parts["acap"]
        + config.asap_weight * parts["asap"]
        + config.transparency_weight * parts["transparency"]
        + config.surface_weight * parts["surface"]
        + config.codes_weight * parts.get("codes", 0.0)
    )
    return parts


def picture_parts(
    image, target, visible, background, config: TrainingConfig, perceptual: Lpips | None = None
) -> dict:
    """The picture loss of renders [B,R,h,w,4], its parts and their sum `image`: L1, coverage, and LPIPS or
    SSIM. What something else hides in the target counts nothing.
    """
    shown, target, background = (t.flatten(0, 1) for t in (image * visible, target, background))
    parts = image_loss(shown, target, background)
    parts["image"] = parts["l1"] + config.alpha_weight * parts["alpha"]
    if perceptual is None:
        parts["image"] = parts["image"] + config.ssim_weight * parts["ssim"]
    else:
        parts["lpips"] = perceptual(over(shown, background), over(target, background))
        parts["image"] = parts["image"] + config.perceptual_weight * parts["lpips"]
    return parts


def draw_batch(run: Run, step: int, final: bool) -> tuple[Batch, torch.Tensor]:
    """A step's batch, of it this process's share, and the background [B,R,1,1,3] behind its targets, drawn
    from (seed, step) alone.
    """
    config = run.config
    rng = np.random.default_rng([config.seed, step])
    anchors = run.pool[rng.integers(len(run.pool))]
    size = (config.recipe.people, config.recipe.targets, 1, 1, 3)
    background = torch.from_numpy(rng.random(size).astype(np.float32))
    part = share(run.processes, config.recipe.people)
    batch = make_batch(
        run.people, run.final if final else anchors, run.model.config, config.recipe, rng, run.bank, part
    )
    return batch, background[part[0] :: part[1]]


class Prefetch:
    """Draws batches ahead on one thread."""

    def __init__(self, run: Run, ahead: int = 2):
        self.run, self.step = run, run.progress.step
        self.thread, self.drawn = ThreadPoolExecutor(1), deque()
        for _ in range(ahead):
            self._ask()

    def _ask(self) -> None:
        """Whether a step has the final anchors is settled here, between steps, when all processes know the
        same progress.
        """
        config = self.run.config
        fraction = self.step / config.steps if config.steps is not None else self.run.fraction
        final = fraction >= 1 - config.finish_fraction
        self.drawn.append(self.thread.submit(draw_batch, self.run, self.step, final))
        self.step += 1

    def next(self) -> tuple[Batch, torch.Tensor]:
        """The next step's batch."""
        self._ask()
        return self.drawn.popleft().result()

    def stop(self) -> None:
        self.thread.shutdown(cancel_futures=True)


def step_once(run: Run, batch: Batch, background: torch.Tensor) -> dict[str, float]:
    """One optimiser step; returns the loss parts as numbers."""
    config = run.config
    rate = learning_rate(config.lr, run.progress.step, config.warmup_steps, run.fraction)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    device = run.processes.device
    batch, background = moved(batch, device), background.to(device)
    parts = losses(run.passes, batch, config, run.progress.step, background, run.perceptual)
    run.optimizer.zero_grad(set_to_none=True)
    parts["loss"].backward()
    norm = whole(nn.utils.clip_grad_norm_([p for _, p in run.model.trainable()], config.clip))
    if not torch.isfinite(norm):
        return {"loss": float("nan"), "skipped": 1.0}
    run.optimizer.step()
    run.average.update(run.model)
    return {**run.processes.mean(parts), "gradient": float(norm), "lr": rate}


def split(people: PreparedPeople, config: TrainingConfig) -> tuple[PreparedPeople, PreparedPeople]:
    """The people to train on and at least two to check with: of the first of the stage's regimes that has
    them, with seeds that never train where there are any, else the last few, half of them at most.
    """
    fits = people.part(lambda seed, regime: not config.regimes or regime in config.regimes)
    able, never = (fits.part(lambda seed, regime, no=no: is_held_out(seed) == no) for no in (False, True))
    for wanted in (*config.regimes, None):  # None: any
        of = lambda seed, regime, wanted=wanted: wanted in (None, regime)  # noqa: E731
        own, held = able.part(of).seeds, never.part(of)
        if len(held) < 2:
            last = set(own[-min(config.check_people, max(2, len(own) // 2)) :])
            held = able.part(lambda seed, regime, last=last: seed in last)
        if len(held) >= 2:
            break
    unseen = set(held.seeds)
    train = able.part(lambda seed, regime: seed not in unseen)
    if not len(train):
        wanted = f" of the regime {' or '.join(config.regimes)}" if config.regimes else ""
        regime = f" --regime {config.regimes[0]}" if config.regimes else ""
        raise UserError(
            f"There are not enough people{wanted} to train on.",
            f"Make others with `lca demo-data{regime}`, then run `lca train prepare`.",
        )
    order = np.random.default_rng(0).permutation(len(train))
    chosen = {train.seeds[n] for n in order[: max(1, round(config.people_share * len(train)))]}
    train = train.part(lambda seed, regime: seed in chosen)
    kept = set(held.seeds[: config.check_people])
    return train, held.part(lambda seed, regime: seed in kept)


def start(folders: list[Path], out: Path, config: TrainingConfig, weights: LCA | None = None) -> Run:
    """A new run on prepared people, or the one in `out` continued. weights: the network it starts from."""
    processes = join()
    share(processes, config.recipe.people)
    torch.manual_seed(config.seed)
    model = weights.train() if weights is not None else LCA(preset(config.model))
    if getattr(model.encoder, "cache", None) is not None:  # a disturbed photo would never be met again
        config = replace(config, recipe=config.recipe.undisturbed())
    people, held_out = split(prepared(folders, model.config), config)
    sites = make_sites(model.config)
    frozen = {id(p): p for p in model.parameters() if not p.requires_grad}
    product = copy.deepcopy(model.to(processes.device), frozen).eval()
    passes = processes.wrapped(model, config.sharded)
    average = Average(model, config.average_decay)
    optimizer = make_optimizer(model, config)
    state, progress = state_path(out), Progress()
    if state.is_file():
        progress = load_state(state, config.stage, model, average, optimizer)
    counts = config.tokens or model.config.training_tokens
    placed = lambda n: whole_anchors(model.config, sites, n).to(processes.device)  # noqa: E731
    pool = anchor_pool(model.config, sites, counts, config.pool_size, config.seed)
    bank = None
    if model.config.sampled_pixels:
        bank = NoiseBank(sites.positions, sites.is_face, seed=config.seed)
    return Run(
        config=config,
        model=model,
        average=average,
        optimizer=optimizer,
        people=people,
        held_out=held_out,
        pool=[anchors.to(processes.device) for anchors in pool],
        final=placed(config.finish_tokens or counts[1]),
        check_anchors=placed(counts[1]),
        bank=bank,
        progress=progress,
        processes=processes,
        passes=passes,
        product=product,
        perceptual=load_lpips(config.perceptual_file).to(processes.device)
        if config.perceptual_file
        else None,
    )


def save_run(run: Run, out: Path) -> None:
    """The state to continue from, and the averaged model as a product, written by the first process."""
    first, state = run.processes.first, state_path(out)
    save_state(state, run.config.stage, run.model, run.average, run.optimizer, run.progress, write=first)
    averaged(run)
    if not first:
        return
    notes = {
        "steps": run.progress.step,
        "people_seen": run.progress.people,
        "seconds": round(run.progress.seconds),
    }
    save_model(out / "model.safetensors", run.product, **notes)


@torch.no_grad()
def averaged(run: Run) -> LCA:
    """The network with its averaged weights, in evaluation mode. All processes must call this."""
    for k, p in run.product.trainable():
        p.copy_(whole(run.average.weights[k]))
    return run.product


def check_run(run: Run, out: Path, journal: Journal) -> None:
    """`check.check` with the averaged weights, by the first process; the pictures go to `out`/pictures."""
    model = averaged(run)
    if run.processes.first:
        result, pictures = check(model, run.held_out, run.check_anchors, run.config.recipe)
        folder = out / "pictures"
        folder.mkdir(exist_ok=True)
        path = folder / f"{run.progress.step:07d}.png"
        save_sheet(path, pictures, columns=4)
        journal.write(_where(run), {"check": result}, path)
    run.processes.wait()


def train(
    folders: list[str | Path],
    out: str | Path,
    config: TrainingConfig,
    weights: LCA | None = None,
    say=print,
    cancelled=None,
) -> Run:
    """Train until the run's end or until `cancelled()`; state, model, log.jsonl and pictures lie in `out`.

    folders: datasets whose people are prepared; weights: the network to start from, unless `out` holds a run.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    run = start([Path(f) for f in folders], out, config, weights)
    journal = Journal(out, run.processes.first, say)
    if run.processes.first:
        (out / "training.json").write_text(json.dumps(run.config.to_json(), indent=1))
    estimated = sum(e is not None for e in run.people.estimates)
    journal.say(
        f"{len(run.people)} people, {estimated} with the estimator's own maps; {len(run.held_out)} held out. "
        f"Picture loss: L1 and {'LPIPS' if run.perceptual else 'SSIM (no LPIPS backbone is given)'}."
    )
    ahead = Prefetch(run)
    saved = run.progress.seconds
    recent: list[dict] = []
    try:
        while run.fraction < 1 and not (cancelled and cancelled()):
            began = time.monotonic()
            recent.append(step_once(run, *ahead.next()))
            run.progress.step += 1
            run.progress.people += config.recipe.people
            run.progress.seconds = run.processes.agreed(run.progress.seconds + time.monotonic() - began)
            now, step = run.progress.seconds, run.progress.step
            journal.advance(run.fraction, step, recent[-1]["loss"])
            if step % config.log_every == 0:
                journal.write(_where(run), _mean(recent))
                recent = []
            if now - saved > config.save_seconds:
                save_run(run, out)
                saved = now
            if config.check_steps and step % config.check_steps == 0:
                check_run(run, out, journal)
        save_run(run, out)
        if run.fraction >= 1:
            check_run(run, out, journal)
    finally:
        ahead.stop()
        journal.close()
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
