# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats and proxy are one body: whatever is applied, renamed, deleted or edited, they stay together."""

import bpy
import numpy as np
import pytest
from avatars import splats
from pictures import render, rgba

from lca_blender.scene.armature import rig_of
from lca_blender.scene.proxy_shape import not_followed
from lca_blender.scene.rest_pose import is_off_rig

SPLATS = slice(None, None, 7)


def proxy(avatar):
    """World places [n,3] of the proxy's vertices as Blender has them now."""
    bpy.context.view_layer.update()
    evaluated = avatar.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty((len(evaluated.data.vertices), 3), np.float32)
    evaluated.data.vertices.foreach_get("co", points.ravel())
    matrix = np.array(evaluated.matrix_world)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def only(obj):
    bpy.ops.object.select_all(action="DESELECT")
    obj.select_set(True)
    bpy.context.view_layer.objects.active = obj


class Pair:
    """Every splat with the proxy's vertex next to it; how far apart they are."""

    def __init__(self, avatar):
        self.avatar = avatar
        means, points = splats(avatar)[SPLATS], proxy(avatar)
        self.near = np.linalg.norm(means[:, None] - points[None], axis=2).argmin(1)
        self.apart = self.measured()

    def measured(self):
        """Distances in units of the proxy's size."""
        points = proxy(self.avatar)
        size = np.ptp(points, axis=0).max()
        return np.linalg.norm(splats(self.avatar)[SPLATS] - points[self.near], axis=1) / size

    def stays_together(self):
        apart = np.abs(self.measured() - self.apart)
        assert np.quantile(apart, 0.99) < 0.02
        assert apart.max() < 0.06  # at bends, where neighbours follow different bones


def pose(rig):
    for name, turn in (("upper_arm.L", (0.8, 0, 0, 0.6)), ("shin.R", (0.9, 0.4, 0, 0))):
        rig.pose.bones[name].rotation_quaternion = turn


@pytest.fixture
def rigid(bound, rigid_avatar_file):
    """(avatar without pose detail, its armature, turned and scaled)."""
    avatar, rig = bound
    avatar.lca.filepath = str(rigid_avatar_file)
    rig.scale, rig.rotation_euler, rig.location = (1.5, 1.5, 1.5), (0, 0, 0.7), (1, 0, 0)
    return avatar, rig


@pytest.mark.parametrize("scale", [(1.5, 1.5, 1.5), (0.01, 0.01, 0.01), (-1, 1, 1), (1, 1, 2)])
def test_applied_transforms_of_an_unbound_avatar(avatar, scale):
    avatar.scale, avatar.rotation_euler, avatar.location = scale, (0.2, 0, 1), (1, 0, 0)
    pair, before = Pair(avatar), splats(avatar)
    only(avatar)
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    pair.stays_together()
    assert splats(avatar) == pytest.approx(before, abs=1e-4)
    bpy.ops.object.origin_set(type="ORIGIN_GEOMETRY", center="BOUNDS")
    pair.stays_together()
    avatar.scale = (2, 2, 2)
    pair.stays_together()


def test_a_sculpted_proxy_is_still_followed_as_a_whole(avatar):
    before = splats(avatar)
    for vertex in avatar.data.vertices[:400]:
        vertex.co.y += 0.3
    assert splats(avatar) == pytest.approx(before, abs=1e-4)
    avatar.scale = (2, 2, 2)
    only(avatar)
    bpy.ops.object.transform_apply()
    assert splats(avatar) == pytest.approx(2 * before, abs=1e-3)


def test_applied_transforms_of_the_rig_and_of_what_hangs_on_it(rigid):
    avatar, rig = rigid
    pose(rig)
    pair, before = Pair(avatar), splats(avatar)
    for obj in (rig, avatar):
        only(obj)
        bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
        pair.stays_together()
        assert splats(avatar) == pytest.approx(before, abs=1e-3)
    rig.pose.bones["forearm.L"].rotation_quaternion = (0.9, 0.4, 0, 0)
    pair.stays_together()


@pytest.mark.parametrize("swap", [False, True])
def test_renamed_bones(rigid, swap):
    avatar, rig = rigid
    pose(rig)
    before, groups = splats(avatar), len(avatar.vertex_groups)
    bones = rig.data.bones
    if swap:  # as Flip Names does
        bones["upper_arm.L"].name = "held"
        bones["upper_arm.R"].name = "upper_arm.L"
        bones["held"].name = "upper_arm.R"
    else:
        for bone in bones:
            bone.name = f"x_{bone.name}"
    assert splats(avatar) == pytest.approx(before, abs=1e-5)
    kept = {pair.joint: pair.bone for pair in avatar.lca.bone_map}
    assert kept["upper_arm.L"] == ("upper_arm.R" if swap else "x_upper_arm.L")
    only(avatar)
    bpy.ops.lca.apply_bone_map()
    assert {pair.joint: pair.bone for pair in avatar.lca.bone_map} == kept
    assert len(avatar.vertex_groups) == groups
    assert splats(avatar) == pytest.approx(before, abs=1e-3)


def test_a_bone_renamed_and_others_added_and_removed(rigid):
    avatar, rig = rigid
    pose(rig)
    before = splats(avatar)
    only(rig)
    bpy.ops.object.mode_set(mode="EDIT")
    bones = rig.data.edit_bones
    bones["upper_arm.L"].name = "Arm"
    bones.new("a prop").tail = (0, 0, 1)
    bones.remove(bones["pinky3.R"])
    bpy.ops.object.mode_set(mode="OBJECT")
    assert np.abs(splats(avatar) - before).max() < 0.01


