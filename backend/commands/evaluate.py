# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval`."""

import json
from pathlib import Path

from . import say


def add(subparsers) -> None:
    p = subparsers.add_parser("eval", help="score a network on people it never saw")
    p.add_argument("--model", default="starter", help="a preset's name or a file")
    p.add_argument("--people", type=int, default=32)
    p.add_argument("--data", type=Path, help="folder with rendered people; others are rendered now")
    p.add_argument("--tokens", type=int)
    p.add_argument("--estimator", type=Path, help="a photo estimator's file (the bundled one)")
    p.add_argument("--true-maps", action="store_true", help="skip the estimators: an upper bound")
    p.add_argument("--pictures", type=Path, help="write a PNG sheet: photo target, own, average, swapped")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..model.checkpoint import load_model
    from ..training.evaluate import evaluate

    estimator = None
    if not args.true_maps:
        from ..imaging.correspondence import BUNDLED, load_estimator

        estimator = load_estimator(args.estimator or BUNDLED)
    model = load_model(args.model)
    mean = Path(args.model).with_suffix(".mean.lca") if Path(args.model).is_file() else None
    pictures: list | None = [] if args.pictures else None
    result = evaluate(model, args.people, args.data, args.tokens, estimator, mean, say, pictures)
    if args.pictures:
        from ..training.sheet import save_sheet

        save_sheet(args.pictures, pictures)
    print(json.dumps(result) if args.json else "\n".join(f"{k:18} {v}" for k, v in result.items()))
