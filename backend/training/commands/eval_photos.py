# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-photos`."""

import json
from pathlib import Path

from ...commands import add_network, say
from . import photo_files


def add(subparsers) -> None:
    p = subparsers.add_parser("eval-photos", help="score detection, body fit and avatars of photos")
    p.add_argument("--people", type=int, default=12, help="held-out synthetic people (default: 12)")
    p.add_argument(
        "--photos", type=Path, nargs="+", help="photos or folders of photos instead, without ground truth"
    )
    p.add_argument("--together", action="store_true", help="photos of one person: create one avatar of all")
    p.add_argument("--draft", action="store_true", help="do not refine the avatars")
    p.add_argument("--no-identity", action="store_true", help="without dlib's face descriptors")
    p.add_argument("--rows", action="store_true", help="also print each photo's scores")
    p.add_argument(
        "--sheets", type=Path, metavar="DIR", help="write a picture of each avatar beside its photos"
    )
    p.add_argument("--json", action="store_true")
    add_network(p)
    p.set_defaults(run=run)


def run(args) -> None:
    from ...imaging.correspondence import Estimator
    from ..evaluation.photos import evaluate_photos, evaluate_synthetic

    if not args.photos:
        result = evaluate_synthetic(args.people, Estimator(), say)
    else:
        from ...model.checkpoint import load_model
        from ..evaluation.identity import Identity

        identity = None if args.no_identity else Identity()
        model = load_model(args.model, args.encoder)
        paths = photo_files(args.photos)
        result, rows = evaluate_photos(
            paths, model, Estimator(), args.together, identity, say, args.sheets, not args.draft
        )
        if args.rows:
            result["rows"] = {str(path): row for path, row in rows}
    print(json.dumps(result) if args.json else "\n".join(f"{k:20} {v}" for k, v in result.items()))
