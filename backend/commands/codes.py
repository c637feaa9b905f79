# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca codes read`."""

import json
from pathlib import Path

from . import kinds_of


def add(subparsers) -> None:
    p = kinds_of(subparsers, "codes", "expression codes from photos of faces").add_parser(
        "read", help="ARKit's 52 values and the gaze in each photo, as JSON lines"
    )
    p.add_argument("photos", nargs="+", type=Path)
    p.add_argument("--codes", type=Path, help="codes.safetensors; the bundled ones if not given")
    p.add_argument("--with-codes", action="store_true", help="also print the 128 values of the code")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..imaging.correspondence import Estimator
    from ..imaging.faces import read_photos
    from ..model.expression_codes import bundled_codes, load_codes

    encoder = load_codes(args.codes or bundled_codes())
    for path, row in read_photos(encoder, args.photos, Estimator(), args.with_codes):
        print(json.dumps({"photo": str(path), **row}))
