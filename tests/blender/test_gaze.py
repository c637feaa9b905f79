# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze of each eye, and eyes that look at an object."""

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from PIL import Image

from lca_blender.scene.evaluate import evaluated
from lca_blender.scene.gaze import looks_at

EYES = (INDEX["eye.L"], INDEX["eye.R"])


def gaze(avatar):
    bpy.context.view_layer.update()
    return evaluated(avatar, bpy.context.evaluated_depsgraph_get()).signal.gaze.numpy()


def missed_by(avatar, target):
    """Degrees by which each eye's direction in the world misses the target."""
    angles = gaze(avatar)
    now = evaluated(avatar, bpy.context.evaluated_depsgraph_get())
    found = []
    for (yaw, pitch), eye in zip(angles, EYES, strict=True):
        joint = now.world.astype(float) @ now.signal.transforms[eye].numpy()
        ahead = joint[:3, :3] @ (np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch))
        place = joint @ np.append(now.avatar.joint_heads[eye].numpy(), 1)
        way = np.array(target.matrix_world.translation) - place[:3]
        cosine = ahead @ way / np.linalg.norm(ahead) / np.linalg.norm(way)
        found.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(found)


@pytest.fixture
def target(scene):
    empty = bpy.data.objects.new("Target", None)
    scene.collection.objects.link(empty)
    empty.location = (0.3, -1.0, 1.7)
    return empty


def test_each_eye_has_an_angle_of_its_own(avatar, rigid_avatar_file):
    rest = splats(avatar)
    avatar.lca.gaze, avatar.lca.gaze_left = (0.2, 0.1), (0.3, -0.1)
    assert gaze(avatar) == pytest.approx(np.array([[0.5, 0.0], [0.2, 0.1]]))
    moved = np.linalg.norm(splats(avatar) - rest, axis=1)
    avatar.lca.gaze = avatar.lca.gaze_left = (0, 0)
    assert np.array_equal(splats(avatar), rest)
    assert moved.max() > 0.001


def test_eyes_look_at_the_object_wherever_head_and_object_go(bound, target):
    avatar, rig = bound
    avatar.lca.look_at = target
    assert missed_by(avatar, target).max() < 0.1
    angles = gaze(avatar)
    assert angles[0, 0] != pytest.approx(angles[1, 0], abs=1e-3)  # they converge
    rig.location, rig.rotation_euler, rig.scale = (1, 2, 0.3), (0, 0, 0.5), (1.3, 1.3, 1.3)
    head = rig.pose.bones["head"]
    head.rotation_mode, head.rotation_euler = "XYZ", (0.2, 0.3, 0.1)
    bpy.context.view_layer.update()
    heads = load_template().joint_heads
    before = rig.matrix_world @ head.matrix @ head.bone.matrix_local.inverted()
    ahead = np.array(before) @ np.append(heads[INDEX["head"]] + (0.2, -1.0, 0.15), 1)
    target.location = ahead[:3].tolist()
    assert missed_by(avatar, target).max() < 0.1


def test_a_frame_is_the_same_however_it_is_reached(bound, target, scene):
    avatar, _ = bound
    avatar.lca.look_at = target
    for frame, x in ((1, -0.5), (20, 0.5)):
        target.location.x = x
        target.keyframe_insert("location", frame=frame)
        avatar.lca.look_amount = frame / 20
        avatar.lca.keyframe_insert("look_amount", frame=frame)
    played = []
    for frame in range(1, 21):
        scene.frame_set(frame)
        played.append(gaze(avatar))
    assert np.ptp([angles[0, 0] for angles in played]) > 0.3
    for frame in (14, 3, 20):
        scene.frame_set(frame)
        assert np.array_equal(gaze(avatar), played[frame - 1])


