# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca train-correspondence`."""

from pathlib import Path


def add(subparsers) -> None:
    p = subparsers.add_parser("train-correspondence", help="train the photo estimator on synthetic people")
    p.add_argument("--data", type=Path, required=True, nargs="+", help="folders of `lca demo-data`")
    p.add_argument("--out", type=Path, required=True, help="file of the estimator that is made")
    p.add_argument("--minutes", type=float, default=25, help="of processor time, over all runs of this cycle")
    p.add_argument("--backgrounds", type=Path, help="folder of JPEG or PNG pictures without people")
    p.add_argument("--state", type=Path, help="file to go on from (default: in the first data folder)")
    p.add_argument("--start", type=Path, help="an estimator's file to take what fits from at the start")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    p.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--log", type=Path, help="JSON lines")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..files import require_writable
    from ..imaging.training.train import train

    require_writable(args.out)
    train(
        args.data, args.minutes, args.out, args.state, args.backgrounds, args.batch, args.rate, args.workers,
        args.threads or 1, args.log, args.device, args.start,
    )  # fmt: skip
