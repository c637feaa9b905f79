# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo, redo and F12 keep the splats, and what is erased. Needs a window: without one Blender has no undo.

    LCA_EXTENSIONS=DIR LCA_AVATAR=person.lca LCA_OUT=DIR blender --python tests/gui/undo.py

LCA_EXTENSIONS holds `lca_blender` laid out as in the extension zip. Writes LCA_OUT/undo.json, {"passed",
"steps"}, and closes Blender.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from acting import enable_extension, splats

OUT = Path(os.environ["LCA_OUT"])
steps: dict[str, str] = {}


def prepare() -> None:
    enable_extension()
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.object.armature_human_metarig_add()
    rig = bpy.context.object
    bpy.ops.lca.import_avatar(filepath=os.environ["LCA_AVATAR"])
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    bpy.context.scene.render.engine = "LCA_GAUSSIANS"
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 240, 320
    bpy.ops.ed.undo_push(message="Set-up")


def erase() -> None:
    """The head, by an empty."""
    avatar = bpy.context.object
    eraser = bpy.data.objects.new("Eraser", None)
    bpy.context.collection.objects.link(eraser)
    eraser.empty_display_type, eraser.empty_display_size = "CUBE", 0.15
    eraser.location = (0.0, 0.0, 1.65)
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.ed.undo_push(message="Eraser")
    bpy.ops.lca.erase_splats(eraser=eraser.name)
    bpy.ops.ed.undo_push(message="Erase Splats")  # an operator that a script calls is not noted


def check() -> None:
    prepare()
    steps["before"] = splats()
    bpy.context.object.lca.expression.mouthPucker = 1.0
    bpy.context.object.lca.armature.pose.bones["upper_arm.R"].rotation_quaternion = (0.9, 0.0, 0.0, 0.4)
    bpy.ops.ed.undo_push(message="Act")
    steps["acted"] = splats()
    bpy.ops.ed.undo()
    steps["undone"] = splats()
    bpy.ops.ed.redo()
    steps["redone"] = splats()
    erase()
    steps["erased"] = splats()
    bpy.ops.ed.undo()
    steps["erasing undone"] = splats()
    bpy.ops.ed.redo()
    steps["erasing redone"] = splats()
    bpy.ops.lca.restore_erased()
    bpy.context.scene.render.filepath = str(OUT / "f12.png")
    bpy.ops.render.render(write_still=True)
    steps["rendered"] = splats()


def main() -> None:
    passed = False
    try:
        check()
        passed = (
            steps["before"] == steps["undone"] != steps["acted"]
            and steps["acted"] == steps["redone"] == steps["erasing undone"] == steps["rendered"]
            and steps["acted"] != steps["erased"] == steps["erasing redone"]
            and (OUT / "f12.png").is_file()
        )
    except Exception:
        steps["error"] = traceback.format_exc()
    (OUT / "undo.json").write_text(json.dumps({"passed": passed, "steps": steps}, indent=1))
    sys.stdout.flush()
    os._exit(0 if passed else 1)


bpy.app.timers.register(main, first_interval=2.0)
