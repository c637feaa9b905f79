# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca demo-data`."""

import argparse
from pathlib import Path


def add(subparsers) -> None:
    p = subparsers.add_parser("demo-data", help="render synthetic people")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--seeds", type=seed_range, default=(0, 200), metavar="FIRST:LAST")
    p.add_argument(
        "--regime", choices=["mixed", "studio", "wild", "both"], default="both", help="both: alternating"
    )
    p.add_argument("--workers", type=int, default=1)
    p.set_defaults(run=run)


def seed_range(text: str) -> tuple[int, int]:
    """`first:last`, the last not included."""
    first, _, last = text.partition(":")
    try:
        return int(first), int(last)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of seeds such as 0:100") from None


def run(args) -> None:
    from ..people.dataset import write_shards

    write_shards(args.out, range(*args.seeds), args.workers, regime=args.regime)
