# SPDX-License-Identifier: GPL-3.0-or-later
"""Ablations: `lca ablate` trains small variants for some minutes each and writes tables.

The shape of Tables 1, 3, S1 and S2 of arXiv 2604.02320 at the scale of the starter. A variant that has been
trained and measured is not done again; one that was interrupted goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch

from ...errors import UserError
from ...files import replacing
from ...model.checkpoint import load_model
from ...model.config import preset
from ...model.lca import LCA
from ..dataset.prepared import VERSION as PREPARED
from ..network.config import TrainingConfig, training_config
from ..network.train import train
from .evaluate import evaluate, held_out_people

SPLITS = ("studio", "wild")
COLUMNS = ("l1", "ssim", "psnr")
POST_SHARE = 0.5  # of the first stage's length: what a second one comes on top with


@dataclass(frozen=True)
class Variant:
    """One row of a table. pre, post: regimes of the stages, empty where there is none; share of the people of
    the first stage; dual: whether face photos have their own branch; decay of the second stage's rates."""

    name: str
    pre: tuple[str, ...] = ("wild",)
    post: tuple[str, ...] = ("studio",)
    share: float = 1.0
    dual: bool = True
    decay: float = 0.65


@dataclass(frozen=True)
class Table:
    """One question: a heading, what the first column lists, its rows."""

    title: str
    first: str
    rows: tuple[Variant, ...]


TABLES = {
    "data": Table(
        "Ablation: where people come from",
        "trained on",
        (
            Variant("wild only", post=()),
            Variant("studio only", pre=("studio",), post=()),
            Variant("both mixed", pre=("wild", "studio"), post=()),
            Variant("wild, then studio"),
        ),
    ),
    "people": Table(
        "Ablation: people in pretraining",
        "share of the people",
        (Variant("10 %", share=0.1), Variant("30 %", share=0.3), Variant("100 %")),
    ),
    "branches": Table(
        "Ablation: branches",
        "photos of face and body",
        (Variant("one branch", dual=False), Variant("two branches")),
    ),
    "decay": Table(
        "Ablation: layer-wise decay of the learning rate",
        "decay",
        tuple(Variant(f"{decay:g}", decay=decay) for decay in (0.3, 0.5, 0.65, 0.8, 1.0)),
    ),
}


@dataclass(frozen=True)
class Scale:
    """What every variant gets: a preset's name or a JSON file, minutes of training or `steps`; and what it is
    measured with."""

    preset: str = "starter"
    minutes: float = 10.0
    steps: int | None = None
    people: int = 16
    views: int = 4
    tokens: int | None = None
    batch: int | None = None


def stage_configs(variant: Variant, scale: Scale) -> list[TrainingConfig]:
    """The variant's runs, one after the other. As in the paper, post-training comes on top: its row is the
    pretrained network of another, trained on.
    """
    stages = [("pretrain", variant.pre), ("posttrain", variant.post)]
    stages = [(stage, regimes) for stage, regimes in stages if regimes]
    configs = []
    for n, (stage, regimes) in enumerate(stages):
        part = (1.0, POST_SHARE)[n]
        config = training_config(scale.preset, stage)
        config = replace(
            config,
            regimes=regimes,
            minutes=scale.minutes * part,
            steps=scale.steps and max(1, round(scale.steps * part)),
            people_share=variant.share if n == 0 else 1.0,
            check_steps=0,
        )
        if stage == "posttrain":
            config = replace(config, layer_decay=variant.decay)
        if scale.batch is not None:
            config = replace(config, recipe=replace(config.recipe, people=scale.batch))
        configs.append(config)
    return configs


def run_folder(
    out: Path, config: TrainingConfig, dual: bool, before: Path | None, folders: Sequence[Path]
) -> Path:
    """Where a stage lies, by all that it depends on: variants that begin alike share their beginning.

    Only what differs from the defaults counts, so that a new field leaves finished runs where they are.
    """
    usual = TrainingConfig().to_json()
    own = {key: value for key, value in config.to_json().items() if value != usual[key]}
    people = [str(Path(folder).resolve()) for folder in folders]
    return out / f"{config.stage}-{digest(own, dual, before.name if before else None, people, PREPARED)}"


def scores_path(folder: Path, people: Path, scale: Scale, estimated: bool) -> Path:
    """Where the numbers of the network in a run's folder lie, by all that they depend on. `estimated`: photos
    are read; else true maps are.
    """
    told = digest(scale.people, scale.views, scale.tokens, estimated, str(Path(people).resolve()))
    return folder / f"scores-{told}.json"


