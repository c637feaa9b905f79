# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator's session: create, bind, scrub, sliders, F12, ten undos and redos, save and open again.

    LCA_EXTENSIONS=DIR LCA_PHOTO=FILE LCA_OUT=DIR blender --python tests/gui/session.py

Needs an X display. LCA_EXTENSIONS holds `lca_blender` laid out as in the extension zip. Writes
LCA_OUT/session.json, {"passed", "steps"}, and session.log, what the console would show, and closes Blender.
"""

import os
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from acting import act, enable_extension, splats

OUT, PHOTO = Path(os.environ["LCA_OUT"]), Path(os.environ["LCA_PHOTO"])
LOG = OUT / "session.log"
BONE = "upper_arm.L"
steps: dict[str, object] = {}
UNDO = "EXEC_DEFAULT", True  # an operator that a script calls is noted for undo only so


def performance():
    """Yields between steps, while Blender's window lives on."""
    enable_extension()
    bpy.ops.preferences.addon_enable(module="rigify")
    for name in ("Cube", "Light"):
        bpy.data.objects.remove(bpy.data.objects[name])
    area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
    area.spaces.active.show_region_ui = True
    bpy.ops.ed.undo_push(message="Empty scene")
    bpy.ops.lca.create_avatar(
        *UNDO, photos=[{"name": str(PHOTO)}], filepath=str(OUT / "session.lca"), refine=False
    )
    bpy.ops.lca.show_avatar(*UNDO)
    area.spaces.active.shading.type = "RENDERED"
    yield
    bpy.ops.lca.add_rig(*UNDO)
    steps["bones"] = sum(bool(pair.bone) for pair in bpy.context.object.lca.bone_map)
    yield
    yield from scrubbing()
    states = []
    yield from sliding(states)
    yield from final_frame()
    yield from undoing(states)
    yield from saving(states[-1])
    console = LOG.read_text(encoding="utf-8", errors="replace")
    told = [line for line in console.splitlines() if "Error" in line or "Traceback" in line]
    steps["told by the console"] = told
    assert not told


def scrubbing():
    """A turned arm, keyed; to and fro on the time line."""
    scene, rig = bpy.context.scene, bpy.context.object.lca.armature
    bone = rig.pose.bones[BONE]
    bone.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (13, -1.0), (25, 0.5)):
        bone.rotation_euler.x = angle
        bone.keyframe_insert("rotation_euler", frame=frame)
    bpy.ops.ed.undo_push(message="Keys")
    seen: dict[int, str] = {}
    for frame in (*range(1, 26, 3), *range(25, 0, -3)):
        scene.frame_set(frame)
        yield
        assert seen.setdefault(frame, splats()) == splats(), f"frame {frame} differs when it is met again"
    assert len(set(seen.values())) == len(seen)
    steps["frames"] = len(seen)
    bpy.ops.ed.undo_push(message="Scrubbed")  # undo does not evaluate the time line again


def sliding(states: list[str]):
    """Ten edits of the face, each a step of undo; appends the splats before, between and after."""
    states.append(splats())
    for value in range(1, 11):
        bpy.context.object.lca.expression.jawOpen = value / 10
        bpy.ops.ed.undo_push(message="Jaw")
        yield
        states.append(splats())
    assert len(set(states)) == len(states)


def final_frame():
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    camera.location, camera.rotation_euler = (0, -1.2, 1.5), (1.57, 0, 0)
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    scene.render.filepath = str(OUT / "session.png")
    bpy.ops.ed.undo_push(message="Camera")
    bpy.ops.render.render("INVOKE_DEFAULT", write_still=True)
    yield
    while bpy.app.is_job_running("RENDER"):
        yield
    assert (OUT / "session.png").is_file()
    bpy.ops.ed.undo()  # the camera


def undoing(states: list[str]):
    for state in reversed(states[:-1]):
        bpy.ops.ed.undo()
        yield
        assert splats() == state
    for state in states[1:]:
        bpy.ops.ed.redo()
        yield
        assert splats() == state
    steps["undone and redone"] = len(states) - 1


def saving(state: str):
    path = OUT / "session.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    steps["avatar's path"] = bpy.context.object.lca.filepath
    bpy.ops.wm.open_mainfile(filepath=str(path))
    yield
    assert splats() == state
    assert bpy.context.object.lca.armature is not None
    steps["opened again"] = True


log = LOG.open("wb")
for stream in (1, 2):
    os.dup2(log.fileno(), stream)
act(performance(), steps, OUT / "session.json", pause=0.5)
