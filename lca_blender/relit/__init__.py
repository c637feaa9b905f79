# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's half of relit sequences: the process that renders, and how it is started."""

import sys

COMMAND = "lca_relit"  # of `blender --command`


def worker_command() -> list[str]:
    """What starts a worker process like this one, the job file to be appended: Blender with this extension,
    or this Python, where bpy is a module of it."""
    import bpy

    if bpy.app.binary_path and not getattr(bpy.app, "module", False):
        return [bpy.app.binary_path, "--background", "--command", COMMAND, "--worker"]
    return [sys.executable, "-m", "lca_blender.relit"]