@pytest.mark.parametrize("by_script", [True, False])
def test_a_deleted_rig(rigid, by_script):
    avatar, rig = rigid
    pair = Pair(avatar)
    pose(rig)
    if by_script:
        bpy.data.objects.remove(rig)
    else:
        only(rig)
        bpy.ops.object.delete()
    pair.stays_together()
    only(avatar)
    assert bpy.ops.lca.unbind() == {"FINISHED"}
    pair.stays_together()
    assert not avatar.lca.bone_map
    assert not bpy.ops.lca.unbind.poll()


def test_a_pose_applied_as_rest_and_edited_bones(rigid):
    avatar, rig = rigid
    pair = Pair(avatar)
    pose(rig)
    only(rig)
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.armature_apply()
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in rig.data.edit_bones:
        bone.head, bone.tail = bone.head * 1.2, bone.tail * 1.2
    bpy.ops.object.mode_set(mode="OBJECT")
    pair.stays_together()
    rig.pose.bones["thigh.L"].rotation_quaternion = (0.9, 0.4, 0, 0)
    pair.stays_together()


def test_copies_and_saved_files_know_their_rest_pose(rigid, tmp_path):
    avatar, rig = rigid
    only(rig)
    bpy.ops.object.transform_apply()
    only(avatar)
    bpy.ops.object.duplicate()
    Pair(bpy.context.object)
    expected = splats(avatar)
    assert splats(bpy.context.object) == pytest.approx(expected, abs=1e-5)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "film.blend"))
    assert splats(bpy.data.objects["Avatar"]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("what", ["object", "rig", "bones"])
def test_what_is_scaled_to_nothing_is_not_seen(bound, what, tmp_path):
    avatar, rig = bound
    bpy.context.scene.render.film_transparent = True
    assert rgba(render(bpy.context.scene, tmp_path / "seen.exr"))[..., 3].max() > 0.9
    if what == "bones":
        for bone in rig.pose.bones:
            bone.scale = (0, 0, 0)
    else:
        {"object": avatar, "rig": rig}[what].scale = (0, 0, 0)
    assert rgba(render(bpy.context.scene, tmp_path / "seen.exr"))[..., 3].max() == 0


def moved_by(pair, change):
    """How far the proxy and the splats move, metres, at most; they stay together."""
    mesh, means = proxy(pair.avatar), splats(pair.avatar)
    change()
    pair.stays_together()
    return np.abs(proxy(pair.avatar) - mesh).max(), np.abs(splats(pair.avatar) - means).max()


def test_bendy_bones(rigid):
    avatar, rig = rigid
    pose(rig)
    for name in ("forearm.L", "spine2"):
        rig.data.bones[name].bbone_segments = 8
    pair = Pair(avatar)

    def bend():
        for name in ("forearm.L", "spine2"):
            rig.pose.bones[name].bbone_curveinz = rig.pose.bones[name].bbone_curveoutz = 0.2

    mesh, means = moved_by(pair, bend)
    assert mesh > 0.1
    assert means == pytest.approx(mesh, rel=0.2)


@pytest.mark.parametrize("is_bound", [False, True])
@pytest.mark.parametrize("what", ["shape key", "lattice", "twist"])
def test_shape_keys_and_modifiers(avatar, bound, is_bound, what, rigid_avatar_file):
    avatar.lca.filepath = str(rigid_avatar_file)
    if is_bound:
        pose(bound[1])
    else:
        only(avatar)
        bpy.ops.lca.unbind()
        avatar.scale = (1.5, 1.5, 1.5)
        bpy.ops.object.transform_apply()
    pair = Pair(avatar)

    def change():
        if what == "shape key":
            avatar.shape_key_add(name="Basis")
            key = avatar.shape_key_add(name="Fat")
            for point in key.data:
                point.co.x *= 1.4
            key.value = 1.0
        elif what == "lattice":
            lattice = bpy.data.objects.new("Lattice", bpy.data.lattices.new("Lattice"))
            bpy.context.collection.objects.link(lattice)
            lattice.scale, lattice.location = (4, 4, 4), (0, 0, 1)
            avatar.modifiers.new("Lattice", "LATTICE").object = lattice
            for point in lattice.data.points[4:]:
                point.co_deform.x += 0.1
        else:
            modifier = avatar.modifiers.new("Twist", "SIMPLE_DEFORM")
            modifier.deform_method, modifier.deform_axis, modifier.angle = "TWIST", "Z", 1.0

    mesh, means = moved_by(pair, change)
    assert mesh > 0.1
    assert means == pytest.approx(mesh, rel=0.2)


def test_what_makes_another_mesh_is_not_followed_and_said(avatar):
    before = splats(avatar)
    avatar.modifiers.new("Smoother", "SUBSURF")
    assert splats(avatar) == pytest.approx(before, abs=0)
    assert not_followed(avatar) == ["Smoother"]


def test_what_lies_beside_its_rig_is_said(rigid):
    avatar, rig = rigid
    pose(rig)
    bpy.context.view_layer.update()
    assert not is_off_rig(avatar, rig_of(rig))
    for obj in (rig, avatar):
        only(obj)
        bpy.ops.object.transform_apply()
        assert not is_off_rig(avatar, rig_of(rig))
    avatar.location.x += 1
    bpy.context.view_layer.update()
    assert is_off_rig(avatar, rig_of(rig))
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    bpy.context.view_layer.update()
    assert not is_off_rig(avatar, rig_of(rig))
    only(rig)
    rig.pose.bones["spine1"].rotation_quaternion = (0.8, 0.6, 0, 0)
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.armature_apply()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert is_off_rig(avatar, rig_of(rig))