def digest(*values) -> str:
    """A name for JSON values."""
    return sha256(json.dumps(values).encode()).hexdigest()[:12]


def train_variant(
    variant: Variant, folders: Sequence[Path], out: Path, scale: Scale, say=print, cancelled=None
) -> Path:
    """Train a variant's stages where that is not done yet; returns the last one's folder."""
    network = preset(training_config(scale.preset, "pretrain").model).with_(dual_branch=variant.dual)
    folder = None
    for config in stage_configs(variant, scale):
        before, folder = folder, run_folder(out, config, variant.dual, folder, folders)
        if (folder / "finished").is_file():
            continue
        say(f"{variant.name}: {config.stage} in {folder.name}")
        torch.manual_seed(config.seed)
        start = load_model(before / "model.safetensors") if before else LCA(network)
        train(list(folders), folder, config, start, say, cancelled)
        if cancelled and cancelled():
            raise UserError("Stopped.", "The same command goes on from here.")
        (folder / "finished").touch()
    return folder


def measure_variant(folder: Path, people: Path, scale: Scale, estimator, say) -> dict:
    """Numbers of both splits for the network in a run's folder, kept there."""
    path = scores_path(folder, people, scale, estimator is not None)
    if path.is_file():
        return json.loads(path.read_text())
    model, result = load_model(folder / "model.safetensors"), {}
    for split in SPLITS:
        held_out = held_out_people(people, split, scale.people, say)
        result[split] = evaluate(model, held_out, scale.views, scale.tokens, estimator, say=say)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result))
    return result


def markdown(table: Table, results: Sequence[dict], scale: Scale) -> str:
    """A table's section: heading, how it was made, rows; the best of a column in bold."""
    heads = [f"{split} {name}" for split in SPLITS for name in COLUMNS]
    values = [[result[split][name] for split in SPLITS for name in COLUMNS] for result in results]
    best = [
        (min if "l1" in head else max)(column)
        for head, column in zip(heads, zip(*values, strict=True), strict=True)
    ]
    duration = f"{scale.steps} steps" if scale.steps else f"{scale.minutes:g} minutes"
    lines = [
        f"## {table.title}",
        f"`lca ablate`, {Path(scale.preset).stem}, {duration} of training a row, {scale.people} unseen people"
        f" of each split, {scale.views} photos."
        f" Post-training adds {POST_SHARE:.0%} to that.",
        "",
        f"| {table.first} | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for row, numbers in zip(table.rows, values, strict=True):
        cells = []
        for head, number, top in zip(heads, numbers, best, strict=True):
            text = f"{number:.2f}" if "psnr" in head else f"{number:.4f}"
            cells.append(f"**{text}**" if number == top else text)
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def put_section(text: str, section: str) -> str:
    """A document with the section in place of the one of the same heading, or before "Never run", or last."""
    heading = section.splitlines()[0]
    old = re.compile(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if old.search(text):
        return old.sub(lambda _: section + "\n", text, count=1).rstrip("\n") + "\n"
    head, mark, tail = text.partition("\n## Never run")
    return head.rstrip("\n") + f"\n\n{section}{mark}{tail}"


def ablate(
    names: Sequence[str],
    folders: Sequence[Path],
    out: Path,
    evaluation: Path,
    scale: Scale,
    document: Path | None = None,
    estimator=None,
    say: Callable[[str], None] = print,
    cancelled=None,
) -> str:
    """Tables `names` of `TABLES` as markdown, put into `document` too as soon as each is done.

    folders: prepared people of both regimes; out: runs and results, which a second call reads; evaluation:
    where held-out people are kept. Errors: `UserError` for an unknown table, a document that is not there,
    and a preset with a Sapiens encoder, which variants do not load.
    """
    if unknown := set(names) - set(TABLES):
        raise UserError(f"There is no table {sorted(unknown)[0]!r}.", f"There are {', '.join(TABLES)}.")
    if document is not None and not document.is_file():
        raise UserError(f"There is no file {document}.")
    if preset(training_config(scale.preset, "pretrain").model).encoder != "starter":
        raise UserError("Tables of networks with a Sapiens encoder are not made.", "Choose starter or small.")
    out.mkdir(parents=True, exist_ok=True)
    sections = []
    for name in names:
        results = []
        for variant in TABLES[name].rows:
            folder = train_variant(variant, folders, out, scale, say, cancelled)
            results.append(measure_variant(folder, evaluation, scale, estimator, say))
        sections.append(markdown(TABLES[name], results, scale))
        if document is not None:
            changed = put_section(document.read_text(), sections[-1])
            with replacing(document) as temporary:
                temporary.write_text(changed)
    return "\n".join(sections)
