# SPDX-License-Identifier: GPL-3.0-or-later
"""Erase Splats: what lies inside an eraser goes, from this object and its copies, and comes back."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.avatar import Avatar
from mathutils import Euler, Matrix
from refusals import fails

from lca_blender.scene.avatar_data import forget_avatars, pack
from lca_blender.scene.avatar_object import change_avatar
from lca_blender.scene.erased import forget_shown
from lca_blender.scene.evaluate import evaluate, forget_results
from lca_blender.scene.volumes import inside

FIELDS = ("means", "covariances", "opacities", "colors")


def splats(avatar):
    bpy.context.view_layer.update()
    return evaluate(avatar, bpy.context.evaluated_depsgraph_get())


def rest_of(whole, kept, now):
    """Whether splats are those `kept` [N] bool of others, bit for bit."""
    return all(torch.equal(getattr(now, name), getattr(whole, name)[kept]) for name in FIELDS)


def cube(size, matrix):
    """A mesh with sides of `size`."""
    bpy.ops.mesh.primitive_cube_add(size=size)
    bpy.context.object.matrix_world = matrix
    return bpy.context.object


def empty(size, matrix, kind="CUBE"):
    made = bpy.data.objects.new("Eraser", None)
    bpy.context.collection.objects.link(made)
    made.empty_display_type, made.empty_display_size = kind, size
    made.matrix_world = matrix
    return made


def choose(avatar, *erasers):
    bpy.ops.object.select_all(action="DESELECT")
    for obj in (avatar, *erasers):
        obj.select_set(True)
    bpy.context.view_layer.objects.active = avatar


@pytest.mark.parametrize("make", [lambda m: cube(0.6, m), lambda m: empty(0.3, m)])
def test_what_lies_inside_a_box_goes_and_comes_back(bound, make):
    """In a pose, with a box that is turned and stretched."""
    avatar, rig = bound
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.3, 0.2, 0.5)
    matrix = Matrix.LocRotScale((0.2, 0.0, 1.4), Euler((0.2, 0.1, 0.6)), (1.0, 2.0, 0.5))
    eraser, whole = make(matrix), splats(avatar)
    choose(avatar, eraser)
    assert bpy.ops.lca.erase_splats() == {"FINISHED"}
    own = (np.c_[whole.means.numpy(), np.ones(len(whole))] @ np.linalg.inv(np.array(matrix)).T)[:, :3]
    kept = torch.from_numpy((np.abs(own) > 0.3).any(1))
    assert 20 < (~kept).sum() < 0.5 * len(whole)
    assert rest_of(whole, kept, splats(avatar))
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (1, 0, 0, 0)
    moved = splats(avatar)
    bpy.ops.lca.restore_erased()
    assert rest_of(splats(avatar), kept, moved)
    assert not bpy.ops.lca.restore_erased.poll()


def test_a_second_box_erases_what_the_first_one_left(avatar):
    whole = splats(avatar)
    for name, height in (("Head", 1.7), ("Feet", 0.0)):
        empty(0.2, Matrix.Translation((0, 0, height))).name = name
        bpy.ops.lca.erase_splats(eraser=name)
    z, near = whole.means[:, 2], (whole.means[:, :2].abs() <= 0.2).all(1)
    assert rest_of(whole, ~(near & (((z - 1.7).abs() <= 0.2) | (z.abs() <= 0.2))), splats(avatar))


def test_copies_files_and_renders_have_it(avatar, tmp_path):
    whole = len(splats(avatar))
    choose(avatar, empty(0.3, Matrix.Translation((0, 0, 1.5))))
    bpy.ops.lca.erase_splats()
    left = splats(avatar)
    choose(avatar)
    bpy.ops.object.duplicate(linked=True)
    copy = bpy.context.object.name
    pack(bpy.data.objects[copy])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "film.blend"))
    for forget in (forget_results, forget_shown, forget_avatars):
        forget()
    assert len(left) < whole
    for name in ("Avatar", copy):
        again = splats(bpy.data.objects[name])
        assert all(torch.equal(getattr(again, field), getattr(left, field)) for field in FIELDS)
    choose(bpy.data.objects[copy])
    bpy.ops.lca.restore_erased()
    assert len(splats(bpy.data.objects[copy])) == whole
    assert len(splats(bpy.data.objects["Avatar"])) == len(left)


def test_an_overridden_avatar_keeps_its_own(avatar, tmp_path):
    whole = len(splats(avatar))
    person = bpy.data.collections.new("Person")
    person.objects.link(avatar)
    bpy.context.scene.collection.children.link(person)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "film.blend"), link=True) as (_, into):
        into.collections = ["Person"]
    scene = bpy.context.scene
    scene.collection.children.link(into.collections[0])
    into.collections[0].override_hierarchy_create(scene, bpy.context.view_layer)
    own = next(obj for obj in bpy.data.objects if obj.override_library and obj.type == "MESH")
    choose(own, empty(0.3, Matrix.Translation((0, 0, 1.5))))
    bpy.ops.lca.erase_splats()
    left = len(splats(own))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    own = next(obj for obj in bpy.data.objects if obj.override_library and obj.type == "MESH")
    assert len(splats(own)) == left < whole


def test_another_avatar_is_not_touched_and_another_shape_is(avatar, avatar_file, rigid_avatar_file, tmp_path):
    loaded = Avatar.load(avatar_file)
    choose(avatar, empty(0.3, Matrix.Translation((0, 0, 1.5))))
    bpy.ops.lca.erase_splats()
    left = len(splats(avatar))
    avatar.lca.filepath = str(rigid_avatar_file)
    assert len(splats(avatar)) == len(loaded)
    avatar.lca.filepath = str(avatar_file)
    assert len(splats(avatar)) == left
    reshaped = replace(
        loaded, means=1.1 * loaded.means, header={**loaded.header, "made_of": {"avatar": loaded.hash}}
    )
    reshaped.save(tmp_path / "reshaped.lca")
    change_avatar(avatar, reshaped, tmp_path / "reshaped.lca")
    assert len(splats(avatar)) == left


def test_what_is_painted_on_the_proxy_goes_and_comes_back(bound):
    """In a pose: everything above the chest at rest, whatever the weights fade to below it."""
    avatar, rig = bound
    whole, rest = splats(avatar), splats(avatar).means[:, 2]
    rig.pose.bones["head"].rotation_quaternion = (0.8, 0.3, 0.2, 0.5)
    choose(avatar)
    assert bpy.ops.lca.paint_to_erase() == {"FINISHED"}
    assert bpy.context.mode == "PAINT_WEIGHT"
    group, world = avatar.vertex_groups.active, avatar.matrix_world
    for vertex in avatar.data.vertices:
        height = (world @ vertex.co).z
        group.add([vertex.index], min(1.0, max(0.0, 0.5 + 2 * (height - 1.4))), "REPLACE")
    posed = splats(avatar)
    assert bpy.ops.lca.erase_painted() == {"FINISHED"}
    gone = ~torch.isin(posed.means[:, 0], splats(avatar).means[:, 0])
    assert gone[rest > 1.45].all()
    assert not gone[rest < 1.35].any()
    assert rest_of(posed, ~gone, splats(avatar))
    fails("is painted", bpy.ops.lca.erase_painted)
    bpy.ops.object.mode_set(mode="OBJECT")
    rig.pose.bones["head"].rotation_quaternion = (1, 0, 0, 0)
    bpy.ops.lca.restore_erased()
    assert rest_of(whole, slice(None), splats(avatar))


def test_paint_that_cannot_erase_is_one_sentence(avatar):
    choose(avatar)
    fails("has no vertex group", bpy.ops.lca.erase_painted)
    avatar.vertex_groups.new(name="LCA Erase")
    fails("No splat of “Avatar” is painted", bpy.ops.lca.erase_painted)
    avatar.vertex_groups[0].add(range(len(avatar.data.vertices)), 1.0, "REPLACE")
    fails("Nothing would be left", bpy.ops.lca.erase_painted)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: text[:70] + "!" + text[71:], lambda _: "?"]
)
def test_a_damaged_text_erases_nothing(avatar, damage):
    whole = len(splats(avatar))
    choose(avatar, empty(0.3, Matrix.Translation((0, 0, 1.5))))
    bpy.ops.lca.erase_splats()
    avatar.lca.erased = damage(avatar.lca.erased)
    assert len(splats(avatar)) == whole


def test_exported_without_what_was_erased(avatar, avatar_file, tmp_path):
    content = avatar_file.read_bytes()
    choose(avatar, empty(0.3, Matrix.Translation((0, 0, 1.5))))
    bpy.ops.lca.erase_splats()
    bpy.ops.lca.export_avatar(filepath=str(tmp_path / "tidy.lca"))
    left = splats(avatar)
    avatar.lca.filepath = str(tmp_path / "tidy.lca")
    assert rest_of(left, slice(None), splats(avatar))
    fails("read from", bpy.ops.lca.export_avatar, filepath=str(tmp_path / "tidy.lca"))
    fails("does not exist", bpy.ops.lca.export_avatar, filepath=str(tmp_path / "gone" / "tidy.lca"))
    assert avatar_file.read_bytes() == content


def test_what_cannot_erase_is_one_sentence(avatar):
    choose(avatar)
    fails("Nothing is selected to erase with", bpy.ops.lca.erase_splats)
    fails("no empty or mesh called", bpy.ops.lca.erase_splats, eraser="Camera")
    fails("no empty or mesh called", bpy.ops.lca.erase_splats, eraser=avatar.name)
    empty(0.1, Matrix.Translation((9, 0, 0))).name = "Far"
    fails("No splat of “Avatar” lies inside “Far”", bpy.ops.lca.erase_splats, eraser="Far")
    empty(9.0, Matrix()).name = "Huge"
    fails("Nothing would be left", bpy.ops.lca.erase_splats, eraser="Huge")
    empty(1.0, Matrix.Diagonal((1, 0, 1, 1))).name = "Flat"
    fails("scaled to nothing", bpy.ops.lca.erase_splats, eraser="Flat")
    bpy.ops.mesh.primitive_plane_add()
    choose(avatar, bpy.data.objects["Plane"])
    fails("“Plane” is not closed", bpy.ops.lca.erase_splats)
    assert not avatar.lca.erased


def test_points_inside_a_ball_with_a_hollow(scene):
    """Against the distance from its centre; modifiers count, and so does which way faces point."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24, location=(1, 2, 3))
    ball = bpy.context.object
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=1, radius=0.4, location=(1, 2, 3))
    hollow = bpy.context.object
    hollow.data.flip_normals()
    ball.select_set(True)
    bpy.context.view_layer.objects.active = ball
    bpy.ops.object.join()
    swollen = ball.modifiers.new("Swollen", "DISPLACE")
    swollen.strength, swollen.mid_level = 0.1, 0.0
    ball.scale = (-2, 2, 2)
    bpy.context.view_layer.update()
    away = np.random.default_rng(1).uniform(-2.4, 2.4, (4000, 3))
    apart, points = np.linalg.norm(away, axis=1), away + np.array((1, 2, 3))
    found = inside(ball, bpy.context.evaluated_depsgraph_get(), points)
    solid = (apart > 0.61) & (apart < 2.15)
    known = (apart < 0.45) | solid | (apart > 2.2)
    assert np.array_equal(found[known], solid[known])
    empty(2.0, Matrix.Translation((1, 2, 3)), "SPHERE")
    found = inside(bpy.data.objects["Eraser"], bpy.context.evaluated_depsgraph_get(), points)
    assert np.array_equal(found, apart <= 2)
