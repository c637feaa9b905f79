# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar on a rig: binding, the bone map in the artist's hands, and off again."""

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.bone_map import BoneMap
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from lca_blender.operators.bind_to_armature import stretch_warning
from mathutils import Matrix
from refusals import fails


@pytest.fixture
def rigify(metarig):
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.rigify_generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    return next(obj for obj in bpy.data.objects if obj.type == "ARMATURE" and obj != metarig)


def add(file):
    bpy.ops.lca.import_avatar(filepath=str(file))
    return bpy.context.object


def bind(avatar, rig, **arguments):
    bpy.ops.object.select_all(action="DESELECT")
    avatar.select_set(True)
    rig.select_set(True)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.bind_to_armature(**arguments) == {"FINISHED"}
    bpy.context.view_layer.update()


def parts(file, *joints):
    """Which splats of an avatar file hang on these joints most."""
    avatar = Avatar.load(file)
    main = avatar.skin_indices.numpy()[np.arange(len(avatar)), avatar.skin_weights.numpy().argmax(1)]
    return np.isin(main, [INDEX[joint] for joint in joints])


def hand(file, side):
    fingers = [f"{finger}{i}.{side}" for finger in ("index", "middle", "ring") for i in (1, 2, 3)]
    return parts(file, f"hand.{side}", *fingers)


def test_the_metarig_moves_the_avatar(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig, armature=metarig.name)
    assert avatar.parent == metarig
    missing = {pair.joint for pair in avatar.lca.bone_map if not pair.bone}
    assert missing == {"forearm_twist.L", "forearm_twist.R"}
    follows_the_hand(avatar, metarig, rigid_avatar_file, "upper_arm.L", "hand.L")


def test_the_generated_rig_moves_the_avatar(rigify, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, rigify, armature=rigify.name)
    bones = {pair.joint: pair.bone for pair in avatar.lca.bone_map}
    assert all(bones.values())
    assert bones["upper_arm.L"] == "DEF-upper_arm.L"
    rigify.pose.bones["upper_arm_parent.L"]["IK_FK"] = 1.0
    follows_the_hand(avatar, rigify, rigid_avatar_file, "upper_arm_fk.L", "DEF-hand.L")


def follows_the_hand(avatar, rig, file, control, bone):
    """Raise an arm: the avatar's hand is where the rig's is, and the other hand has not moved."""
    before = splats(avatar)
    left, right = hand(file, "L"), hand(file, "R")
    assert distance(before[left], rig, bone) < 0.13
    pose = rig.pose.bones[control]
    pose.matrix = rig.matrix_world.inverted() @ Matrix.Rotation(-1.2, 4, "Y") @ rig.matrix_world @ pose.matrix
    bpy.context.view_layer.update()
    after = splats(avatar)
    assert np.linalg.norm(after[left].mean(0) - before[left].mean(0)) > 0.3
    assert distance(after[left], rig, bone) < 0.13
    assert np.abs(after[right] - before[right]).max() < 1e-4


def distance(points, rig, bone):
    """From the middle of the points to the bone's middle, metres."""
    pose = rig.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones[bone]
    return np.linalg.norm(points.mean(0) - np.array(rig.matrix_world @ pose.tail))


