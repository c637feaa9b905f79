# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca synth`."""

from pathlib import Path

from ...commands import say


def add(subparsers) -> None:
    p = subparsers.add_parser("synth", help="write synthetic people with all ground truth as tar shards")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--people", type=int, default=100)
    p.add_argument("--seed", type=int, default=0, help="of the first person; from 1000000: held out")
    p.add_argument("--regime", choices=["studio", "wild", "both"], default="both")
    p.add_argument("--views", type=int, default=10, help="of each person, two fifths of them of the head")
    p.add_argument("--size", type=int, default=256, help="height of a picture; its width is three quarters")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--passes", default="", help="normal,albedo,specular,shadow,occlusion,depth")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..people.synth import write_synth

    passes = [name for name in args.passes.split(",") if name]
    write_synth(
        args.out, args.people, args.seed, args.regime, args.views, args.size, args.workers, passes, say
    )
