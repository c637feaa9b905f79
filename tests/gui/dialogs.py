# SPDX-License-Identifier: GPL-3.0-or-later
"""Create Avatar and Face from Video through their file dialogs, as jobs beside a living window:

    LCA_EXTENSIONS=DIR LCA_PHOTOS=DIR LCA_OUT=DIR blender --python tests/gui/dialogs.py

Needs an X display and xdotool. LCA_EXTENSIONS holds `lca_blender` laid out as in the extension zip,
LCA_PHOTOS pictures of one person that show the face. Writes LCA_OUT/dialogs.json, {"passed", "steps"}, and
closes Blender.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy

OUT, PHOTOS = Path(os.environ["LCA_OUT"]), Path(os.environ["LCA_PHOTOS"])
PACKAGE = "bl_ext.lca_test.lca_blender"
PATIENCE = 240.0  # seconds a step may take
steps: dict[str, object] = {}


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def in_view():
    area = next(area for area in window().screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window(), area=area, region=region)


def answer_dialog(directory: Path, name: str) -> None:
    """What a person does who types a name into the open file dialog and presses Return."""
    area = next((area for area in window().screen.areas if area.type == "FILE_BROWSER"), None)
    if area is None:
        raise RuntimeError("No file dialog is open.")
    parameters = area.spaces.active.params
    parameters.directory, parameters.filename = str(directory).encode(), name
    x, y = area.x + area.width // 2, window().height - area.y - area.height // 2
    subprocess.run(["xdotool", "mousemove", str(x), str(y), "sleep", "0.3", "key", "Return"], check=True)


def performance():
    """Yields between steps, while Blender's window lives on."""
    bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
    bpy.context.preferences.extensions.repos.new(
        name="lca_test", module="lca_test", custom_directory=os.environ["LCA_EXTENSIONS"]
    )
    bpy.ops.preferences.addon_enable(module=PACKAGE)
    files = sorted(path.name for path in PHOTOS.iterdir())
    bpy.ops.lca.add_photos(files=[{"name": name} for name in files], directory=str(PHOTOS))
    with in_view():
        bpy.ops.lca.create_avatar("INVOKE_DEFAULT")
    yield
    answer_dialog(OUT, "ann.v2")
    start = time.monotonic()
    while bpy.context.scene.lca.message == "" and not avatars():
        yield
    steps["created"] = [obj.name for obj in avatars()]
    steps["seconds"], steps["message"] = round(time.monotonic() - start, 1), bpy.context.scene.lca.message
    steps["file"] = (OUT / "ann.v2.lca").is_file()
    bpy.ops.ed.undo()
    steps["undone"] = len(avatars())
    bpy.ops.ed.redo()
    steps["redone"] = len(avatars())
    avatar = avatars()[0]
    bpy.context.view_layer.objects.active = avatar
    avatar.select_set(True)
    with in_view():
        bpy.ops.lca.face_from_video("INVOKE_DEFAULT")
    yield
    answer_dialog(PHOTOS, files[-1])
    start = time.monotonic()
    while bpy.context.scene.lca.message == "" and avatars()[0].animation_data is None:
        yield
        if time.monotonic() - start > PATIENCE:
            break
    steps["keyed"] = avatars()[0].animation_data is not None
    steps["face message"] = bpy.context.scene.lca.message


def avatars() -> list[bpy.types.Object]:
    return [obj for obj in bpy.context.scene.objects if obj.lca.filepath]


def finish() -> None:
    wanted = ("file", "undone", "redone", "keyed")
    passed = [steps.get(name) for name in wanted] == [True, 0, 1, True]
    (OUT / "dialogs.json").write_text(json.dumps({"passed": passed, "steps": steps}, indent=1))
    sys.stdout.flush()
    os._exit(0 if passed else 1)


acting = performance()
deadline = time.monotonic() + 2 * PATIENCE


def beat() -> float:
    try:
        next(acting)
    except StopIteration:
        finish()
    except Exception:
        steps["error"] = traceback.format_exc()
        finish()
    if time.monotonic() > deadline:
        steps["error"] = "It took too long."
        finish()
    return 0.5


bpy.app.timers.register(beat, first_interval=2.0)
