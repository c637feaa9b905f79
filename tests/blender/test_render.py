# SPDX-License-Identifier: GPL-3.0-or-later
"""Final frames: the files that Blender writes."""

import subprocess
import sys

import bpy
import numpy as np
import pytest
from pictures import channels, render, rgba, world

from lca_blender.engine.final import render_layer
from lca_blender.engine.picture import combine, gather, paint
from lca_blender.scene.camera import Frame, render_camera


def test_a_frame_is_the_evaluated_splats_seen_by_the_camera(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    found = rgba(render(scene, tmp_path / "a.exr"))
    graph = bpy.context.evaluated_depsgraph_get()
    camera = render_camera(scene.camera.evaluated_get(graph), scene.render).upside_down()
    expected = paint(combine(gather(graph)), camera, ["Combined"], scene)["Combined"][::-1]
    assert found.shape == (128, 96, 4)
    assert np.array_equal(found, expected)
    assert found[..., 3].max() > 0.9
    assert found[:3, :, 3].max() < 0.1  # the head is below the upper edge: rows are not upside down
    rows = np.flatnonzero(found[..., 3].max(1) > 0.5)
    assert rows[0] > 10


def test_an_opaque_film_has_the_worlds_colour(scene, avatar, tmp_path):
    world(scene, (0.25, 0.5, 0.75))
    found = rgba(render(scene, tmp_path / "a.exr"))
    assert found[..., 3].min() == pytest.approx(1, abs=1e-6)
    assert found[0, 0, :3] == pytest.approx((0.25, 0.5, 0.75))


def test_passes_in_a_multilayer_file(scene, avatar, tmp_path):
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.lca.use_pass_alpha = True
    scene.render.film_transparent = True
    found = render(scene, tmp_path / "a.exr", "OPEN_EXR_MULTILAYER")

    def one(end):
        (name,) = [n for n in found if n.endswith(end)]
        return found[name]

    alpha, depth = one("Alpha.A"), one("Depth.Z")
    inside = alpha > 0.99
    assert inside.any()
    assert np.array_equal(alpha, one("Combined.A"))
    assert depth[alpha == 0] == pytest.approx(1e10)
    assert 3.5 < depth[inside].min() <= depth[inside].max() < 4.5
    normals = np.stack([one(f"Normal.{axis}") for axis in "XYZ"], -1)[inside]
    assert np.linalg.norm(normals, axis=-1) == pytest.approx(1, abs=1e-3)
    assert normals[:, 1].mean() < 0  # towards the camera, which stands at -Y


def test_a_border_is_the_same_picture_cut_out(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    whole = rgba(render(scene, tmp_path / "whole.exr"))
    r = scene.render
    r.use_border = True
    r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = 0.31, 0.72, 0.2, 0.9
    x0, x1, y0, y1 = int(0.31 * 96), int(0.72 * 96), int(0.2 * 128), int(0.9 * 128)
    inside = np.s_[128 - y1 : 128 - y0, x0:x1]
    padded = rgba(render(scene, tmp_path / "border.exr"))
    assert padded[inside] == pytest.approx(whole[inside], abs=1e-5)
    r.use_crop_to_border = True
    cropped = rgba(render(scene, tmp_path / "crop.exr"))
    assert cropped == pytest.approx(whole[inside], abs=1e-5)


def test_view_layers_render_their_own_collections(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    collection = bpy.data.collections.new("People")
    scene.collection.children.link(collection)
    scene.collection.objects.unlink(avatar)
    collection.objects.link(avatar)
    scene.view_layers[0].name = "Full"
    empty = scene.view_layers.new("Empty")
    empty.layer_collection.children["People"].exclude = True
    found = render(scene, tmp_path / "a.exr", "OPEN_EXR_MULTILAYER")
    assert next(v for k, v in found.items() if k.endswith("Full.Combined.A")).max() > 0.9
    assert next(v for k, v in found.items() if k.endswith("Empty.Combined.A")).max() == 0


def test_the_nearer_avatar_hides_the_farther(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    scene.view_layers[0].use_pass_z = True
    copy = avatar.copy()
    scene.collection.objects.link(copy)
    copy.location.y = 1.0
    alone = render(scene, tmp_path / "a.exr", "OPEN_EXR_MULTILAYER")
    copy.location.y = -1.0
    both = render(scene, tmp_path / "b.exr", "OPEN_EXR_MULTILAYER")
    (depth,) = [k for k in both if k.endswith("Depth.Z")]
    middle = np.s_[60:68, 44:52]
    assert both[depth][middle].mean() == pytest.approx(alone[depth][middle].mean() - 1, abs=0.1)


def test_an_empty_scene_renders_its_background(scene, tmp_path):
    world(scene, (0.1, 0.1, 0.1))
    found = rgba(render(scene, tmp_path / "a.exr"))
    assert found[..., :3] == pytest.approx(0.1)


def test_a_missing_avatar_is_an_error_and_not_a_black_picture(scene, avatar, tmp_path):
    avatar.lca.filepath = str(tmp_path / "gone.lca")
    with pytest.raises(RuntimeError, match=r"gone\.lca"):
        render(scene, tmp_path / "a.png", "PNG")
    avatar.hide_render = True  # an avatar that is not rendered need not be there
    render(scene, tmp_path / "a.png", "PNG")


def state(scene) -> dict:
    """What a render has no business changing."""
    counts = {name: len(getattr(bpy.data, name)) for name in ("objects", "meshes", "materials", "cameras")}
    places = {obj.name: [list(row) for row in obj.matrix_world] for obj in scene.objects}
    now = scene.frame_current, scene.frame_subframe, scene.camera, scene.render.engine
    return {"counts": counts, "places": places, "now": now, "size": Frame.of(scene.render)}


def move(avatar):
    for frame, x in ((1, 0.0), (9, 0.4)):
        avatar.location.x = x
        avatar.keyframe_insert("location", index=0, frame=frame)


def test_a_failed_render_leaves_the_scene_and_the_next_one_as_they_were(scene, avatar, tmp_path):
    move(avatar)
    scene.frame_set(4)
    scene.render.use_motion_blur = True
    before = rgba(render(scene, tmp_path / "before.exr"))
    known, good = state(scene), avatar.lca.filepath
    avatar.lca.filepath = str(tmp_path / "gone.lca")
    with pytest.raises(RuntimeError, match=r"gone\.lca"):
        render(scene, tmp_path / "failed.exr")
    assert not (tmp_path / "failed.exr").exists()
    avatar.lca.filepath = good
    assert state(scene) == known
    assert np.array_equal(rgba(render(scene, tmp_path / "after.exr")), before)


def test_a_cancelled_render_goes_back_to_its_frame(scene, avatar, tmp_path):
    """Escape in the middle of a motion-blurred picture."""
    move(avatar)
    scene.frame_set(4)
    scene.render.use_motion_blur, scene.lca.motion_blur_steps = True, 8
    before = rgba(render(scene, tmp_path / "before.exr"))
    known, asked = state(scene), []

    class Impatient:
        """An engine during whose work escape is pressed."""

        def __init__(self, engine):
            self.engine = engine

        def __getattr__(self, name):
            return getattr(self.engine, name)

        def test_break(self):
            asked.append(scene.frame_current_final)
            return len(asked) >= 3

    class Cancelled(bpy.types.RenderEngine):
        bl_idname, bl_label = "LCA_CANCELLED", "Cancelled"

        def render(self, depsgraph):
            render_layer(Impatient(self), depsgraph)

    bpy.utils.register_class(Cancelled)
    try:
        scene.render.engine = Cancelled.bl_idname
        bpy.ops.render.render()  # not to a file: only Blender itself can tell Blender not to write it
        scene.render.engine = "LCA_GAUSSIANS"
    finally:
        bpy.utils.unregister_class(Cancelled)
    assert len(asked) == 4  # three steps of eight, and once more before anything is handed over
    assert state(scene) == known
    assert np.array_equal(rgba(render(scene, tmp_path / "after.exr")), before)


def test_markers_change_the_camera_and_the_film_its_background(scene, avatar, tmp_path):
    """Every camera's frames of an animation are those it takes alone, on either film."""
    side = bpy.data.objects.new("Side", bpy.data.cameras.new("Side"))
    scene.collection.objects.link(side)
    side.location, side.rotation_euler = (3.0, -2.0, 1.2), (1.45, 0, 0.98)
    side.data.lens = 40
    front = scene.camera
    world(scene, (0.3, 0.4, 0.5))
    for transparent in (False, True):
        scene.render.film_transparent = transparent
        alone = []
        for camera in (front, side):
            scene.camera = camera
            alone.append(rgba(render(scene, tmp_path / "alone.exr")))
        scene.frame_start, scene.frame_end = 1, 2
        for frame, camera in ((1, front), (2, side)):
            scene.timeline_markers.new(camera.name, frame=frame).camera = camera
        scene.render.filepath = str(tmp_path / f"{transparent}_")
        bpy.ops.render.render(animation=True)
        scene.timeline_markers.clear()
        for frame, expected in enumerate(alone, 1):
            found = rgba(channels(tmp_path / f"{transparent}_{frame:04}.exr"))
            assert np.array_equal(found, expected)
            assert found[..., 3].min() == (0 if transparent else 1)
            corner = (0, 0, 0) if transparent else (0.3, 0.4, 0.5)
            assert found[0, 0, :3] == pytest.approx(np.array(corner))
        assert not np.array_equal(*alone)


def test_a_panoramic_camera_is_an_error(scene, avatar, tmp_path):
    scene.camera.data.type = "PANO"
    with pytest.raises(RuntimeError, match="Perspective"):
        render(scene, tmp_path / "a.png", "PNG")


def test_stills_animation_and_another_process_write_the_same_frames(scene, bound, tmp_path):
    avatar, rig = bound
    for frame, value in ((1, 0.0), (3, 1.0)):
        avatar.lca.expression.jawOpen = value
        avatar.lca.expression.keyframe_insert("jawOpen", frame=frame)
        rig.pose.bones["upper_arm.L"].rotation_quaternion = (1, value, 0, value)
        rig.pose.bones["upper_arm.L"].keyframe_insert("rotation_quaternion", frame=frame)
    scene.frame_start, scene.frame_end = 1, 3
    stills = []
    for frame in (3, 1, 2):  # in another order than the animation
        scene.frame_set(frame)
        stills.append((frame, render(scene, tmp_path / f"still_{frame}.exr")))
    scene.render.filepath = str(tmp_path / "here" / "f_")
    bpy.ops.render.render(animation=True)
    scene.render.filepath = str(tmp_path / "there" / "f_")
    path = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    code = (
        "import os, bpy, lca_blender; lca_blender.register(); "
        f"bpy.ops.wm.open_mainfile(filepath={str(path)!r}); "
        "bpy.ops.render.render(animation=True); os._exit(0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    here, there = (sorted((tmp_path / name).glob("*.exr")) for name in ("here", "there"))
    assert len(here) == len(there) == 3
    for frame, still in stills:
        for folder in (here, there):
            again = channels(folder[frame - 1])
            assert all(np.array_equal(still[c], again[c]) for c in "RGBA")
    assert not np.array_equal(rgba(stills[0][1]), rgba(stills[1][1]))


def test_a_script_that_renders_a_missing_avatar_fails(scene, avatar, tmp_path):
    avatar.lca.filepath = str(tmp_path / "gone.lca")
    scene.render.filepath = str(tmp_path / "out" / "f_")
    scene.frame_end = 2
    path = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    code = (
        "import os, sys, bpy, lca_blender; lca_blender.register(); "
        f"bpy.ops.wm.open_mainfile(filepath={str(path)!r})\n"
        "try: bpy.ops.render.render(animation=True)\n"
        "except RuntimeError as error: print(error, file=sys.stderr, flush=True); os._exit(3)\n"
        "os._exit(0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode == 3
    assert "gone.lca" in run.stderr
    assert not list(tmp_path.glob("out/*"))
