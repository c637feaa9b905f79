# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca explain attention` and `lca explain domains`."""

import json
from pathlib import Path

from ...commands import add_network, say

DOMAINS = ("studio", "wild")


def add(subparsers) -> None:
    top = subparsers.add_parser("explain", help="pictures of a network's attention and features")
    kinds = top.add_subparsers(required=True, metavar="kind")

    p = kinds.add_parser("attention", help="attention of the Gaussians at a place of the body to the photos")
    p.add_argument("photos", nargs="*", type=Path, help="of one person; a synthetic person if none")
    p.add_argument("--person", type=int, default=1_000_000, help="seed of the synthetic person")
    p.add_argument("--regime", choices=["mixed", *DOMAINS], default="mixed", help="of their photos")
    p.add_argument(
        "--at", default="nose,spine3,hand.L,foot.R", help="places: nose, or joints of the template"
    )
    p.add_argument("--stage", choices=["last", "all", "pixels"], help="pixels where there is such attention")
    p.set_defaults(run=attention)

    d = kinds.add_parser("domains", help="people of both regimes in the plane of the principal components")
    d.add_argument("--people", type=int, default=16, help="of each regime")
    d.set_defaults(run=domains)

    for parser, name in ((p, "attention.png"), (d, "domains.png")):
        add_network(parser)
        parser.add_argument("--tokens", type=int)
        parser.add_argument("--out", type=Path, default=Path(name))


def attention(args) -> None:
    from ...model.checkpoint import load_model
    from ..evaluation.explain import explain_attention, person_views

    model = load_model(args.model, args.encoder)
    if args.photos:
        from ...imaging.correspondence import Estimator
        from ...imaging.reading import read_photos
        from ...imaging.views import network_views

        views = network_views(read_photos(args.photos, Estimator()), model.config)
    else:
        views = person_views(model, args.person, args.regime)
    stage = args.stage or ("last" if model.pixels is None else "pixels")
    explain_attention(model, views, args.at.split(","), args.out, stage, args.tokens)
    print(args.out)


def domains(args) -> None:
    from ...model.checkpoint import load_model
    from ..evaluation.explain import explain_domains, person_views
    from ..people.dataset import HELD_OUT

    model, people = load_model(args.model, args.encoder), {}
    for regime in DOMAINS:
        say(f"People of the regime {regime}")
        # different people in each, so that the regimes are not told apart by the person
        first = HELD_OUT + args.people * DOMAINS.index(regime)
        people[regime] = [person_views(model, first + n, regime) for n in range(args.people)]
    print(json.dumps(explain_domains(model, people, args.out, args.tokens)))
