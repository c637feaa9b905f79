# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval`."""

import json
from pathlib import Path

from ...commands import add_network, say


def add(subparsers) -> None:
    p = subparsers.add_parser("eval", help="score a network on held-out people")
    add_network(p)
    p.add_argument(
        "--split", choices=["studio", "wild"], default="studio", help="how people are photographed"
    )
    p.add_argument("--views", type=int, choices=range(1, 9), default=8, help="photos of each person")
    p.add_argument("--people", type=int, default=64)
    p.add_argument(
        "--data",
        type=Path,
        default=Path("data/evaluation"),
        help="folder of the rendered people",
    )
    p.add_argument("--shards", type=Path, help="a folder of people of your own instead (docs/data_format.md)")
    p.add_argument("--tokens", type=int)
    p.add_argument("--lpips", type=Path, help="weights of the LPIPS measure (training/network/perceptual.py)")
    p.add_argument(
        "--true-maps", action="store_true", help="the network alone, with true mattes and correspondences"
    )
    p.add_argument("--refine", action="store_true", help="refine the avatars, as users' are")
    p.add_argument(
        "--pictures",
        type=Path,
        help="write PNGs: photos, avatars, ground truth; expressions",
    )
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=run)


def run(args) -> None:
    from ...files import require_writable
    from ...model.checkpoint import load_model
    from ..dataset.shards import ShardFolder
    from ..evaluation.evaluate import evaluate, held_out_people

    if args.pictures:
        require_writable(args.pictures)
    estimator = None
    if not args.true_maps:
        from ...imaging.correspondence import Estimator

        estimator = Estimator()
    perceptual = None
    if args.lpips:
        from ..network.perceptual import load_lpips

        perceptual = load_lpips(args.lpips)
    model = load_model(args.model, args.encoder)
    if args.shards:
        people = ShardFolder(args.shards)
        people.samples = people.samples[: args.people]
    else:
        people = held_out_people(args.data, args.split, args.people, say)
    subjects: list = []
    numbers = evaluate(
        model, people, args.views, args.tokens, estimator, perceptual, say, subjects, args.refine
    )
    source = "shards" if args.shards else args.split
    result = {"model": str(args.model), "split": source, "true_maps": args.true_maps, **numbers}
    print(json.dumps(result) if args.json else "\n".join(f"{k:18} {v}" for k, v in result.items()))
    if args.pictures:
        from ..evaluation.figures import expression_figure, people_figure

        people_figure(args.pictures, subjects)
        beside = args.pictures.with_name(f"{args.pictures.stem}_expressions{args.pictures.suffix}")
        expression_figure(beside, subjects[0].avatar)
        say(f"The pictures are {args.pictures} and {beside}.")
