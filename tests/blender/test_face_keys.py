# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys on the whole face, its sides, presets that mix, and the user's own faces."""

import json
from dataclasses import replace

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.face.channels import CHANNELS
from lca_blender.backend.face.shown import unmoved
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.still import still_avatar
from refusals import fails

from lca_blender.scene.avatar_data import load_avatar
from lca_blender.scene.face import PLACES, animation_of, curves_of_slot, face_of, put_face
from lca_blender.scene.own_faces import own_faces_file
from lca_blender.ui.face import SIGNS, LCA_PT_face, LCA_PT_face_gaze, face_remarks, sign_of


def curves(obj):
    animation = obj.animation_data
    found = curves_of_slot(animation.action, animation.action_slot) if animation else []
    return {(curve.data_path, curve.array_index): curve for curve in found}


def keys(obj, name):
    place = PLACES[name]
    points = curves(obj)[(place.path, max(place.index, 0))].keyframe_points
    return [(point.co.x, pytest.approx(point.co.y)) for point in points]


@pytest.fixture
def own_file():
    path = own_faces_file()
    yield path
    path.unlink(missing_ok=True)


def test_key_all_keys_the_sliders_and_the_gaze_of_both_eyes(avatar, scene):
    avatar.lca.expression.jawOpen, avatar.lca.gaze_left[1] = 0.4, 0.1
    scene.frame_set(7)
    assert bpy.ops.lca.key_face() == {"FINISHED"}
    assert len(curves(avatar)) == len(CHANNELS) == 58
    assert keys(avatar, "jawOpen") == [(7, 0.4)]
    assert keys(avatar, "leftEyePitch") == [(7, 0.1)]
    assert {curve.group.name for curve in curves(avatar).values()} == {"Face"}
    scene.tool_settings.keyframe_type = "EXTREME"
    scene.frame_set(9)
    bpy.ops.lca.key_face()
    jaw = curves(avatar)[(PLACES["jawOpen"].path, 0)]
    assert [point.type for point in jaw.keyframe_points] == ["KEYFRAME", "EXTREME"]


def test_driven_sliders_are_left_to_their_drivers(avatar, scene):
    avatar.lca.expression.driver_add("jawOpen").driver.expression = "0.3"
    bpy.ops.lca.key_face()
    assert (PLACES["jawOpen"].path, 0) not in curves(avatar)
    assert len(curves(avatar)) == len(CHANNELS) - 1


def test_key_changed_keys_what_was_moved_and_nothing_else(avatar, scene):
    avatar.location.x = 1.0
    avatar.keyframe_insert("location", frame=1)
    avatar["my.note"] = 1.0
    avatar.keyframe_insert('["my.note"]', frame=1)
    avatar.lca.expression.jawOpen = 0.2
    avatar.lca.expression.keyframe_insert("jawOpen", frame=1)
    scene.frame_set(5)
    fails("Nothing of the face has changed", bpy.ops.lca.key_changed)
    avatar.lca.expression.jawOpen, avatar.lca.gaze[0] = 0.6, 0.3
    avatar.location.x, avatar["my.note"] = 3.0, 2.0  # moved, not keyed: stays moved
    assert bpy.ops.lca.key_changed() == {"FINISHED"}
    assert (avatar.location.x, avatar["my.note"]) == (3.0, 2.0)
    assert avatar.lca.expression.jawOpen == pytest.approx(0.6)
    assert keys(avatar, "jawOpen") == [(1, 0.2), (5, 0.6)]
    assert keys(avatar, "gazeYaw") == [(5, 0.3)]
    assert len(curves(avatar)) == 3 + 1 + 2


def test_key_changed_knows_what_the_nla_plays(avatar, scene):
    avatar.lca.expression.jawOpen = 0.5
    avatar.lca.expression.keyframe_insert("jawOpen", frame=1)
    animation = avatar.animation_data
    track = animation.nla_tracks.new()
    strip = track.strips.new("Talk", 1, animation.action)
    strip.action_slot = animation.action_slot
    animation.action = None
    scene.frame_set(4)
    assert avatar.lca.expression.jawOpen == pytest.approx(0.5)
    fails("Nothing of the face has changed", bpy.ops.lca.key_changed)
    avatar.lca.expression.browInnerUp = 0.25
    bpy.ops.lca.key_changed()
    assert keys(avatar, "browInnerUp") == [(4, 0.25)]
    assert len(curves(avatar)) == 1


def test_auto_keying_keys_as_its_settings_say(avatar, scene):
    settings = scene.tool_settings
    bpy.ops.lca.set_expression(preset="SMILE")
    assert avatar.animation_data is None
    settings.use_keyframe_insert_auto = True
    settings.auto_keying_mode = "REPLACE_KEYS"
    bpy.ops.lca.set_expression(preset="SMILE")
    assert not curves(avatar)
    settings.auto_keying_mode = "ADD_REPLACE_KEYS"
    keying = scene.keying_sets.new(idname="Jaw", name="Jaw")
    keying.paths.add(avatar, PLACES["jawOpen"].path, index=0)
    settings.use_keyframe_insert_keyingset = True
    bpy.ops.lca.set_expression(preset="LAUGH")
    assert set(curves(avatar)) == {(PLACES["jawOpen"].path, 0)}
    settings.use_keyframe_insert_keyingset = False
    bpy.ops.lca.set_expression(preset="LAUGH")
    assert len(curves(avatar)) == 52


