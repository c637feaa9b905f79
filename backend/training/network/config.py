# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training run does, as data: every number of both stages, kept beside the run as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from ...errors import UserError

STAGES = ("pretrain", "posttrain")


def _whole(value, low: int = 1) -> bool:
    return type(value) is int and value >= low


def _real(value, low: float = 0.0, high: float = sys.float_info.max) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _all(value, test, count: int) -> bool:
    return isinstance(value, tuple) and len(value) == count and all(map(test, value))


_RULES = (  # fields, what they must be, and how that is told; a field that is None by default may be None
    (
        "steps finish_tokens pool_size warmup_steps canonical_every log_every people targets",
        "a whole number above 0",
        _whole,
    ),
    ("check_people", "a whole number above 1", lambda v: _whole(v, 2)),
    ("seed check_steps most_faces", "a whole number, 0 or more", lambda v: _whole(v, 0)),
    (
        "tokens photos",
        "two whole numbers above 0, the larger one last",
        lambda v: _all(v, _whole, 2) and v[0] <= v[1],
    ),
    ("target_size", "two whole numbers above 0", lambda v: _all(v, _whole, 2)),
    ("minutes lr clip", "a number above 0", lambda v: _real(v) and v > 0),
    ("people_share layer_decay", "a number above 0, at most 1", lambda v: _real(v, high=1) and v > 0),
    (
        "finish_fraction average_decay hidden_fraction estimated_fraction",
        "a number from 0 to 1",
        lambda v: _real(v, high=1),
    ),
    (
        "weight_decay alpha_weight ssim_weight perceptual_weight acap_weight asap_weight transparency_weight"
        " surface_weight codes_weight save_seconds jitter photometric",
        "a number, 0 or more",
        _real,
    ),
    ("betas", "two numbers from 0 to below 1", lambda v: _all(v, lambda b: _real(b) and b < 1, 2)),
    ("region_weights", "four numbers, 0 or more", lambda v: _all(v, _real, 4)),
    ("regimes", "a list of names", lambda v: isinstance(v, tuple) and all(isinstance(n, str) for n in v)),
    ("model perceptual_file", "a text", lambda v: isinstance(v, str)),
    ("sharded bf16 plain", "true or false", lambda v: isinstance(v, bool)),
)


def _refuse_odd(config) -> None:
    """UserError for the first field of a dataclass that breaks its rule."""
    defaults = {f.name: f.default for f in fields(config)}
    for names, told, holds in _RULES:
        for name in names.split():
            value = getattr(config, name, None)
            if name in defaults and not holds(value) and (value is not None or defaults[name] is not None):
                raise UserError(f"{name} must be {told}.")


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
    plain: bool = False  # photos over grey with their own mattes, not over random colours with spoiled ones

    def undisturbed(self) -> BatchRecipe:
        """The same with photos that look alike whenever they are drawn."""
        return replace(self, jitter=0.0, photometric=0.0, plain=True)

    def __post_init__(self):
        _refuse_odd(self)


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
        _refuse_odd(self)

    def to_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def _filled(start, values: dict):
    """A copy of the dataclass `start` with the fields in the JSON object `values` changed."""
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
    """A preset's configuration of a stage, or that of the network which a JSON file names ("starter" if none)
    with what the file changes. Errors: one sentence.
    """
    key = (str(name_or_file), stage)
    if key in PRESETS:
        return PRESETS[key]
    path, names = Path(name_or_file), sorted({name for name, _ in PRESETS})
    if not path.is_file():
        raise UserError(f"There is no configuration {name_or_file}.", f"Presets are {', '.join(names)}.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is no JSON file.") from error
    model = values.get("model", "starter") if isinstance(values, dict) else "starter"
    if model not in names:
        raise UserError(f"{path.name}: there is no model {model!r}.", f"There are {', '.join(names)}.")
    return replace(_filled(PRESETS[model, stage], values), stage=stage)
