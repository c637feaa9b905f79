# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca codes train` and `lca codes read`."""

import json
from pathlib import Path

from . import say


def add(subparsers) -> None:
    top = subparsers.add_parser("codes", help="expression codes from photos of faces")
    kinds = top.add_subparsers(required=True, metavar="kind")

    p = kinds.add_parser("train", help="train the encoder on crops of faces")
    p.add_argument("--faces", type=Path, required=True, help="folder that synthetic faces are rendered into")
    p.add_argument("--data", type=Path, nargs="*", default=[], help="further folders of people")
    p.add_argument("--out", type=Path, required=True, help="folder for codes.safetensors")
    p.add_argument("--minutes", type=float, default=8.0)
    p.add_argument("--people", type=int, default=640, help="rendered people to train on")
    p.add_argument("--held-out", type=int, default=64, help="rendered people to measure on")
    p.add_argument("--workers", type=int, default=1)
    p.set_defaults(run=train)

    p = kinds.add_parser("read", help="ARKit's 52 values and the gaze in each photo, as JSON lines")
    p.add_argument("photos", nargs="+", type=Path)
    p.add_argument("--codes", type=Path, help="codes.safetensors; the bundled ones if not given")
    p.add_argument("--with-codes", action="store_true", help="also print the 128 values of the code")
    p.set_defaults(run=read)


def train(args) -> None:
    from ..training.codes.train import CodesConfig, train_codes

    config, counts = CodesConfig(minutes=args.minutes), (args.people, args.held_out, args.workers)
    print(json.dumps(train_codes(args.faces, args.data, args.out, config, *counts, say)))


def read(args) -> None:
    from ..imaging.correspondence import Estimator
    from ..model.expression_codes import bundled_codes, load_codes, read_photos

    encoder = load_codes(args.codes or bundled_codes())
    for path, row in read_photos(encoder, args.photos, Estimator(), args.with_codes):
        print(json.dumps({"photo": str(path), **row}))
