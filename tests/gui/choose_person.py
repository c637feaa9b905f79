# SPDX-License-Identifier: GPL-3.0-or-later
"""The click that says who is meant in a photo of two people:

    LCA_EXTENSIONS=DIR LCA_PHOTO=FILE LCA_OUT=DIR blender --python tests/gui/choose_person.py

Needs an X display whose only windows are Blender's, and xdotool. LCA_EXTENSIONS holds `lca_blender` laid out
as in the extension zip; LCA_PHOTO shows two people. Writes LCA_OUT/choose_person.json, {"passed", "steps"},
and closes Blender.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from acting import act, enable_extension

OUT, PHOTO = Path(os.environ["LCA_OUT"]), Path(os.environ["LCA_PHOTO"])
steps: dict[str, object] = {}


def performance():
    """Yields between steps, while Blender's windows live on."""
    enable_extension()
    bpy.ops.lca.add_photos(files=[{"name": PHOTO.name}], directory=str(PHOTO.parent))
    bpy.ops.lca.create_avatar(filepath=str(OUT / "chosen.lca"))
    photo, images = bpy.context.scene.lca.photos[0], len(bpy.data.images)
    places = json.loads(photo.people)
    assert len(places) == 2, places
    for number, (x, y) in enumerate(places, 1):
        bpy.ops.lca.choose_person("INVOKE_DEFAULT")
        yield
        click(x, 1 - y)
        yield
        steps[f"click on person {number}"] = photo.person
        assert photo.person == number
        assert len(bpy.context.window_manager.windows) == 1, "the picture's window stays"
        assert len(bpy.data.images) == images, "the picture stays in the file"
    bpy.ops.lca.choose_person("INVOKE_DEFAULT")
    yield
    click(0.5, 0.5, "key", "Escape")
    yield
    assert photo.person == 2
    assert len(bpy.context.window_manager.windows) == 1
    bpy.ops.lca.choose_person("INVOKE_DEFAULT")
    yield
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield
    assert len(bpy.data.images) == images
    steps["Esc, and the window closed"] = True


def click(x: float, y: float, *key: str) -> None:
    """Left click at shares of the picture in the newest window from its bottom left; or a key there."""
    window = bpy.context.window_manager.windows[-1]
    region = next(region for region in window.screen.areas[0].regions if region.type == "WINDOW")
    x, y = region.view2d.view_to_region(x, y, clip=False)
    size = subprocess.run(
        ["xdotool", "getdisplaygeometry"], capture_output=True, text=True, check=True
    ).stdout
    across, down = window.x + region.x + x, int(size.split()[1]) - (window.y + region.y + y)
    action = key or ("click", "1")
    subprocess.run(
        ["xdotool", "mousemove", str(int(across)), str(int(down)), "sleep", "0.3", *action], check=True
    )


act(performance(), steps, OUT / "choose_person.json", pause=2.0)
