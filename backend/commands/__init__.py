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


def add_network(parser) -> None:
    """The options of a command that uses a trained network: `args.model` and `args.encoder`."""
    parser.add_argument("--model", default="starter", help="a preset's name or a file")
    add_encoder(parser)


def add_encoder(parser) -> None:
    """The option `args.encoder`."""
    parser.add_argument("--encoder", type=Path, help="the Sapiens checkpoint, for networks that use one")
