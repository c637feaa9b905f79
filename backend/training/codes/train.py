# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning expression codes: in the same run as the network, or alone on face crops (`lca codes train`).

The signal is self-supervised (VASA-1, arXiv 2404.10667): a frame of a person is redrawn from another frame of
theirs and the frame's own code, so the code carries what differs between the frames and is not given (the
head's pose and the gaze are). A code must survive being shown by somebody else (swap), and must not tell
people apart (independence). ARKit values, where a frame comes with them, fix the readout.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...body.expression import arkit_from_code
from ...model.expression_codes import FaceEncoder, FaceReading, beyond_arkit, save_codes
from ..common import learning_rate
from ..network.disturb import over_grey
from ..network.losses import ssim
from ..network.parallel import gathered
from .faces import FaceBatch, Faces, draw_faces, load_faces, make_people, plain_photos
from .portraits import SIZE, Appearance, Portraits, identity_of


@dataclass(frozen=True)
class CodesConfig:
    """One run on face crops; weights of 0 switch a term off."""

    minutes: float = 8.0
    people: int = 16  # a step
    frames: int = 3  # of each person
    lr: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 50
    cross: bool = True  # redraw a frame from another one; otherwise from itself: an autoencoder
    swap: float = 0.3
    independence: float = 0.1
    labels: float = 2.0
    small: float = 1e-3  # what ARKit has no name for stays small
    labels_until: float = 0.65  # of the run: before, the encoder learns without pictures, three times as fast
    swap_after: float = 0.75  # of the run: before, portraits are too poor to read
    seed: int = 0


def independence(code: Tensor) -> Tensor:
    """How far codes [P,K,D] of P people differ between people, beyond what K frames differ by chance.

    The variance component of the person in a one-way analysis of variance, summed over D, as a share of the
    variance within people: 0 where nothing tells people apart.
    """
    within = code.var(1).mean(0)
    between = code.mean(1).var(0) - within / code.shape[1]
    return between.sum().clamp(min=0) / (within.sum() + 1e-6)


def label_error(reading: FaceReading, arkit: Tensor, gaze: Tensor) -> Tensor:
    """Squared errors of the 52 values and of the gaze, whose four angles vary a tenth as much in all."""
    values = (arkit_from_code(reading.code) - arkit).square().sum(-1).mean()
    return values + 3 * (reading.gaze - gaze).square().sum((-1, -2)).mean()


def code_terms(reading: FaceReading, arkit: Tensor, gaze: Tensor, seen: Tensor) -> Tensor:
    """What a training step of the whole network adds: readings [B,R] of targets, of which `seen` [B,R] bool
    show a face. Labels always; independence over people of whom all targets show their face. Worked out over
    the people of all processes."""
    code, looks, arkit, gaze, seen = map(gathered, (reading.code, reading.gaze, arkit, gaze, seen))
    if not seen.any():
        return code.sum() * 0
    part = FaceReading(code[seen], looks[seen])
    config = CodesConfig()
    loss = config.labels * label_error(part, arkit[seen], gaze[seen])
    loss = loss + config.small * beyond_arkit(part.code).square().sum(-1).mean()
    whole = code[seen.all(1)]
    if len(whole) > 1 and whole.shape[1] > 1:
        loss = loss + config.independence * independence(whole)
    return loss


