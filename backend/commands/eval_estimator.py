# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-estimator`."""

import json
from pathlib import Path

from . import say


def add(subparsers) -> None:
    p = subparsers.add_parser("eval-estimator", help="score the photo estimator on people it never saw")
    p.add_argument("--estimator", type=Path, help="its file (the bundled one)")
    p.add_argument("--people", type=int, default=16)
    p.add_argument("--data", type=Path, help="folder with rendered people; others are rendered now")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..imaging.correspondence import BUNDLED, load_estimator
    from ..imaging.training.evaluate import evaluate

    result = evaluate(load_estimator(args.estimator or BUNDLED), args.people, args.data, say)
    print(json.dumps(result) if args.json else "\n".join(f"{k:22} {v}" for k, v in result.items()))
