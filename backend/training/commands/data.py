# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca data check`."""

from pathlib import Path

from ...commands import say


def add(subparsers) -> None:
    p = subparsers.add_parser("data", help="check training data")
    p.set_defaults(run=run)
    actions = p.add_subparsers(required=True, metavar="action", dest="action")
    check = actions.add_parser("check", help="list the faults in a folder of shards (docs/data_format.md)")
    check.add_argument("folder", type=Path)


def run(args) -> None:
    from ...errors import UserError
    from ..dataset.check import check_folder

    faults = 0
    for fault in check_folder(args.folder):
        print(fault)
        faults += 1
    if faults:
        raise UserError(f"{faults} fault{'s' * (faults > 1)} in {args.folder}.")
    say(f"No faults found in {args.folder}.")
