# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-likeness`."""

import json
from pathlib import Path

from ...commands import add_network, say
from . import photo_files


def add(subparsers) -> None:
    p = subparsers.add_parser("eval-likeness", help="score how much avatars are the photographed persons")
    p.add_argument(
        "--split", choices=["studio", "wild"], default="studio", help="how synthetic people are photographed"
    )
    p.add_argument("--people", type=int, default=12, help="held-out synthetic people (default: 12)")
    p.add_argument("--views", type=int, choices=range(1, 9), default=4, help="photos of each (default: 4)")
    p.add_argument("--data", type=Path, default=Path("data/evaluation"), help="folder of the rendered people")
    p.add_argument(
        "--photos", type=Path, nargs="+", help="photos or a folder of photos of one person instead"
    )
    p.add_argument("--draft", action="store_true", help="do not refine the avatars")
    p.add_argument("--no-identity", action="store_true", help="without dlib's face descriptors")
    p.add_argument(
        "--sheets", type=Path, metavar="DIR", help="write a picture of each avatar beside what it is held to"
    )
    p.add_argument("--json", action="store_true")
    add_network(p)
    p.set_defaults(run=run)


def run(args) -> None:
    from ...imaging.correspondence import Estimator
    from ...model.checkpoint import load_model
    from ..evaluation.evaluate import held_out_people
    from ..evaluation.identity import Identity
    from ..evaluation.likeness import Tools, evaluate_people, evaluate_photos_left_out

    identity = None if args.no_identity else Identity()
    model = load_model(args.model, args.encoder)
    tools = Tools(model, Estimator(), identity, say, args.sheets, not args.draft)
    if args.photos:
        asked = {"photos": [str(path) for path in args.photos]}
        numbers = evaluate_photos_left_out(photo_files(args.photos), tools)
    else:
        asked = {"split": args.split, "views": args.views}
        people = held_out_people(args.data, args.split, args.people, say)
        numbers = evaluate_people(people, args.views, tools)
    result = {"model": str(args.model), **asked, **numbers}
    print(json.dumps(result) if args.json else "\n".join(f"{k:18} {v}" for k, v in result.items()))
