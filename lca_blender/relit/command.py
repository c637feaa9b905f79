# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender --command lca_relit JOB.json`: `lca relit` where Blender is what is installed, as on a farm."""

import argparse
import sys

import bpy

from ..backend.errors import UserError
from . import COMMAND, worker_command

_registered: list = []


def execute(arguments: list[str]) -> int:
    """The command; returns the exit status."""
    if arguments[:1] == ["--worker"]:
        from .worker import serve

        serve(arguments[1])
    from ..backend.commands import say
    from ..backend.commands.relit import add_options, run

    parser = argparse.ArgumentParser(prog=f"blender --command {COMMAND}", description=__doc__)
    add_options(parser)
    try:
        run(parser.parse_args(arguments), worker_command())
    except UserError as error:
        say(str(error))
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    return 0


def register() -> None:
    _registered.append(bpy.utils.register_cli_command(COMMAND, execute))


def unregister() -> None:
    while _registered:
        bpy.utils.unregister_cli_command(_registered.pop())
