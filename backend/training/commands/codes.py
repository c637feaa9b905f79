# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca codes train`."""

import json
from pathlib import Path

from ...commands import kinds_of, say


def add(subparsers) -> None:
    p = kinds_of(subparsers, "codes", "expression codes from photos of faces").add_parser(
        "train", help="learn them from crops of faces"
    )
    p.add_argument("--faces", type=Path, required=True, help="folder that synthetic faces are rendered into")
    p.add_argument("--data", type=Path, nargs="*", default=[], help="further folders of people")
    p.add_argument("--out", type=Path, required=True, help="folder for codes.safetensors")
    p.add_argument("--minutes", type=float, default=8.0)
    p.add_argument("--people", type=int, default=640, help="who are rendered, and train")
    p.add_argument("--held-out", type=int, default=64, help="who are rendered, and only measured on")
    p.add_argument("--workers", type=int, default=1)
    p.set_defaults(run=run)


def run(args) -> None:
    from ..codes.train import CodesConfig, train_codes

    config, counts = CodesConfig(minutes=args.minutes), (args.people, args.held_out, args.workers)
    print(json.dumps(train_codes(args.faces, args.data, args.out, config, *counts, say)))
