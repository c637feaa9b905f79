# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca ablate`."""

from pathlib import Path

from ...commands import say


def add(subparsers) -> None:
    p = subparsers.add_parser("ablate", help="train small variants and write tables of their scores")
    p.add_argument("tables", nargs="*", help="data, people, branches, decay; all of them if none")
    p.add_argument("--data", type=Path, nargs="+", required=True, help="folders of prepared people")
    p.add_argument("--out", type=Path, required=True, help="folder of the runs; existing ones are continued")
    p.add_argument("--minutes", type=float, default=10.0, help="training time of each row")
    p.add_argument("--steps", type=int, help="training steps of each row, instead of minutes")
    p.add_argument("--config", default="starter", help="a preset's name or a JSON file")
    p.add_argument("--people", type=int, default=16, help="held-out people of each split")
    p.add_argument("--views", type=int, default=4, help="photos of each person")
    p.add_argument("--tokens", type=int)
    p.add_argument("--batch", type=int, help="people per step")
    p.add_argument(
        "--true-maps",
        action="store_true",
        help="measure with true correspondences instead of the photo estimator",
    )
    p.add_argument(
        "--evaluation", type=Path, default=Path("data/evaluation"), help="folder of the held-out people"
    )
    p.add_argument("--write", type=Path, help="document whose sections of these tables are replaced")
    p.set_defaults(run=run)


def run(args) -> None:
    from ...imaging.correspondence import Estimator
    from ..evaluation.ablate import TABLES, Scale, ablate

    scale = Scale(args.config, args.minutes, args.steps, args.people, args.views, args.tokens, args.batch)
    names = args.tables or list(TABLES)
    estimator = None if args.true_maps else Estimator()
    print(ablate(names, args.data, args.out, args.evaluation, scale, args.write, estimator, say))
