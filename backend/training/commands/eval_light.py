# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-light`."""

import json
from pathlib import Path

from ...commands import say


def add(subparsers) -> None:
    p = subparsers.add_parser("eval-light", help="compare shading with Cycles on held-out people (needs bpy)")
    p.add_argument("--data", type=Path, default=Path("data/light"), help="folder of Cycles' pictures")
    p.add_argument("--people", type=int, choices=range(1, 4), default=3)
    p.add_argument("--lights", nargs="+", help="some of the lights (default: all)")
    p.add_argument("--sheets", type=Path, metavar="DIR", help="write pictures: Cycles, ours, 5 x difference")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=run)


def run(args) -> None:
    from ...errors import UserError
    from ..evaluation.light import LIGHTS, PEOPLE, evaluate_light

    lights = tuple(args.lights or LIGHTS)
    if not set(lights) <= set(LIGHTS):
        raise UserError(f"The lights are {', '.join(LIGHTS)}.", "Choose among them.")
    result = evaluate_light(args.data, lights, PEOPLE[: args.people], say, args.sheets)
    print(json.dumps(result) if args.json else "\n".join(f"{k:22} {v}" for k, v in result.items()))
