# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces as action assets, in this file and in asset libraries."""

import bpy
import numpy as np
import pytest
from refusals import fails

from lca_blender.scene.face import face_of, put_face
from lca_blender.scene.face_assets import SIZE, TAG, face_of_action, face_picture


@pytest.fixture
def library(tmp_path):
    libraries = bpy.context.preferences.filepaths.asset_libraries
    added = libraries.new(name="Faces", directory=str(tmp_path))
    yield tmp_path
    libraries.remove(added)


def pixels(action):
    found = np.empty(SIZE * SIZE * 4, np.float32)
    action.preview.image_pixels_float.foreach_get(found)
    return found.reshape(SIZE, SIZE, 4)[::-1]


def test_a_face_becomes_an_asset_with_a_picture(avatar, scene):
    put_face(avatar, {"jawOpen": 0.6, "gazeYaw": 0.2})
    assert bpy.ops.lca.save_face_asset(face="Shout") == {"FINISHED"}
    action = bpy.data.actions["Shout"]
    assert action.asset_data is not None
    assert TAG in action.asset_data.tags
    assert face_of_action(action) == pytest.approx(face_of(avatar))
    picture = pixels(action)
    middle = picture[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4]
    assert middle[..., :3].std() > 0.05  # a head, not a wall
    assert picture[..., 3].min() == 1
    drawn = face_picture(avatar, bpy.context.evaluated_depsgraph_get())
    assert np.abs(picture - drawn).max() < 0.01
    assert avatar.animation_data is None


def test_an_asset_is_applied_mixed_and_mirrored(avatar, scene):
    put_face(avatar, {"mouthSmileLeft": 0.8, "browInnerUp": 0.4})
    bpy.ops.lca.save_face_asset(face="Smirk", part="MOUTH")
    bpy.ops.lca.reset_expression()
    put_face(avatar, {"browInnerUp": 0.9})
    bpy.ops.lca.apply_face_asset(action="Smirk", strength=0.5)
    assert avatar.lca.expression.mouthSmileLeft == pytest.approx(0.4)
    assert avatar.lca.expression.browInnerUp == pytest.approx(0.9)
    bpy.ops.lca.apply_face_asset(action="Smirk", mirror=True)
    assert avatar.lca.expression.mouthSmileRight == pytest.approx(0.8)
    assert avatar.lca.expression.mouthSmileLeft == 0
    fails("no action called", bpy.ops.lca.apply_face_asset, action="Nothing")
    other = bpy.data.actions.new("Walk")
    fails("holds no face", bpy.ops.lca.apply_face_asset, action=other.name)
    fails("No asset was chosen", bpy.ops.lca.apply_face_asset)


def test_blender_itself_plays_the_asset(avatar, scene):
    put_face(avatar, {"jawOpen": 0.6})
    bpy.ops.lca.save_face_asset(face="Shout")
    bpy.ops.lca.reset_expression()
    action = bpy.data.actions["Shout"]
    animation = avatar.animation_data_create()
    animation.action, animation.action_slot = action, action.slots[0]
    scene.frame_set(1)
    assert avatar.lca.expression.jawOpen == pytest.approx(0.6)


def test_a_face_goes_to_a_library_and_comes_from_it(avatar, scene, library):
    put_face(avatar, {"jawOpen": 0.6, "gazePitch": -0.1})
    wanted = face_of(avatar)
    for _ in range(2):
        assert bpy.ops.lca.save_face_asset(face="Shout", library="Faces") == {"FINISHED"}
    files = sorted(path.name for path in (library / "Saved" / "Actions").iterdir())
    assert files == ["Shout.asset.blend", "Shout_2.asset.blend"]
    assert len(bpy.data.actions) == 0
    bpy.ops.lca.reset_expression()
    chosen = {
        "asset_library_type": "CUSTOM",
        "asset_library_identifier": "Faces",
        "relative_asset_identifier": "Saved/Actions/Shout.asset.blend/Action/Shout",
    }
    assert bpy.ops.lca.apply_face_asset(**chosen) == {"FINISHED"}
    assert face_of(avatar) == pytest.approx(wanted)
    assert len(bpy.data.actions) == 0
    with bpy.data.libraries.load(str(library / "Saved" / "Actions" / files[0]), assets_only=True) as (
        there,
        here,
    ):
        here.actions = there.actions
    assert np.abs(pixels(here.actions[0])[..., :3]).std() > 0.05  # the picture went along
    fails(
        "file is missing",
        bpy.ops.lca.apply_face_asset,
        **chosen | {"relative_asset_identifier": "a/Action/b"},
    )
    fails("no asset library", bpy.ops.lca.save_face_asset, face="A", library="Nowhere")
    assert not [action for action in bpy.data.actions if action.name == "A"]
