# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca`: creates avatars from photos, trains networks and measures both, without Blender."""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

from .commands import say
from .errors import UserError, memory_error, out_of_memory

COMMANDS = ("commands", "training.commands")  # the installed extension has no `training`


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="lca", description=__doc__)
    top.add_argument("--threads", type=int, help="CPU threads (all cores if not given)")
    subparsers = top.add_subparsers(required=True, metavar="command")
    for package in COMMANDS:
        folder = Path(__file__).parent.joinpath(*package.split("."))
        for module in pkgutil.iter_modules([str(folder)], f"{__package__}.{package}."):
            import_module(module.name).add(subparsers)
    return top


def main(argv: list[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0, or 1 after an error, whose message is printed."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a letter that the console lacks must not end finished work
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    if args.threads:
        os.environ.setdefault("NUMBA_NUM_THREADS", str(args.threads))
        import torch

        torch.set_num_threads(args.threads)
    try:
        args.run(args)
    except UserError as error:
        say(str(error))
        return 1
    except (MemoryError, RuntimeError, OSError) as error:
        if not out_of_memory(error):
            raise
        say(str(memory_error("This command")))
        return 1
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        say("This command needs the development packages. pip install 'lca-blender[develop]'")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