def test_binding_to_a_posed_rig_takes_its_pose_at_once(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    metarig.pose.bones["upper_arm.L"].rotation_mode = "XYZ"
    metarig.pose.bones["upper_arm.L"].rotation_euler = (0.6, 0, 0)
    bind(avatar, metarig)
    assert distance(splats(avatar)[hand(rigid_avatar_file, "L")], metarig, "hand.L") < 0.13


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_rigs_of_any_size(metarig, rigid_avatar_file, scale):
    """Bones in centimetres or in hectometres, as importers leave them, brought to metres by the object."""
    for bone in edit(metarig):
        bone.head, bone.tail = bone.head / scale, bone.tail / scale
    bpy.ops.object.mode_set(mode="OBJECT")
    metarig.scale = (scale,) * 3
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    means = splats(avatar)
    assert 1.7 < np.ptp(means[:, 2]) < 2.2
    assert distance(means[hand(rigid_avatar_file, "L")], metarig, "hand.L") < 0.13


def edit(rig):
    bpy.ops.object.select_all(action="DESELECT")
    rig.select_set(True)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bones = rig.data.edit_bones
    for bone in bones:
        bone.use_connect = False
    return bones


def test_an_armature_without_legs(metarig, rigid_avatar_file):
    bones = edit(metarig)
    for name in [
        bone.name for bone in bones if bone.name.startswith(("thigh", "shin", "foot", "toe", "heel"))
    ]:
        bones.remove(bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    means = splats(avatar)
    feet = means[parts(rigid_avatar_file, "foot.L", "foot.R")]
    assert feet[:, 2].max() < means[:, 2].min() + 0.25
    metarig.location.z = 1
    assert splats(avatar)[:, 2] == pytest.approx(means[:, 2] + 1, abs=1e-4)


def test_a_prop_is_no_rig(scene, avatar_file):
    rig = bpy.data.objects.new("Door", bpy.data.armatures.new("Door"))
    scene.collection.objects.link(rig)
    avatar = add(avatar_file)
    fails("has no bones", bpy.ops.lca.bind_to_armature, armature="Door")
    edit(rig).new("hinge").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.objects.active = avatar
    fails("no spine and no head", bpy.ops.lca.bind_to_armature, armature="Door")
    assert avatar.lca.armature is None
    assert scene.lca.remedy_operator == "lca.load_bone_map"


def test_which_armature_is_meant(metarig, avatar_file):
    other = metarig.copy()
    bpy.context.collection.objects.link(other)
    avatar = add(avatar_file)
    fails("several armatures", bpy.ops.lca.bind_to_armature)
    fails("no armature called", bpy.ops.lca.bind_to_armature, armature="Nobody")
    bind(avatar, other)
    assert avatar.lca.armature == other


def test_a_deleted_rig_is_not_bound_again(metarig, avatar_file):
    avatar = add(avatar_file)
    bind(avatar, metarig)
    bpy.ops.object.select_all(action="DESELECT")
    metarig.select_set(True)
    bpy.ops.object.delete()
    bpy.context.view_layer.objects.active = avatar
    assert avatar.lca.armature == metarig
    fails("no armature in this scene", bpy.ops.lca.bind_to_armature)
    assert not bpy.ops.lca.apply_bone_map.poll()
    assert not bpy.ops.lca.set_bone.poll()
    bpy.ops.object.armature_human_metarig_add()
    other = bpy.context.object
    other.select_set(False)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.bind_to_armature() == {"FINISHED"}
    assert avatar.lca.armature == other


def test_a_map_is_not_loaded_for_a_deleted_rig(metarig, avatar_file, tmp_path):
    avatar = add(avatar_file)
    bind(avatar, metarig)
    bpy.context.collection.objects.unlink(metarig)
    assert bpy.ops.lca.save_bone_map(filepath=str(tmp_path / "map.json")) == {"FINISHED"}
    fails("No armature is selected", bpy.ops.lca.load_bone_map, filepath=str(tmp_path / "map.json"))


def test_vertex_groups_of_the_artist_stay(metarig, avatar_file):
    avatar = add(avatar_file)
    avatar.vertex_groups.new(name="cloth_pin").add((3, 5), 0.25, "REPLACE")
    avatar.vertex_groups.new(name="hand.L")  # the name of a bone: the weights of the hand go by it
    for _ in range(2):
        bind(avatar, metarig)
        assert avatar.vertex_groups["cloth_pin"].weight(5) == 0.25
        assert "hand.L.001" not in avatar.vertex_groups
    bpy.ops.lca.unbind()
    assert avatar.vertex_groups.keys() == ["cloth_pin"]
    assert avatar.vertex_groups["cloth_pin"].weight(3) == 0.25


def test_unbinding_brings_the_canonical_pose_back(metarig, avatar_file):
    avatar = add(avatar_file)
    at_first = splats(avatar)
    bind(avatar, metarig)
    assert bpy.ops.lca.unbind() == {"FINISHED"}
    assert splats(avatar) == pytest.approx(at_first, abs=1e-5)
    assert not bpy.ops.lca.unbind.poll()


def test_the_map_is_edited_saved_and_loaded(metarig, rigid_avatar_file, tmp_path):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    assert bpy.ops.lca.set_bone(joint="toe.L", bone="") == {"FINISHED"}
    assert next(pair.bone for pair in avatar.lca.bone_map if pair.joint == "toe.L") == ""
    fails("no bone called", bpy.ops.lca.set_bone, joint="toe.L", bone="nothing")
    bpy.ops.lca.save_bone_map(filepath=str(tmp_path / "map.json"))
    assert "toe.L" not in BoneMap.load(tmp_path / "map.json").bones
    before = splats(avatar)
    bpy.ops.lca.unbind()
    bpy.ops.lca.load_bone_map(filepath=str(tmp_path / "map.json"), armature=metarig.name)
    assert splats(avatar) == pytest.approx(before, abs=1e-6)
    (tmp_path / "map.json").write_text("{")
    fails("not valid JSON", bpy.ops.lca.load_bone_map, filepath=str(tmp_path / "map.json"))


def test_a_bone_changed_in_the_list_is_applied(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    next(pair for pair in avatar.lca.bone_map if pair.joint == "toe.R").bone = ""
    assert bpy.ops.lca.apply_bone_map() == {"FINISHED"}
    assert "toe.R" not in avatar.vertex_groups


def test_the_proxy_lies_under_the_splats(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    metarig.pose.bones["forearm.R"].rotation_mode = "XYZ"
    metarig.pose.bones["forearm.R"].rotation_euler = (0.9, 0, 0)
    means = splats(avatar)
    proxy = avatar.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.array([avatar.matrix_world @ vertex.co for vertex in proxy.data.vertices])
    apart = np.linalg.norm(means[::10, None] - points[None], axis=2).min(1)
    assert np.median(apart) < 0.03
    assert apart.max() < 0.12


def test_the_template_has_the_joints_of_the_bone_map(bound):
    avatar, _ = bound
    assert [pair.joint for pair in avatar.lca.bone_map] == list(load_template().joint_names)


def test_a_rig_of_another_size_is_said(metarig, rigid_avatar_file):
    """In world units, whatever the armature's own scale."""
    add(rigid_avatar_file)
    (said,) = stretch_warning(1.25, metarig)
    assert "25 % larger" in said
    metarig.scale = (0.8, 0.8, 0.8)
    bpy.context.view_layer.update()
    assert stretch_warning(1.25, metarig) == []


def test_show_avatar_chooses_the_engine(avatar):
    bpy.context.scene.render.engine = "CYCLES"
    assert bpy.ops.lca.show_avatar() == {"FINISHED"}
    assert bpy.context.scene.render.engine == "LCA_GAUSSIANS"