def test_the_keying_set_of_the_face_is_blenders(avatar, scene):
    scene.keying_sets_all.active = scene.keying_sets_all["Face (LCA)"]
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    with bpy.context.temp_override(window=window, area=area):
        assert bpy.ops.anim.keyframe_insert() == {"FINISHED"}
    assert len(curves(avatar)) == len(CHANNELS)


def test_sides_are_swapped_and_mirrored(avatar, scene):
    put_face(avatar, {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.1, "gazeYaw": 0.3, "leftEyePitch": 0.2})
    bpy.ops.lca.swap_face()
    assert avatar.lca.expression.mouthSmileRight == pytest.approx(0.8)
    assert avatar.lca.gaze[0] == pytest.approx(-0.3)
    assert avatar.lca.gaze_right[1] == pytest.approx(0.2)
    assert avatar.lca.gaze_left[1] == 0
    bpy.ops.lca.mirror_face(side="Right")
    assert avatar.lca.expression.mouthSmileLeft == pytest.approx(0.8)
    bpy.ops.lca.reset_expression()
    assert not any(face_of(avatar).values())


def test_presets_mix_and_add(avatar, scene):
    expression = avatar.lca.expression
    expression.browInnerUp, expression.jawOpen = 0.8, 0.3
    bpy.ops.lca.set_expression(preset="LAUGH", strength=0.5)
    assert expression.browInnerUp == pytest.approx(0.4)
    assert expression.jawOpen == pytest.approx(0.35)
    bpy.ops.lca.set_expression(preset="LAUGH", strength=0.5, add=True)
    assert expression.browInnerUp == pytest.approx(0.4)
    assert expression.jawOpen == pytest.approx(0.55)
    bpy.ops.lca.set_viseme(viseme="U")
    assert expression.jawOpen == pytest.approx(0.16)
    assert expression.browInnerUp == pytest.approx(0.4)
    assert expression.cheekSquintLeft > 0.5


def test_own_faces_are_saved_used_renamed_and_deleted(avatar, scene, own_file):
    put_face(avatar, {"jawOpen": 0.5, "browInnerUp": 0.7, "gazePitch": 0.2})
    assert bpy.ops.lca.save_own_face(face=" Wow ") == {"FINISHED"}
    assert bpy.ops.lca.save_own_face(face="Mouth", part="MOUTH") == {"FINISHED"}
    bpy.ops.lca.reset_expression()
    bpy.ops.lca.set_own_face(face="Mouth")
    assert avatar.lca.expression.jawOpen == pytest.approx(0.5)
    assert avatar.lca.expression.browInnerUp == 0
    bpy.ops.lca.set_own_face(face="Wow", strength=0.5)
    assert avatar.lca.gaze[1] == pytest.approx(0.1)
    fails("already", bpy.ops.lca.rename_own_face, face="Wow", new_name="Mouth")
    bpy.ops.lca.rename_own_face(face="Wow", new_name="Surprised")
    fails("no face of your own", bpy.ops.lca.set_own_face, face="Wow")
    bpy.ops.lca.delete_own_face(face="Mouth")
    fails("needs a name", bpy.ops.lca.save_own_face, face="")
    assert list(json.loads(own_file.read_text())["faces"]) == ["Surprised"]


def test_a_broken_file_of_own_faces_is_refused_and_stays(avatar, scene, own_file):
    own_file.write_text('{"format": "lca-faces", "faces": {"a": {"__import__": 1}}}')
    before = own_file.read_bytes()
    fails("cannot be read", bpy.ops.lca.save_own_face, face="Wow")
    fails("cannot be read", bpy.ops.lca.set_own_face, face="a")
    assert own_file.read_bytes() == before


def test_headers_show_what_is_keyed(avatar, scene):
    assert sign_of(avatar, LCA_PT_face.paths, 1) == "NONE"
    avatar.lca.keyframe_insert("gaze", frame=3)
    assert sign_of(avatar, LCA_PT_face_gaze.paths, 3) == SIGNS["KEYED"]
    assert sign_of(avatar, LCA_PT_face_gaze.paths, 4) == SIGNS["ANIMATED"]
    assert sign_of(avatar, {"lca.expression.jawOpen"}, 3) == "NONE"
    avatar.lca.expression.driver_add("jawOpen")
    assert sign_of(avatar, {"lca.expression.jawOpen"}, 3) == SIGNS["DRIVEN"]
    assert animation_of(avatar, LCA_PT_face.paths, 3) == {"KEYED", "DRIVEN"}


def test_what_an_avatar_cannot_show_is_said(avatar, scene):
    whole = load_avatar(avatar)
    assert face_remarks(avatar) == []
    assert unmoved(whole) == ((), True)
    basis = whole.expression_basis.clone()
    basis[[ARKIT_NAMES.index("tongueOut"), ARKIT_NAMES.index("jawOpen")]] = 0
    assert unmoved(replace(whole, expression_basis=basis))[0] == ("tongueOut",)  # the joint opens the jaw
    few = Gaussians(torch.zeros(2, 3), torch.eye(3).expand(2, 3, 3), torch.ones(2), torch.zeros(2, 3))
    assert unmoved(still_avatar(few, np.eye(4), "Vase")) == (ARKIT_NAMES, False)
