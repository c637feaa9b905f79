# SPDX-License-Identifier: GPL-3.0-or-later
"""Painting on a picture of the avatar: here or elsewhere, in any pose; nothing is lost."""

import json

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.raster import rasterize
from PIL import Image
from refusals import fails

from lca_blender.scene.avatar_data import avatar_path, pack
from lca_blender.scene.evaluate import evaluate
from lca_blender.scene.painted_view import PaintedView

CHEST = slice(30, 60), slice(40, 56)
RED = (230, 30, 40)


def splats(avatar):
    bpy.context.view_layer.update()
    return evaluate(avatar, bpy.context.evaluated_depsgraph_get())


@pytest.fixture
def ready(bound, avatar_file, tmp_path):
    """(avatar, rig, path of the picture): an own copy of its file, arms bent, the picture rendered."""
    avatar, rig = bound
    (tmp_path / "ann.lca").write_bytes(avatar_file.read_bytes())
    avatar.lca.filepath = str(tmp_path / "ann.lca")
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.3, 0.2, 0.5)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.render_for_repaint(filepath=str(tmp_path / "view.png")) == {"FINISHED"}
    return avatar, rig, tmp_path / "view.png"


def paint(path):
    picture = np.array(Image.open(path))
    picture[CHEST][..., :3] = RED
    Image.fromarray(picture).save(path)


def test_painted_elsewhere_and_taken_after_the_pose_has_changed(ready, tmp_path):
    avatar, rig, path = ready
    content, whole = (tmp_path / "ann.lca").read_bytes(), splats(avatar)
    view = PaintedView.read(bpy.data.images["view.png"].lca_view)
    paint(path)
    for bone, turn in (("upper_arm.L", (1, 0, 0, 0)), ("spine2", (0.9, 0.3, 0.1, 0.2))):
        rig.pose.bones[bone].rotation_quaternion = turn
    avatar.name = "Somebody"
    assert bpy.ops.lca.repaint() == {"FINISHED"}
    assert avatar_path(avatar) == tmp_path / "ann_repainted.lca"
    assert (tmp_path / "ann.lca").read_bytes() == content
    new, old = Avatar.load(avatar_path(avatar)), Avatar.load(tmp_path / "ann.lca")
    changed = (new.colors != old.colors).any(1)
    assert 5 < changed.sum() < 0.4 * len(old)
    assert torch.equal(new.means, old.means)
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.3, 0.2, 0.5)
    rig.pose.bones["spine2"].rotation_quaternion = (1, 0, 0, 0)
    now = splats(avatar)
    assert torch.equal(now.means, whole.means)  # the binding stays
    drawn = rasterize(now, view.camera)["combined"].numpy()[CHEST]
    solid = drawn[drawn[..., 3] > 0.9][:, :3]
    assert len(solid) > 200
    assert np.abs(solid * 255 - RED).mean() < 12
    bpy.ops.lca.repaint()
    assert avatar_path(avatar).name == "ann_repainted_2.lca"


def test_painted_in_blender_and_not_saved(ready):
    avatar, _, _ = ready
    image = avatar.lca.painted
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    picture = pixels.reshape(image.size[1], image.size[0], 4)[::-1]
    picture[CHEST][..., :3] = np.array(RED) / 255
    image.pixels.foreach_set(pixels)
    assert image.is_dirty
    before = splats(avatar).colors
    bpy.ops.lca.repaint(image=image.name)
    assert ((splats(avatar).colors - before).abs().amax(1) > 0.1).sum() > 5
    assert image.is_dirty  # still the artist's to save


def test_the_file_keeps_what_is_needed(ready, tmp_path):
    """Saved, opened again, packed; what was erased stays erased."""
    avatar, _, path = ready
    bpy.ops.object.empty_add(location=(0, 0, 0.1))
    bpy.context.object.name = "Feet"
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.erase_splats(eraser="Feet")
    left = len(splats(avatar))
    paint(path)
    pack(avatar)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "film.blend"))
    avatar = bpy.data.objects["Avatar"]
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.repaint()
    assert avatar_path(avatar) == tmp_path / "Avatar_repainted.lca"
    assert len(splats(avatar)) == left


def test_a_picture_of_a_bent_proxy_shows_it_as_it_was(avatar, tmp_path):
    avatar.shape_key_add(name="Basis")
    key = avatar.shape_key_add(name="Wider")
    for point in key.data:
        point.co.x *= 1.2
    key.value = 1.0
    was = splats(avatar)
    bpy.ops.lca.render_for_repaint(filepath=str(tmp_path / "view.png"))
    key.value = 0.0
    assert not torch.equal(splats(avatar).means, was.means)
    again = PaintedView.read(avatar.lca.painted.lca_view).splats(avatar, Avatar.load(avatar_path(avatar)))
    for name in ("means", "covariances", "colors"):
        assert torch.equal(getattr(again, name), getattr(was, name))


def test_what_cannot_be_repainted_is_one_sentence(ready, tmp_path):
    avatar, _, path = ready
    image, file = avatar.lca.painted, avatar.lca.filepath
    fails("Nothing is painted", bpy.ops.lca.repaint)
    paint(path)
    fails("is the avatar as it is now", bpy.ops.lca.repaint, filepath=file)
    fails("does not exist", bpy.ops.lca.repaint, filepath=str(tmp_path / "gone" / "a.lca"))
    text = image.lca_view
    for damaged in ("{}", text[:-9], json.dumps({**json.loads(text), "picture": "?"})):
        image.lca_view = damaged
        fails("no longer says how it shows", bpy.ops.lca.repaint)
    image.lca_view = text
    Image.open(path).resize((48, 64)).save(path)
    fails("is 48 x 64 pixels, but was rendered as 96 x 128", bpy.ops.lca.repaint)
    path.unlink()
    bpy.data.images.remove(image)
    fails("There is no picture to repaint from", bpy.ops.lca.repaint)
    bpy.context.scene.camera.location.y = 4
    fails("is not in this view", bpy.ops.lca.render_for_repaint, filepath=str(tmp_path / "b.png"))
    assert avatar.lca.filepath == file
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ann.lca"]
