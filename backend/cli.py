# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca`: the same work without Blender. Every command imports only what it needs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from .errors import UserError


def say(text: str) -> None:
    """A line for the person, apart from a command's result."""
    print(text, file=sys.stderr, flush=True)


def train(args) -> None:
    from .model.config import preset
    from .training.batches import BatchRecipe
    from .training.train import TrainingConfig
    from .training.train import train as run

    config = TrainingConfig(
        minutes=args.minutes,
        steps=args.steps,
        lr=args.lr,
        seed=args.seed,
        recipe=BatchRecipe(people=args.batch),
        bf16=not args.fp32,
        save_seconds=args.save_seconds,
    )
    out = args.out or args.data / "runs" / args.preset
    run(args.data, out, preset(args.preset), config, say)
    say(f"The model is in {out / 'model.safetensors'}.")


def evaluate(args) -> None:
    from .model.checkpoint import load_model
    from .training.evaluate import evaluate as run

    estimator = None
    if not args.true_maps:
        from .imaging.correspondence import BUNDLED, load_estimator

        estimator = load_estimator(args.estimator or BUNDLED)
    model = load_model(args.model)
    mean = Path(args.model).with_suffix(".mean.lca") if Path(args.model).is_file() else None
    pictures: list | None = [] if args.pictures else None
    result = run(model, args.people, args.data, args.tokens, estimator, mean, say, pictures)
    if args.pictures:
        from .training.sheet import save_sheet

        save_sheet(args.pictures, pictures)
    print(json.dumps(result) if args.json else "\n".join(f"{k:18} {v}" for k, v in result.items()))


def create(args) -> None:
    from .imaging.correspondence import load_estimator
    from .imaging.views import prepare_views
    from .model.checkpoint import load_model
    from .model.create import create_avatar

    model = load_model(args.model, args.encoder_weights)
    progress = lambda fraction, message="": say(f"{100 * fraction:3.0f} %  {message}")  # noqa: E731
    views = prepare_views(args.photos, load_estimator(), model.config, progress)
    avatar = create_avatar(views, model, args.tokens, progress, name=args.name, consent=args.consent)
    avatar.save(args.out)
    for warning in views.warnings:
        say(warning)
    print(f"{args.out}: {len(avatar)} Gaussians")


def inspect(args) -> None:
    from .avatar import Avatar

    avatar = Avatar.load(args.file)
    avatar.verify()
    facts = {
        "gaussians": len(avatar),
        "tokens": len(avatar.token_bias),
        "joints": len(avatar.joint_names),
        "hash": avatar.hash,
        **avatar.header,
    }
    print(json.dumps(facts, indent=1, default=str))


def demo_data(args) -> None:
    from .people.dataset import write_shards

    first, last = args.seeds
    write_shards(args.out, range(first, last), args.workers)


def evaluate_estimator(args) -> None:
    from .imaging.correspondence import BUNDLED, load_estimator
    from .imaging.evaluate_estimator import evaluate as run

    result = run(load_estimator(args.estimator or BUNDLED), args.people, args.data, say)
    print(json.dumps(result) if args.json else "\n".join(f"{k:22} {v}" for k, v in result.items()))


def synth(args) -> None:
    from .people.synth import write_synth

    passes = [name for name in args.passes.split(",") if name]
    write_synth(
        args.out, args.people, args.seed, args.regime, args.views, args.size, args.workers, passes, say
    )


def train_correspondence(args) -> None:
    from .imaging.train_correspondence import main as run

    run(args.rest)


def bench(args) -> None:
    from .bench import report

    result = report.run(args.groups or report.GROUPS, args.threads, say)
    print(json.dumps(result, indent=1) if args.json else report.table(result))


