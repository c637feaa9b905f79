# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca inspect`."""

import json
from pathlib import Path


def add(subparsers) -> None:
    p = subparsers.add_parser("inspect", help="print the content of an avatar file")
    p.add_argument("file", type=Path)
    p.set_defaults(run=run)


def run(args) -> None:
    from ..avatar import Avatar

    avatar = Avatar.load(args.file)
    avatar.verify()
    facts = {
        "gaussians": len(avatar),
        "tokens": len(avatar.token_bias),
        "joints": len(avatar.joint_names),
        "hash": avatar.hash,
        **avatar.header,
    }
    print(json.dumps(facts, indent=1, default=str))
