# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars among meshes in final frames: what is hidden, what is held out."""

import gc
import os

import bpy
import numpy as np
import pytest
from pictures import channels, render, rgba, world

from lca_blender.scene.camera import Frame


def add_box(scene, low, high, name="Box"):
    """An axis-aligned box between two corners."""
    corners = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    box = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(box)
    return box


@pytest.fixture
def clear(scene, avatar, tmp_path):
    """A scene with a transparent film and an avatar, and its picture before anything stands in the way."""
    scene.render.film_transparent = True
    return rgba(render(scene, tmp_path / "clear.exr"))


def test_a_box_before_the_avatar_hides_its_half(scene, clear, tmp_path):
    box = add_box(scene, (0, -1.2, -0.5), (1, -1.0, 2.5))  # all that is right of the middle
    found = rgba(render(scene, tmp_path / "a.exr"))
    assert clear[:, 48:, 3].max() > 0.9
    assert not found[:, 48:].any()
    assert np.array_equal(found[:, :48], clear[:, :48])
    box.hide_render = True
    assert np.array_equal(rgba(render(scene, tmp_path / "b.exr")), clear)
    box.hide_render, scene.lca.meshes_hide_avatars = False, False
    assert np.array_equal(rgba(render(scene, tmp_path / "c.exr")), clear)


def test_a_box_behind_the_avatar_hides_nothing_and_is_held_out_of_an_opaque_film(scene, clear, tmp_path):
    add_box(scene, (-0.3, 1.0, 0.2), (0.3, 1.2, 1.2))
    assert np.array_equal(rgba(render(scene, tmp_path / "a.exr")), clear)
    scene.render.film_transparent = False
    world(scene, (0.25, 0.5, 0.75))
    found = rgba(render(scene, tmp_path / "b.exr"))
    hole = found[..., 3] < 1
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    # the front of the box: 60 cm by 1 m at 5 m, through a lens of 50 mm on 36 mm of film 128 pixels high
    scale = 128 * 50 / 36 / 5.0
    assert len(columns) == pytest.approx(0.6 * scale, abs=1)
    assert len(rows) == pytest.approx(1.0 * scale, abs=1)
    assert np.array_equal(found[hole], clear[hole])
    assert (found[~hole][:, 3] == 1).all()
    expected = clear[..., :3] + (1 - clear[..., 3:]) * np.float32((0.25, 0.5, 0.75))
    assert found[~hole][:, :3] == pytest.approx(expected[~hole], abs=1e-6)


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_what_is_left_of_an_avatar_lies_before_the_mesh(scene, avatar, tmp_path, kind):
    """A wall through the body, along the picture: the depth of every remaining pixel is that of splats before
    it."""
    scene.render.film_transparent = True
    scene.camera.data.type, scene.camera.data.ortho_scale = kind, 2.2
    scene.view_layers[0].use_pass_z = True
    add_box(scene, (-1, -0.02, -1), (1, 1.0, 3))
    found = render(scene, tmp_path / "a.exr", "OPEN_EXR_MULTILAYER")
    (depth,) = (v for k, v in found.items() if k.endswith("Depth.Z"))
    (alpha,) = (v for k, v in found.items() if k.endswith("Combined.A"))
    drawn = alpha > 0
    assert drawn.sum() > 200
    assert depth[drawn].max() <= 3.98 * (1 + 1e-6)
    assert (depth[~drawn] == 1e10).all()
    bpy.data.objects["Box"].hide_render = True
    free = render(scene, tmp_path / "b.exr", "OPEN_EXR_MULTILAYER")
    (free_depth,) = (v for k, v in free.items() if k.endswith("Depth.Z"))
    assert free_depth[drawn].max() > 3.98


def test_a_border_at_a_percentage_with_meshes_is_the_same_picture_cut_out(scene, clear, tmp_path):
    add_box(scene, (0.05, -1.2, 0.3), (1, -1.0, 1.1))
    r = scene.render
    r.resolution_percentage = 61
    whole = rgba(render(scene, tmp_path / "whole.exr"))
    assert whole.shape[:2] == (int(128 * 0.61), int(96 * 0.61))
    r.use_border = r.use_crop_to_border = True
    r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = 0.23, 0.81, 0.33, 0.94
    frame = Frame.of(r)
    cropped = rgba(render(scene, tmp_path / "crop.exr"))
    rows = slice(frame.height - frame.y1, frame.height - frame.y0)
    assert cropped == pytest.approx(whole[rows, frame.x0 : frame.x1], abs=1e-5)
    assert (cropped[..., 3] == 0).any()
    assert cropped[..., 3].max() > 0.9


