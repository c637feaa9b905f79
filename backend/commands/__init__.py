# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `lca`, one module each: `add(subparsers)` declares it, `run(args)` does it. Those
that train and measure are the modules of `training/commands`.

`lca --help` imports all of them: heavy modules are imported by `run`.
"""

import sys
from pathlib import Path


def say(text: str) -> None:
    """Prints a line to the error stream, apart from a command's result."""
    print(text, file=sys.stderr, flush=True)


def kinds_of(subparsers, command: str, help: str):
    """What the kinds of a command (`lca codes read`) are added to; the modules that add them share it."""
    if command not in subparsers.choices:
        parser = subparsers.add_parser(command, help=help)
        parser.kinds = parser.add_subparsers(required=True, metavar="kind")
    return subparsers.choices[command].kinds


def add_network(parser) -> None:
    """The options of a command that uses a trained network: `args.model` and `args.encoder`."""
    parser.add_argument("--model", default="starter", help="a preset's name or a file")
    add_encoder(parser)


def add_encoder(parser) -> None:
    """The option `args.encoder`."""
    parser.add_argument("--encoder", type=Path, help="the Sapiens checkpoint, for networks that use one")
