# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig's bones moved to a person's joints: the person keeps its shape, the rig its hierarchy and axes."""

import bpy
import numpy as np
import pytest
from addon_utils import disable, enable
from avatars import splats
from lca_blender.backend.avatar import Avatar
from mathutils import Euler, Matrix
from refusals import fails


def add(file):
    bpy.ops.lca.import_avatar(filepath=str(file))
    return bpy.context.object


def fit(avatar, rig):
    bpy.ops.object.select_all(action="DESELECT")
    avatar.select_set(True)
    rig.select_set(True)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.fit_rig() == {"FINISHED"}
    bpy.context.view_layer.update()


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_the_person_keeps_its_shape_on_a_fitted_metarig(metarig, rigid_avatar_file, scale):
    """Splats on the rig at rest are the person's own, moved to where the rig stands."""
    metarig.matrix_world = Matrix.LocRotScale((1, 2, 0), Euler((0, 0, 0.5)), (scale, scale, scale))
    avatar = add(rigid_avatar_file)
    bpy.context.view_layer.update()
    own = splats(avatar)
    parents = {bone.name: bone.parent and bone.parent.name for bone in metarig.data.bones}
    fit(avatar, metarig)
    assert {bone.name: bone.parent and bone.parent.name for bone in metarig.data.bones} == parents
    assert avatar.lca.armature == metarig
    turned = np.array(metarig.matrix_world.normalized().to_3x3())
    moved = splats(avatar) @ turned
    moved += own.mean(0) - moved.mean(0)
    apart = np.linalg.norm(moved - own, axis=1)
    assert np.median(apart) < 0.005
    assert np.quantile(apart, 0.99) < 0.03
    heads = dict(
        zip(
            *(getattr(Avatar.load(rigid_avatar_file), n) for n in ("joint_names", "joint_heads")), strict=True
        )
    )
    bones = metarig.data.bones
    for first, second, a, b in (
        ("upper_arm.L", "forearm.L", "upper_arm.L", "forearm.L"),
        ("shin.R", "foot.R", "shin.R", "foot.R"),
        ("hand.L", "f_index.01.L", "hand.L", "index1.L"),
    ):
        length = (bones[second].head_local - bones[first].head_local).length * scale
        assert length == pytest.approx(float((heads[b] - heads[a]).norm()), rel=1e-3)
    assert all(bone.length > 1e-4 for bone in bones)


def test_a_fitted_metarig_generates(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    fit(avatar, metarig)
    bpy.context.view_layer.objects.active = metarig
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.rigify_generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    rig = next(obj for obj in bpy.data.objects if obj.type == "ARMATURE" and obj != metarig)
    before = splats(avatar)
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    assert np.quantile(np.linalg.norm(splats(avatar) - before, axis=1), 0.99) < 0.03
    bpy.ops.object.select_all(action="DESELECT")
    avatar.select_set(True)
    rig.select_set(True)
    fails("has constraints", bpy.ops.lca.fit_rig)


def test_a_rig_is_added_in_the_persons_size_where_it_stands(scene, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    avatar.location, avatar.rotation_euler = (2, 1, 0), (0, 0, 1)
    before = splats(avatar)
    disable("rigify")
    fails("Rigify", bpy.ops.lca.add_rig)
    enable("rigify", default_set=True)
    assert bpy.ops.lca.add_rig() == {"FINISHED"}
    apart = np.linalg.norm(splats(avatar) - before, axis=1)
    assert np.median(apart) < 1e-3
    assert np.quantile(apart, 0.99) < 0.03
