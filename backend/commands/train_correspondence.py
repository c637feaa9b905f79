# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca train-correspondence`; its options are those of `imaging/train_correspondence.py`."""


def add(subparsers) -> None:
    p = subparsers.add_parser("train-correspondence", help="train the photo estimator", add_help=False)
    p.set_defaults(run=run, own_options=True)


def run(args) -> None:
    from ..imaging.train_correspondence import main

    main(args.rest)
