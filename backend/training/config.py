# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training run does, as data: every number of both stages, kept beside the run as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from ..errors import UserError

STAGES = ("pretrain", "posttrain")


@dataclass(frozen=True)
class BatchRecipe:
    """How many people, photos and targets a batch has, and how it is disturbed."""

    people: int = 8  # in all processes together
    photos: tuple[int, int] = (1, 8)  # each may show body or head
    most_faces: int = 4  # close-ups of the head among them
    targets: int = 2
    target_size: tuple[int, int] = (128, 96)
    hidden_fraction: float = 0.4  # of the batches without sampled pixels
    estimated_fraction: float = 0.7  # of the people who have them, with the photo estimator's own maps
    jitter: float = 0.12
    photometric: float = 0.06  # standard deviation of every photo's log gain, and half of it per channel


@dataclass(frozen=True)
class TrainingConfig:
    """One run. It ends after `minutes` of training, or after `steps` if that is given."""

    stage: str = "pretrain"
    model: str = "starter"  # preset of the network
    regimes: tuple[str, ...] = ()  # of the people it sees; none: all
    people_share: float = (
        1.0  # of those people: the same ones for the same share, among them all of a smaller
    )
    minutes: float = 60.0
    steps: int | None = None
    recipe: BatchRecipe = field(default_factory=BatchRecipe)
    tokens: tuple[int, int] | None = None  # range of anchor counts, the network's own if not given
    finish_tokens: int | None = None  # at the end; the largest of the range if not given
    finish_fraction: float = 0.1  # of the run
    pool_size: int = 12
    lr: float = 8e-4
    layer_decay: float = 1.0  # of the learning rate, per layer below the decoders
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.02
    warmup_steps: int = 100
    clip: float = 1.0
    average_decay: float = 0.999
    alpha_weight: float = 0.3
    ssim_weight: float = 0.2
    perceptual_weight: float = 1.0  # takes SSIM's place where the LPIPS backbone is on disk
    perceptual_file: str | None = None
    acap_weight: float = 1.0
    asap_weight: float = 0.02
    transparency_weight: float = 0.0
    surface_weight: float = 2.0  # per metre, where the true surface is known
    codes_weight: float = 0.1  # of what expression codes read, for networks that have them
    region_weights: tuple[float, float, float, float] | None = None  # of both: head, hands, upper, lower body
    sharded: bool = False  # several processes hold a part of every weight each, not all of it
    canonical_every: int = 2  # steps between canonical renders
    bf16: bool = True
    seed: int = 0
    log_every: int = 20
    save_seconds: float = 120.0
    check_steps: int = 300  # between checks, which leave pictures; 0: at the end only
    check_people: int = 8

    def __post_init__(self):
        if self.stage not in STAGES:
            raise UserError(f"There is no stage {self.stage!r}; there are {', '.join(STAGES)}.")
        if not 0 < self.layer_decay <= 1:
            raise UserError("layer_decay must lie between 0 and 1.")
        if not 0 < self.people_share <= 1:
            raise UserError("people_share must lie between 0 and 1.")

    def to_json(self) -> dict:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict) -> TrainingConfig:
        """Inverse of `to_json`; what is missing keeps its default, what is unknown is an error."""
        return _filled(TrainingConfig(), values)


def _filled(start, values: dict):
    """A copy of the dataclass `start` with the fields in `values` changed."""
    if not isinstance(values, dict):
        raise UserError("A training configuration is a JSON object.")
    known = {f.name: getattr(start, f.name) for f in fields(start)}
    if odd := sorted(set(values) - set(known)):
        raise UserError(f"A training configuration has no {odd[0]!r}.", f"It has {', '.join(known)}.")
    changes = {}
    for name, value in values.items():
        if is_dataclass(known[name]):
            value = _filled(known[name], value)
        elif isinstance(value, list):
            value = tuple(value)
        changes[name] = value
    return replace(start, **changes)


_STARTER = TrainingConfig(
    regimes=("wild", "mixed"),
    tokens=(160, 704),
    finish_tokens=2048,
    finish_fraction=0.06,
    transparency_weight=0.02,
)
_PAPER = TrainingConfig(
    model="paper",
    regimes=("wild",),
    minutes=100 * 60,
    recipe=BatchRecipe(
        people=64, targets=4, target_size=(1024, 768), hidden_fraction=0.0, estimated_fraction=0.0
    ),
    pool_size=1,
    lr=4e-4,
    weight_decay=0.05,
    warmup_steps=2000,
    average_decay=0.9999,
    acap_weight=1000.0,
    asap_weight=10.0,
    surface_weight=0.0,
    region_weights=(1.0, 1000.0, 100.0, 1.0),
    sharded=True,
    canonical_every=1,
)


def _posttrain(pretrain: TrainingConfig, **changes) -> TrainingConfig:
    return replace(pretrain, stage="posttrain", regimes=("studio",), layer_decay=0.65, **changes)


PRESETS = {
    ("starter", "pretrain"): _STARTER,
    ("starter", "posttrain"): _posttrain(
        _STARTER,
        recipe=BatchRecipe(people=4, hidden_fraction=0.15),
        tokens=(704, 2048),
        finish_fraction=0.4,
        pool_size=6,
        lr=5e-4,
        warmup_steps=30,
        average_decay=0.99,
    ),
    ("small", "pretrain"): replace(_STARTER, model="small", lr=4e-4),
    ("small", "posttrain"): _posttrain(replace(_STARTER, model="small"), lr=2e-4),
    ("paper", "pretrain"): _PAPER,
    ("paper", "posttrain"): _posttrain(_PAPER, minutes=10 * 60, lr=1e-4),
}


def training_config(name_or_file: str | Path, stage: str) -> TrainingConfig:
    """A preset's configuration of a stage, or the JSON file's. Errors: one sentence."""
    key = (str(name_or_file), stage)
    if key in PRESETS:
        return PRESETS[key]
    path = Path(name_or_file)
    if not path.is_file():
        names = sorted({name for name, _ in PRESETS})
        raise UserError(f"There is no configuration {name_or_file}.", f"Presets are {', '.join(names)}.")
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path.name} is no JSON file.") from error
    return replace(TrainingConfig.from_json(values), stage=stage)
