# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of an avatar that is linked from another file, overridden, copied."""

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.face.channels import CHANNELS
from refusals import fails

from lca_blender.scene.evaluate import evaluated
from lca_blender.scene.face import curves_of_slot, face_of


@pytest.fixture
def linked(avatar, scene, tmp_path):
    """The avatar, linked into a new file: the linked object, in the scene."""
    path = str(tmp_path / "asset.blend")
    bpy.data.libraries.write(path, {avatar})
    bpy.data.objects.remove(avatar)
    with bpy.data.libraries.load(path, link=True) as (there, here):
        here.objects = there.objects
    obj = here.objects[0]
    scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    return obj


def test_a_linked_face_is_refused_and_an_overridden_one_acts(linked, scene):
    assert not bpy.ops.lca.key_face.poll()
    assert not bpy.ops.lca.set_expression.poll()
    own = linked.override_create(remap_local_usages=True)
    bpy.context.view_layer.objects.active = own
    rest = splats(own)
    bpy.ops.lca.set_expression(preset="SURPRISE")
    assert bpy.ops.lca.key_face() == {"FINISHED"}
    animation = own.animation_data
    assert len(list(curves_of_slot(animation.action, animation.action_slot))) == len(CHANNELS)
    assert np.abs(splats(own) - rest).max() > 0.005
    own.lca.gaze_left = (0.2, 0.1)
    target = bpy.data.objects.new("Target", None)
    scene.collection.objects.link(target)
    target.location = (0.4, -1, 1.6)
    own.lca.look_at = target
    bpy.context.view_layer.update()
    looking = evaluated(own, bpy.context.evaluated_depsgraph_get()).signal.gaze.numpy()
    assert looking[0, 0] > 0.2


def test_a_copy_acts_for_itself_and_undo_brings_a_face_back(avatar, scene):
    bpy.ops.ed.undo_push(message="Start")
    bpy.ops.lca.set_expression(preset="SMILE")
    bpy.ops.ed.undo_push(message="Smile")
    copy = avatar.copy()
    scene.collection.objects.link(copy)
    copy.lca.expression.jawOpen = 1.0
    assert avatar.lca.expression.jawOpen == 0
    name = avatar.name
    bpy.ops.ed.undo()
    assert not any(face_of(bpy.data.objects[name]).values())


def test_without_an_avatar_nothing_can_be_clicked(scene):
    bpy.context.view_layer.objects.active = None
    for name in ("key_face", "key_changed", "swap_face", "save_own_face", "apply_face_asset", "import_face"):
        assert not getattr(bpy.ops.lca, name).poll(), name


def test_an_action_of_another_file_is_refused_and_stays(avatar, scene, tmp_path):
    avatar.lca.expression.keyframe_insert("jawOpen", frame=1)
    action, slot = avatar.animation_data.action, avatar.animation_data.action_slot.identifier
    path = str(tmp_path / "library.blend")
    bpy.data.libraries.write(path, {action})
    with bpy.data.libraries.load(path, link=True) as (there, here):
        here.actions = there.actions
    avatar.animation_data.action = here.actions[0]
    avatar.animation_data.action_slot = here.actions[0].slots[slot]
    take = tmp_path / "take.csv"
    take.write_text("JawOpen\n0.5\n")
    fails("is linked from another file", bpy.ops.lca.key_face)
    fails("is linked from another file", bpy.ops.lca.import_face, filepath=str(take))
    scene.tool_settings.use_keyframe_insert_auto = True
    assert bpy.ops.lca.set_expression(preset="LAUGH") == {"FINISHED"}
    assert len(list(curves_of_slot(here.actions[0], here.actions[0].slots[slot]))) == 1
