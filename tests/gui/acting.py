# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a script's steps while Blender's windows live on."""

import hashlib
import importlib
import json
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy

PACKAGE = "bl_ext.lca_test.lca_blender"
bpy.context.preferences.view.show_splash = False  # while the script is read: afterwards it is on the screen


def enable_extension() -> None:
    """Enables the `lca_blender` that LCA_EXTENSIONS holds."""
    bpy.context.preferences.extensions.repos.new(
        name="lca_test", module="lca_test", custom_directory=os.environ["LCA_EXTENSIONS"]
    )
    bpy.ops.preferences.addon_enable(module=PACKAGE)


def splats() -> str:
    """Digest of what the one evaluation path gives for the active avatar now."""
    evaluate = importlib.import_module(f"{PACKAGE}.scene.evaluate").evaluate
    gaussians = evaluate(bpy.context.object, bpy.context.evaluated_depsgraph_get())
    parts = (gaussians.means, gaussians.covariances, gaussians.colors, gaussians.opacities)
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def act(performance: Iterator[None], steps: dict[str, object], out: Path, pause: float) -> None:
    """Goes on with a performance every `pause` seconds; at its end, or where it fails, writes `out`,
    {"passed", "steps"}, and closes Blender.
    """

    def advance() -> float:
        try:
            next(performance)
            return pause
        except StopIteration:
            passed = True
        except Exception:
            steps["error"] = traceback.format_exc()
            passed = False
        out.write_text(json.dumps({"passed": passed, "steps": steps}, indent=1))
        os._exit(0 if passed else 1)  # without writing preferences

    bpy.app.timers.register(advance, first_interval=3.0, persistent=True)