def seed_range(text: str) -> tuple[int, int]:
    """`first:last`, the last not included."""
    first, _, last = text.partition(":")
    try:
        return int(first), int(last)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of seeds such as 0:100") from None


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="lca", description=__doc__)
    top.add_argument("--threads", type=int, help="CPU threads (all cores if not given)")
    commands = top.add_subparsers(required=True, metavar="command")

    p = commands.add_parser("train", help="train a network on synthetic people")
    p.add_argument("preset", help="starter, small or paper")
    p.add_argument("--data", type=Path, required=True, help="folder made by `lca demo-data`")
    p.add_argument("--out", type=Path, help="folder of the run; an existing run is continued")
    p.add_argument("--minutes", type=float, default=60.0)
    p.add_argument("--steps", type=int, help="end after this many steps instead")
    p.add_argument("--batch", type=int, default=8, help="people per step")
    p.add_argument("--lr", type=float, default=8e-4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--save-seconds", type=float, default=120.0)
    p.add_argument("--fp32", action="store_true", help="no bfloat16")
    p.set_defaults(run=train)

    p = commands.add_parser("eval", help="score a network on people it never saw")
    p.add_argument("--model", default="starter", help="a preset's name or a file")
    p.add_argument("--people", type=int, default=32)
    p.add_argument("--data", type=Path, help="folder with rendered people; others are rendered now")
    p.add_argument("--tokens", type=int)
    p.add_argument("--estimator", type=Path, help="a photo estimator's file (the bundled one)")
    p.add_argument("--true-maps", action="store_true", help="skip the estimators: an upper bound")
    p.add_argument("--pictures", type=Path, help="write a PNG sheet: photo target, own, average, swapped")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=evaluate)

    p = commands.add_parser("eval-estimator", help="score the photo estimator on people it never saw")
    p.add_argument("--estimator", type=Path, help="its file (the bundled one)")
    p.add_argument("--people", type=int, default=16)
    p.add_argument("--data", type=Path, help="folder with rendered people; others are rendered now")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=evaluate_estimator)

    p = commands.add_parser("create", help="photos to an avatar file")
    p.add_argument("photos", nargs="+", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--model", default="starter")
    p.add_argument("--encoder-weights", type=Path, help="a Sapiens checkpoint, for models that need one")
    p.add_argument("--tokens", type=int)
    p.add_argument("--name", default="Avatar")
    p.add_argument("--consent", default="", help="a note on the photographed person's consent")
    p.set_defaults(run=create)

    p = commands.add_parser("inspect", help="what an avatar file holds")
    p.add_argument("file", type=Path)
    p.set_defaults(run=inspect)

    p = commands.add_parser("demo-data", help="render synthetic people")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--seeds", type=seed_range, default=(0, 200), metavar="FIRST:LAST")
    p.add_argument("--workers", type=int, default=1)
    p.set_defaults(run=demo_data)

    p = commands.add_parser("synth", help="write synthetic people with all ground truth as tar shards")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--people", type=int, default=100)
    p.add_argument("--seed", type=int, default=0, help="of the first person; from 1000000: held out")
    p.add_argument("--regime", choices=["studio", "wild", "both"], default="both")
    p.add_argument("--views", type=int, default=10, help="of each person, two fifths of them of the head")
    p.add_argument("--size", type=int, default=256, help="height of a picture; its width is three quarters")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--passes", default="", help="normal,albedo,specular,shadow,occlusion,depth")
    p.set_defaults(run=synth)

    p = commands.add_parser("bench", help="time each part next to a peer")
    p.add_argument("groups", nargs="*", help="raster, drive, backward, create, blender; all")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=bench)

    p = commands.add_parser("train-correspondence", help="train the photo estimator", add_help=False)
    p.add_argument("rest", nargs=argparse.REMAINDER)
    p.set_defaults(run=train_correspondence)
    return top


def main(argv: list[str] | None = None) -> int:
    """Entry point: 0 when it went well, 1 with one sentence when it did not."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["train-correspondence"]:  # it has options of its own
        args = argparse.Namespace(run=train_correspondence, rest=argv[1:], threads=None)
    else:
        args = parser().parse_args(argv)
    if args.threads:
        os.environ.setdefault("NUMBA_NUM_THREADS", str(args.threads))
        import torch

        torch.set_num_threads(args.threads)
    try:
        args.run(args)
    except UserError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