@pytest.mark.parametrize("how", ["hide_viewport", "hide_set", "excluded"])
def test_a_hidden_target_goes_on_being_looked_at(bound, target, scene, how):
    avatar, _ = bound
    avatar.lca.look_at = target
    for frame, x in ((1, -0.5), (20, 0.5)):
        target.location.x = x
        target.keyframe_insert("location", frame=frame)
    shown = []
    for frame in (1, 20):
        scene.frame_set(frame)
        shown.append(gaze(avatar))
    if how == "excluded":
        collection = bpy.data.collections.new("Hidden")
        scene.collection.children.link(collection)
        scene.collection.objects.unlink(target)
        collection.objects.link(target)
        bpy.context.view_layer.layer_collection.children["Hidden"].exclude = True
    elif how == "hide_set":
        target.hide_set(True)
    else:
        target.hide_viewport = True
    for frame, wanted in zip((1, 20), shown, strict=True):
        scene.frame_set(frame)
        assert gaze(avatar) == pytest.approx(wanted, abs=1e-6)


def test_the_amount_blends_from_the_gaze_to_the_object(bound, target):
    avatar, _ = bound
    avatar.lca.gaze = (-0.4, 0.1)
    avatar.lca.look_at, avatar.lca.look_amount = target, 1.0
    looking = gaze(avatar)
    avatar.lca.look_amount = 0.25
    assert gaze(avatar) == pytest.approx(0.75 * np.array([[-0.4, 0.1]] * 2) + 0.25 * looking, abs=1e-6)
    avatar.lca.look_amount = 0.0
    assert gaze(avatar) == pytest.approx(np.array([[-0.4, 0.1]] * 2))


def test_eyes_stop_at_their_range_and_never_jump():
    limits, around = np.array([0.7, 0.5]), np.radians(np.arange(-180, 181))
    turns = [looks_at(np.eye(4), np.zeros(3), np.array([np.sin(a), -np.cos(a), 0.4]), limits) for a in around]
    turns = np.array(turns)
    assert (np.hypot(*(turns / limits).T) <= 1 + 1e-9).all()
    assert turns[180 + 60, 0] == pytest.approx(0.7, abs=0.1)
    assert np.abs(np.diff(turns, axis=0)).max() < 0.03  # radians for a degree of the object's
    assert np.abs(turns[[0, -1]]).max() < 0.06  # behind: nearly ahead
    assert looks_at(np.eye(4), np.zeros(3), np.zeros(3), limits).tolist() == [0, 0]
    assert looks_at(np.zeros((4, 4)), np.zeros(3), np.ones(3), limits).tolist() == [0, 0]


def test_an_avatar_does_not_look_at_itself_and_a_deleted_target_is_forgotten(avatar, target):
    from lca_blender.properties.avatar import is_other_object

    assert not is_other_object(avatar.lca, avatar)
    assert is_other_object(avatar.lca, target)
    avatar.lca.look_at = target
    assert gaze(avatar).any()
    bpy.data.objects.remove(target)
    assert not gaze(avatar).any()


def test_a_target_that_is_not_rendered_is_looked_at_in_final_frames(bound, target, scene, tmp_path):
    avatar, _ = bound
    for frame, x in ((1, -0.5), (20, 0.5)):
        target.location.x = x
        target.keyframe_insert("location", frame=frame)
    avatar.lca.look_at = target
    scene.camera.location = (0, -1.2, 1.6)
    pictures = {}
    for hidden in (False, True):
        target.hide_render = hidden
        for frame in (1, 20):
            scene.frame_set(21 - frame)
            scene.frame_start = scene.frame_end = frame
            scene.render.filepath = str(tmp_path / f"{hidden}_")
            bpy.ops.render.render(animation=True)
            with Image.open(tmp_path / f"{hidden}_{frame:04}.png") as picture:
                pictures[hidden, frame] = picture.tobytes()
    assert pictures[True, 1] == pictures[False, 1]
    assert pictures[True, 20] == pictures[False, 20]
    assert pictures[True, 1] != pictures[True, 20]