def test_avatars_end_where_the_camera_does(scene, clear, tmp_path):
    scene.camera.data.clip_end = 4.0
    cut = rgba(render(scene, tmp_path / "a.exr"))
    assert 0 < cut[..., 3].sum() < clear[..., 3].sum()
    scene.camera.data.clip_end = 3.0
    assert not rgba(render(scene, tmp_path / "b.exr")).any()


def test_motion_blur_is_the_mean_of_the_stills_in_between(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    scene.view_layers[0].use_pass_z = True
    box = add_box(scene, (-0.1, -1.2, 0), (0.1, -1.1, 2))
    for moved, far in ((avatar, 0.4), (box, -0.4), (scene.camera, 0.1)):
        for frame, x in ((1, 0.0), (3, far)):
            moved.location.x = x
            moved.keyframe_insert("location", index=0, frame=frame)
    scene.frame_set(2)
    scene.render.use_motion_blur = False
    sharp = render(scene, tmp_path / "sharp.exr", "OPEN_EXR_MULTILAYER")
    stills = []
    for i in range(4):
        time = 2 - 0.3 + 0.6 * (i + 0.5) / 4
        scene.frame_set(int(time), subframe=time - int(time))
        stills.append(rgba(render(scene, tmp_path / f"{i}.exr")))
    scene.frame_set(2)
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 0.6
    scene.lca.motion_blur_steps = 4
    blurred = render(scene, tmp_path / "blurred.exr", "OPEN_EXR_MULTILAYER")
    found = np.stack([next(v for k, v in blurred.items() if k.endswith(f"Combined.{c}")) for c in "RGBA"], -1)
    assert found == pytest.approx(np.mean(stills, 0), abs=1e-4)
    assert np.abs(found - stills[0]).max() > 0.2
    depths = [next(v for k, v in one.items() if k.endswith("Depth.Z")) for one in (sharp, blurred)]
    assert np.array_equal(*depths)  # data passes are those of the frame itself
    assert (scene.frame_current, scene.frame_subframe) == (2, 0)


def test_the_eyes_of_a_stereo_picture_are_cameras_side_by_side(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    add_box(scene, (0.0, -1.2, 0.2), (0.2, -1.1, 1.2))
    apart = scene.camera.data.stereo.interocular_distance = 0.2
    scene.camera.data.stereo.convergence_mode = "PARALLEL"
    scene.camera.data.stereo.pivot = "CENTER"
    scene.render.use_multiview = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.views_format = "OPEN_EXR", "INDIVIDUAL"
    settings.color_mode, settings.color_depth = "RGBA", "32"
    scene.render.filepath = str(tmp_path / "eye.exr")
    bpy.ops.render.render(write_still=True)
    scene.render.use_multiview = False
    for name, side in (("L", -0.5), ("R", 0.5)):
        scene.camera.location.x = side * apart
        alone = rgba(render(scene, tmp_path / "alone.exr"))
        eye = rgba(channels(tmp_path / f"eye_{name}.exr"))
        assert alone[..., 3].max() > 0.9
        assert eye == pytest.approx(alone, abs=1e-4)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's account of memory")
def test_an_animation_does_not_gather_memory(scene, bound, tmp_path):
    """Every frame has another pose, another mesh and a picture of 4 MB with its passes."""
    _, rig = bound
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = True
    scene.render.resolution_x, scene.render.resolution_y = 384, 320
    box = add_box(scene, (-0.1, -1.2, 0.2), (0.1, -1.1, 1.2))
    wave = box.modifiers.new("Wave", "WAVE")
    wave.height = 0.1
    bone = rig.pose.bones["upper_arm.L"]
    for frame in (1, 240):
        bone.rotation_quaternion = (1, 0, 0, frame / 240)
        bone.keyframe_insert("rotation_quaternion", frame=frame)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "BMP"
    scene.render.filepath = str(tmp_path / "f_")
    held = []
    for first, last in ((1, 40), (41, 240)):  # what is kept on purpose (the last 24 poses) fills up first
        scene.frame_start, scene.frame_end = first, last
        bpy.ops.render.render(animation=True)
        gc.collect()
        with open("/proc/self/statm") as account:
            held.append(int(account.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    assert len(list(tmp_path.iterdir())) == 240
    assert held[1] - held[0] < 40  # one picture a frame would be 400; the allocator settles within some 20
