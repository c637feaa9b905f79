# SPDX-License-Identifier: GPL-3.0-or-later
"""Use This Character's Shape: avatars take over the build of a MakeHuman character."""

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.figure import BODY, figure_shape, load_figure_reader
from lca_blender.backend.body.skeleton import JOINT_NAMES, joint_parents
from lca_blender.operators.use_character_shape import LCA_OT_use_character_shape
from refusals import fails
from scipy.spatial import cKDTree

from lca_blender.scene.avatar_data import load_avatar, pack
from lca_blender.scene.avatar_object import create_avatar_object
from lca_blender.scene.figures import is_figure, rest_vertices

JOINTS = len(JOINT_NAMES)


@pytest.fixture
def avatar(scene, avatar_file, tmp_path):
    """An avatar whose file lies in a folder of its own."""
    path = tmp_path / "person.lca"
    path.write_bytes(avatar_file.read_bytes())
    return create_avatar_object(bpy.context, Avatar.load(path), path)


def mean_points():
    return load_figure_reader().mean.astype(np.float64)


def wide_points():
    return mean_points() * (1.3, 1.3, 1)


def add_character(points, name="Human", unit=1.0):
    """A mesh object with these points, as MPFB2's base mesh has them."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", (points * unit).astype(np.float32).ravel())
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(obj)
    return obj


def add_rig(character, points):
    """An armature with a bone for every joint of a character, which deforms it."""
    reader = load_figure_reader()
    heads, tails = np.split(reader.carried(points)[-2 * JOINTS :], 2)
    rig = bpy.data.objects.new("Bones", bpy.data.armatures.new("Bones"))
    bpy.context.collection.objects.link(rig)
    before = bpy.context.view_layer.objects.active
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, head, tail, parent in zip(JOINT_NAMES, heads, tails, joint_parents(), strict=True):
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = head, tail
        bone.parent = rig.data.edit_bones[JOINT_NAMES[parent]] if parent >= 0 else None
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.objects.active = before
    character.parent = rig
    character.modifiers.new("Armature", "ARMATURE").object = rig
    return rig


def select(*objects):
    for obj in bpy.context.scene.objects:
        obj.select_set(obj in objects)
    bpy.context.view_layer.objects.active = objects[0]


def test_the_avatar_takes_over_the_shape_in_a_new_file(avatar, tmp_path):
    old = avatar.lca.hash
    character = add_character(wide_points())
    select(avatar, character)
    for stem in ("person_Human", "person_Human_Human"):
        assert bpy.ops.lca.use_character_shape(hide=False) == {"FINISHED"}
        assert bpy.path.basename(avatar.lca.filepath) == f"{stem}.lca"
    made = Avatar.load(tmp_path / "person_Human.lca")
    assert Avatar.load(tmp_path / "person.lca").hash == old != made.hash
    assert made.header["made_of"] == {"avatar": old, "figure": "Human", "own_face": True}
    assert made.joint_heads.numpy() == pytest.approx(figure_shape(wide_points()).joint_heads, abs=0.03)
    trunk = lambda points: np.ptp(points[(points[:, 2] > 1) & (points[:, 2] < 1.1), 1])  # noqa: E731
    before, after = Avatar.load(tmp_path / "person.lca").means.numpy(), splats(avatar)
    assert trunk(after) > 1.15 * trunk(before)
    assert load_avatar(avatar).hash == avatar.lca.hash


def test_it_is_bound_to_the_characters_armature_in_the_same_click(avatar):
    character = add_character(wide_points())
    rig = add_rig(character, wide_points())
    select(avatar, character)
    assert bpy.ops.lca.use_character_shape() == {"FINISHED"}
    assert avatar.lca.armature == rig == avatar.parent
    assert character.hide_get()
    assert character.hide_render
    figure = wide_points()[:BODY]
    seen = splats(avatar)
    height = seen[:, 2] - figure[:, 2].min()
    trunk = seen[(height > 0.9) & (height < 1.25)]  # the decoder of this avatar moves its splats
    assert np.median(cKDTree(figure).query(trunk)[0]) < 0.02
    proxy = np.array([v.co for v in avatar.data.vertices])
    assert np.median(cKDTree(figure).query(proxy)[0]) < 0.05


def test_shape_keys_count_and_the_pose_does_not(avatar):
    character = add_character(mean_points(), unit=10)
    character.scale = (0.1, 0.1, 0.1)
    character.shape_key_add(name="Basis")
    for name, value, mute in (("wide", 0.5, False), ("tall", 1.0, True)):
        key = character.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", (10 * mean_points() * (1.2, 1.2, 1)).astype(np.float32).ravel())
        key.value, key.mute = value, mute
    rig = add_rig(character, mean_points())
    rig.pose.bones["upper_arm.L"].rotation_mode = "XYZ"
    rig.pose.bones["upper_arm.L"].rotation_euler = (1, 0, 0)
    bpy.context.view_layer.update()
    assert rest_vertices(character) == pytest.approx(10 * mean_points() * (1.1, 1.1, 1), abs=1e-4)
    group = character.vertex_groups.new(name="left")
    group.add([0, 5], 0.5, "REPLACE")
    character.data.shape_keys.key_blocks["wide"].vertex_group = "left"
    moved = rest_vertices(character) - 10 * mean_points()
    assert set(np.flatnonzero(np.abs(moved).max(1) > 1e-3)) == {0, 5}


def test_a_stretched_object_is_read_as_it_looks(scene):
    character = add_character(mean_points())
    character.scale = (1.2, 1.2, 1.2)
    bpy.context.view_layer.update()
    assert rest_vertices(character) == pytest.approx(mean_points(), abs=1e-5)
    character.scale = (1, 1, 1.3)
    bpy.context.view_layer.update()
    points = rest_vertices(character)
    assert np.ptp(points[:, 2]) / np.ptp(points[:, 0]) == pytest.approx(
        1.3 * np.ptp(mean_points()[:, 2]) / np.ptp(mean_points()[:, 0])
    )
    rig = add_rig(character, mean_points())
    character.scale, rig.scale, rig.rotation_euler = (1, 1, 1), (1, 1, 1.3), (0.3, 0.2, 0.1)
    bpy.context.view_layer.update()
    assert rest_vertices(character, beside=rig) == pytest.approx(mean_points(), abs=1e-5)


def lopsided_points():
    """A waist that is 8 cm deeper at the front on its left, at +X."""
    points = mean_points()
    height = points[:, 2] - points[:BODY, 2].min()
    left = np.clip(points[:, 0] / 0.05, 0, 1) * (points[:, 0] < 0.3) * (points[:, 1] < 0)
    points[:, 1] -= 0.08 * left * np.exp(-(((height - 1.08) / 0.08) ** 4))
    return points


def deeper_in_front(points, floor):
    """Metres by which a trunk [n,3] in the world reaches further to the front at +X than at -X."""
    height = points[:, 2] - floor
    trunk = points[(height > 1.04) & (height < 1.12) & (np.abs(points[:, 0]) < 0.2)]
    side = trunk[:, 0] > 0
    return np.percentile(trunk[~side, 1], 2) - np.percentile(trunk[side, 1], 2)


@pytest.mark.parametrize("mirrored", ["nothing", "mesh", "character", "rig", "character beside its rig"])
def test_the_avatar_is_mirrored_where_the_character_is(avatar, mirrored):
    """A negative scale of the rig mirrors what is bound to it; that of the character alone is its shape."""
    points = lopsided_points() * (-1 if mirrored == "mesh" else 1, 1, 1)
    character = add_character(points)
    rig = add_rig(character, mean_points()) if "rig" in mirrored else None
    if mirrored != "nothing" and mirrored != "mesh":
        (rig if mirrored == "rig" else character).scale = (-1, 1, 1)
    bpy.context.view_layer.update()
    select(avatar, character)
    assert bpy.ops.lca.use_character_shape() == {"FINISHED"}
    bpy.context.view_layer.update()
    world = np.array([character.matrix_world @ vertex.co for vertex in character.data.vertices])[:BODY]
    seen = splats(avatar)
    theirs = deeper_in_front(world, world[:, 2].min())
    assert np.sign(theirs) == (1 if mirrored == "nothing" else -1)
    assert deeper_in_front(seen, seen[:, 2].min()) == pytest.approx(theirs, abs=0.03)


def test_an_armature_whose_sides_are_swapped_is_refused(avatar):
    """As a mirrored character and its armature are when their scale was applied."""
    points = mean_points() * (-1, 1, 1)
    character = add_character(points)
    add_rig(character, points)
    select(avatar, character)
    fails("armature is mirrored", bpy.ops.lca.use_character_shape)
    assert bpy.ops.lca.use_character_shape(bind=False) == {"FINISHED"}


def test_what_cannot_work_is_refused_and_nothing_changes(avatar, tmp_path):
    operator = bpy.ops.lca.use_character_shape
    select(avatar)
    fails("no MakeHuman body in this scene", operator)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    select(avatar, cube)
    fails("has 8 vertices, a MakeHuman body has", operator)
    odd = add_character(np.random.default_rng(0).permutation(mean_points()[:BODY]), "Odd")
    select(avatar, odd)
    fails("does not have its shape", operator)
    fails("no mesh called", operator, character="Gone")
    human = add_character(mean_points())
    select(avatar)
    fails("several characters", operator)
    select(avatar, human)
    fails("does not exist", operator, filepath=str(tmp_path / "gone" / "a.lca"))
    human.modifiers.new("Armature", "ARMATURE").object = bpy.data.objects.new(
        "Empty", bpy.data.armatures.new("Empty")
    )
    fails("has no bones", operator)
    pack(avatar)
    fails("is not saved yet", operator)
    assert {path.name for path in tmp_path.iterdir()} == {"person.lca"}
    assert not human.hide_get()


def test_without_an_avatar_it_is_greyed_out(scene):
    select(add_character(mean_points()))
    assert is_figure(bpy.context.object)
    assert not LCA_OT_use_character_shape.poll(bpy.context)
