# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar that is created in a window: shown as soon as there is one, refined while one looks on, undone.

    LCA_EXTENSIONS=DIR LCA_PHOTO=FILE LCA_OUT=DIR blender --python tests/gui/refining.py

Needs an X display and ImageMagick's `import`. LCA_EXTENSIONS holds `lca_blender` laid out as in the extension
zip. Writes LCA_OUT/first.png, refined.png (the screen) and refining.json, {"passed", "steps"}, and closes
Blender.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from acting import act, enable_extension

OUT, PHOTO = Path(os.environ["LCA_OUT"]), Path(os.environ["LCA_PHOTO"])
PATIENCE = 600  # seconds
steps: dict[str, object] = {}


def performance():
    """Yields between steps, while Blender's window lives on."""
    enable_extension()
    bpy.ops.lca.add_photos(files=[{"name": PHOTO.name}], directory=str(PHOTO.parent))
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    area.spaces.active.show_region_ui = True
    yield
    begun = time.monotonic()
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.lca.create_avatar("INVOKE_DEFAULT", filepath=str(OUT / "refining.lca"))
    while not avatars():
        assert time.monotonic() - begun < PATIENCE
        yield
    steps["first after seconds"] = round(time.monotonic() - begun, 1)
    first = avatars()[0].lca.hash
    bpy.context.scene.render.engine = "LCA_GAUSSIANS"
    area.spaces.active.shading.type = "RENDERED"
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_selected()
    yield
    screen("first.png")
    while avatars()[0].lca.hash == first:
        assert time.monotonic() - begun < PATIENCE
        yield
    steps["refined after seconds"] = round(time.monotonic() - begun, 1)
    assert len(avatars()) == 1
    yield
    screen("refined.png")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.ed.undo()
    yield
    assert not avatars(), "one undo takes back what Create Avatar added"
    steps["undo"] = True


def avatars() -> list[bpy.types.Object]:
    return [obj for obj in bpy.data.objects if obj.type == "MESH" and obj.lca.filepath]


def screen(name: str) -> None:
    subprocess.run(["import", "-window", "root", str(OUT / name)], check=True)


act(performance(), steps, OUT / "refining.json", pause=1.0)
