# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca train`."""

from pathlib import Path

from . import say


def add(subparsers) -> None:
    p = subparsers.add_parser("train", help="train a network on synthetic people")
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
    p.set_defaults(run=run)


def run(args) -> None:
    from ..model.config import preset
    from ..training.batches import BatchRecipe
    from ..training.train import TrainingConfig, train

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
    train(args.data, out, preset(args.preset), config, say)
    say(f"The model is in {out / 'model.safetensors'}.")
