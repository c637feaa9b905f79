# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca bench`."""

import json

from ...commands import say


def add(subparsers) -> None:
    p = subparsers.add_parser("bench", help="time each part beside a reference implementation")
    p.add_argument("groups", nargs="*", help="raster, drive, backward, create, blender; all of them if none")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=run)


def run(args) -> None:
    from ..bench import report

    result = report.run(args.groups or report.GROUPS, args.threads, say)
    print(json.dumps(result, indent=1) if args.json else report.table(result))