class CodesTrainer:
    """The encoder, what draws portraits from its codes, and one optimiser over both."""

    def __init__(self, config: CodesConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.encoder, self.appearance, self.portraits = FaceEncoder(training=True), Appearance(), Portraits()
        self.parts = nn.ModuleList([self.encoder, self.appearance, self.portraits])
        self.optimizer = torch.optim.AdamW(
            self.parts.parameters(), config.lr, (0.9, 0.98), weight_decay=config.weight_decay
        )

    def losses(self, batch: FaceBatch, fraction: float) -> dict[str, Tensor]:
        """Parts of the loss and their weighted sum `loss`."""
        config = self.config
        people, frames = batch.photos.shape[:2]
        reading = self.encoder(batch.photos)
        parts = {"independence": independence(reading.code)}
        parts["labels"] = label_error(reading, batch.arkit, batch.gaze)
        parts["small"] = beyond_arkit(reading.code).square().sum(-1).mean()
        loss = config.independence * parts["independence"] + config.labels * parts["labels"]
        loss = loss + config.small * parts["small"]
        if fraction < config.labels_until:
            return {**parts, "loss": loss}
        code, turn, gaze = (t.flatten(0, 1) for t in (reading.code, batch.turn, batch.gaze))
        appearance = self.appearance(batch.photos.flatten(0, 1)).unflatten(0, (people, frames))
        source = appearance.roll(1, 1) if config.cross else appearance
        drawn = self.portraits(source.flatten(0, 1), code, turn, gaze)
        parts["picture"] = picture_loss(drawn, batch.truth.flatten(0, 1))
        loss = loss + parts["picture"]
        if config.swap and fraction > config.swap_after:
            parts["swap"] = self.swap(batch, source, reading.code)
            loss = loss + config.swap * parts["swap"]
        return {**parts, "loss": loss}

    def swap(self, batch: FaceBatch, source: Tensor, code: Tensor) -> Tensor:
        """Everybody's first expression on the next person: read again, it is the same code, and the picture
        is still that person's."""
        other = source[:, 0].roll(1, 0)
        drawn = self.portraits(other, code[:, 0], batch.turn[:, 0], batch.gaze[:, 0])
        photos = over_grey(F.interpolate(drawn, batch.photos.shape[-2:], mode="bilinear"))
        self.encoder.eval()  # portraits must not enter the statistics of photos
        again = self.encoder(photos).code
        self.encoder.train()
        who = (identity_of(self.appearance(photos)) * identity_of(other).detach()).sum(-1)
        return F.mse_loss(again, code[:, 0].detach()) * code.shape[-1] + (1 - who).mean()

    def step(self, batch: FaceBatch, number: int, fraction: float) -> dict[str, float]:
        """One optimiser step; warm-up, then a cosine over the run."""
        rate = learning_rate(self.config.lr, number, self.config.warmup_steps, fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            parts = self.losses(batch, fraction)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        nn.utils.clip_grad_norm_(self.parts.parameters(), 1.0)
        self.optimizer.step()
        return {k: float(v.detach()) for k, v in parts.items()}


def picture_loss(drawn: Tensor, truth: Tensor) -> Tensor:
    """L1 and structure of premultiplied RGBA; truth [N,4,H,W] is reduced to the portraits' size."""
    truth = F.interpolate(truth, SIZE, mode="area")
    structure = 1 - ssim(drawn[:, :3].movedim(1, -1), truth[:, :3].movedim(1, -1), 4, 2)
    return 4 * (drawn - truth).abs().mean() + 0.5 * structure


def train_faces(faces: Faces, config: CodesConfig, steps: int | None = None, say=None) -> FaceEncoder:
    """Train on crops for `config.minutes`, or for `steps`."""
    trainer, began, number, rows = CodesTrainer(config), time.monotonic(), 0, []
    while True:
        fraction = number / steps if steps else (time.monotonic() - began) / (60 * config.minutes)
        if fraction >= 1:
            return trainer.encoder.folded()
        rng = np.random.default_rng([config.seed, number])
        batch = draw_faces(faces, rng, config.people, config.frames)
        rows.append(trainer.step(batch, number, fraction))
        number += 1
        if say and number % 100 == 0:
            mean = {k: round(float(np.mean([r[k] for r in rows if k in r])), 4) for k in rows[-1]}
            say(f"step {number} seconds {time.monotonic() - began:.0f} {json.dumps(mean)}")
            rows = []


@torch.no_grad()
def read_faces(encoder: FaceEncoder, faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Codes [F,128] and gazes [F,2,2] of all crops."""
    encoder.eval()
    parts = np.array_split(faces.crops, max(1, len(faces.crops) // 64))
    rows = [encoder(plain_photos(crops)) for crops in parts]
    return tuple(torch.cat([getattr(r, k) for r in rows]).numpy() for k in ("code", "gaze"))


def ridge(x: np.ndarray, y: np.ndarray, weight: float = 1e-2) -> np.ndarray:
    """[D+1,E] of the affine least-squares map x [N,D] -> y [N,E]; weight in units of x's mean variance."""
    x1 = np.pad(x - x.mean(0), ((0, 0), (0, 1)), constant_values=1.0).astype(np.float64)
    penalty = weight * len(x) * x.var(0).mean() * np.eye(x1.shape[1])
    penalty[-1, -1] = 0
    map_ = np.linalg.solve(x1.T @ x1 + penalty, x1.T @ y)
    map_[-1] -= x.mean(0) @ map_[:-1]
    return map_


def apply_affine(x: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """x [N,D] through `ridge`'s map."""
    return x @ map_[:-1] + map_[-1]


def leakage(code: np.ndarray, person: np.ndarray) -> float:
    """How often a linear probe that saw every other code [F,D] of everybody, `person` [F] ascending, names
    the person of the rest.
    """
    first = np.flatnonzero(np.diff(person, prepend=-1))
    seen = (np.arange(len(code)) - first[person]) % 2 == 0
    names = np.eye(len(first))[person[seen]]
    guess = apply_affine(code[~seen], ridge(code[seen], names)).argmax(-1)
    return float((guess == person[~seen]).mean())


def explained(value: np.ndarray, truth: np.ndarray, mean: np.ndarray) -> float:
    """1 - squared error over the squared error of always answering `mean`."""
    return float(1 - ((value - truth) ** 2).sum() / ((mean - truth) ** 2).sum())


def measure(encoder: FaceEncoder, train: Faces, held_out: Faces) -> dict[str, float]:
    """On unseen people: arkit_mae and arkit_r2 of the fixed readout; the same of a readout fitted on the
    training people's codes (fitted_*); mae_of_mean: always answering the mean; gaze error in degrees; leakage
    (and its chance level); beyond: the share of the code's variance that ARKit's values do not express;
    from_arkit_r2: of that part, how much a map from ARKit values predicts."""
    (seen, _), (code, gaze) = read_faces(encoder, train), read_faces(encoder, held_out)
    truth, mean = held_out.arkit, train.arkit.mean(0)
    direct = np.clip(arkit_from_code(code), 0, 1)
    fitted = np.clip(apply_affine(code, ridge(seen, train.arkit)), 0, 1)
    error = lambda value: float(np.abs(value - truth).mean())  # noqa: E731
    rest, rest_seen = (beyond_arkit(torch.from_numpy(c)).numpy() for c in (code, seen))
    guess = apply_affine(truth, ridge(train.arkit, rest_seen))
    result = {
        "arkit_mae": error(direct),
        "arkit_r2": explained(direct, truth, mean),
        "fitted_mae": error(fitted),
        "fitted_r2": explained(fitted, truth, mean),
        "mae_of_mean": error(np.broadcast_to(mean, truth.shape)),
        "gaze_degrees": float(np.degrees(np.abs(gaze - held_out.gaze).mean())),
        "leakage": leakage(code, held_out.person),
        "chance": 1 / len(held_out),
        "beyond": float(rest.var(0).sum() / code.var(0).sum()),
        "from_arkit_r2": explained(guess, rest, rest_seen.mean(0)),
    }
    return {k: round(v, 4) for k, v in result.items()}


def train_codes(
    faces: Path,
    others: list[Path],
    out: Path,
    config: CodesConfig,
    people: int,
    held_out: int,
    workers: int = 1,
    say=print,
) -> dict:
    """Render the people that the folder `faces` lacks, train on them and on those of other folders, measure,
    write `out`/codes.safetensors.
    """
    make_people(faces, people, held_out, workers, say)
    train, held = load_faces([faces, *others])
    say(f"{len(train.crops)} pictures of {len(train)} people; {len(held)} held out.")
    encoder = train_faces(train, config, say=say)
    result = measure(encoder, train, held)
    out.mkdir(parents=True, exist_ok=True)
    save_codes(out / "codes.safetensors", encoder, **asdict(config), **result)
    return result
