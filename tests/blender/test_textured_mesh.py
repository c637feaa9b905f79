# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Textured Mesh: an ordinary rigged mesh that Blender's exporters carry elsewhere."""

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from mathutils import Matrix
from refusals import fails
from scipy.spatial import cKDTree

from lca_blender.scene.avatar_object import create_avatar_object

FACES = 50193


def make(avatar, **options):
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.textured_mesh(size="1024", **options) == {"FINISHED"}
    return bpy.context.object


def points_of(obj):
    """Vertices [n,3] of an object as it is deformed now, world space."""
    bpy.context.view_layer.update()
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty(3 * len(evaluated.data.vertices), np.float32)
    evaluated.data.vertices.foreach_get("co", points)
    matrix = np.array(evaluated.matrix_world)
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def bend(rig, bone, angle=0.7):
    pose = rig.pose.bones[bone]
    pose.matrix_basis = Matrix.Rotation(angle, 4, "X") @ Matrix.Rotation(0.5 * angle, 4, "Z")


@pytest.fixture
def rigid(scene, rigid_avatar_file):
    """An avatar that plain skinning moves."""
    from lca_blender.backend.avatar import Avatar

    return create_avatar_object(bpy.context, Avatar.load(rigid_avatar_file), rigid_avatar_file)


def test_the_mesh_of_an_unbound_avatar_stands_where_it_stands(rigid):
    rigid.location = (1, 2, 0.5)
    rigid.rotation_euler = (0, 0, 0.3)
    obj = make(rigid)
    assert len(obj.data.vertices) == len(load_template().vertices)
    assert len(obj.data.polygons) == FACES
    assert obj.find_armature() == obj.parent
    assert {bone.name for bone in obj.parent.data.bones} == set(INDEX) == {g.name for g in obj.vertex_groups}
    away = cKDTree(points_of(obj)).query(splats(rigid))[0]
    assert np.percentile(away, 99) < 0.02  # the distance between vertices on the body
    assert rigid.hide_get()
    assert rigid.hide_render


def test_the_texture_is_packed_and_has_the_avatars_colours(rigid):
    obj = make(rigid)
    (material,) = obj.data.materials
    (image,) = (node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE")
    assert tuple(image.size) == (1024, 1024)
    assert image.packed_file is not None
    colors = np.array(image.pixels[:], np.float32).reshape(1024, 1024, 4)  # row 0 at the bottom
    uvs = np.empty(2 * len(obj.data.loops), np.float32)
    obj.data.uv_layers[0].uv.foreach_get("vector", uvs)
    assert 0 < uvs.min() < uvs.max() < 1
    vertex = np.empty(len(obj.data.loops), np.int32)
    obj.data.loops.foreach_get("vertex_index", vertex)
    column, row = (np.clip(uvs.reshape(-1, 2), 0, 0.999) * 1024).astype(int).T
    at = load_template().vertices[vertex]
    # the fixture's colours are waves, and its splats some centimetres wide
    wanted = 0.5 + 0.45 * np.sin(at * (7, 9, 11) + (0, 1, 2))
    skin = load_template().part[vertex] == 0
    assert np.median(np.abs(colors[row, column, :3] - wanted)[skin]) < 0.06


def test_the_texture_can_be_a_file(rigid, tmp_path, rigid_avatar_file):
    path = tmp_path / "ann.lca"
    path.write_bytes(rigid_avatar_file.read_bytes())
    rigid.lca.filepath = str(path)
    make(rigid, write=True, hide=False)
    assert (tmp_path / "ann_texture.png").stat().st_size > 10_000
    assert not rigid.hide_get()
    rigid.hide_set(False)
    make(rigid, write=True, hide=False)
    assert (tmp_path / "ann_texture_2.png").exists()


def test_shape_keys_follow_the_sliders_and_eyes_the_gaze(rigid):
    obj = make(rigid)
    keys = obj.data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *ARKIT_NAMES]
    before = points_of(obj)
    rigid.lca.expression.jawOpen = 1.0
    opened = points_of(obj) - before
    chin = load_template().skin_weights[:, 0] * (load_template().skin_indices[:, 0] == INDEX["jaw"]) > 0.9
    assert opened[chin, 2].mean() < -0.015
    rigid.lca.expression.jawOpen = 0.0
    rigid.lca.gaze = (0.4, 0.2)
    turned = points_of(obj)
    for side in (1, -1):
        eye = (load_template().part == 1) & (side * load_template().vertices[:, 0] > 0)
        middle = (before[eye].max(0) + before[eye].min(0)) / 2
        front = eye & (before[:, 1] < np.sort(before[eye, 1])[8])
        ahead = (turned[front] - middle).mean(0)
        ahead /= np.linalg.norm(ahead)
        wanted = (np.sin(0.4) * np.cos(0.2), -np.cos(0.4) * np.cos(0.2), np.sin(0.2))
        assert ahead == pytest.approx(wanted, abs=0.06)


def test_the_mesh_follows_the_rig_that_the_avatar_is_bound_to(metarig, rigid):
    metarig.scale = (1.1, 1.1, 1.1)
    metarig.location = (0.5, 0, 0)
    rigid.select_set(True)
    bpy.context.view_layer.objects.active = rigid
    assert bpy.ops.lca.bind_to_armature(armature=metarig.name) == {"FINISHED"}
    obj = make(rigid)
    assert obj.parent == metarig == obj.find_armature()
    assert {group.name for group in obj.vertex_groups} <= {bone.name for bone in metarig.data.bones}
    weights = np.array([sum(g.weight for g in v.groups) for v in obj.data.vertices])
    assert weights == pytest.approx(1, abs=1e-4)
    assert max(len(v.groups) for v in obj.data.vertices) <= 4
    for _ in range(2):
        away = cKDTree(points_of(obj)).query(splats(rigid))[0]
        assert np.median(away) < 0.01
        assert np.percentile(away, 98) < 0.03
        for bone in ("upper_arm.L", "thigh.R", "spine.006"):
            bend(metarig, bone, 0.5)


def test_what_fails_leaves_the_scene_as_it_was(rigid, tmp_path):
    rigid.lca.filepath = str(tmp_path / "gone.lca")
    fails("is missing", bpy.ops.lca.textured_mesh, size="1024")


@pytest.mark.parametrize("kind", ["glb", "fbx"])
def test_exporters_carry_it_to_other_programs(rigid, tmp_path, kind):
    rigid.lca.expression.mouthSmileLeft = 0.0
    obj = make(rigid)
    rig, name = obj.parent, obj.name
    keys = [key.name for key in obj.data.shape_keys.key_blocks]
    at_rest = points_of(obj)
    bend(rig, "forearm.L")
    wanted = points_of(obj)
    rig.pose.bones["forearm.L"].matrix_basis.identity()
    turn = Matrix(rig.pose.bones["forearm.L"].bone.matrix_local).to_3x3()
    bpy.context.view_layer.update()
    path = str(tmp_path / f"person.{kind}")
    obj.select_set(True)
    rig.select_set(True)
    if kind == "glb":
        bpy.ops.export_scene.gltf(filepath=path, use_selection=True)
    else:
        bpy.ops.export_scene.fbx(
            filepath=path, use_selection=True, add_leaf_bones=False, path_mode="COPY", embed_textures=True
        )
    bpy.ops.wm.read_factory_settings(use_empty=True)
    read = bpy.ops.import_scene.gltf if kind == "glb" else bpy.ops.import_scene.fbx
    read(filepath=path)
    (back,) = (
        o for o in bpy.data.objects if o.type == "MESH" and o.name.startswith(name[:6]) and o.find_armature()
    )
    assert [key.name for key in back.data.shape_keys.key_blocks] == keys
    assert len(back.data.polygons) == FACES
    tree = cKDTree(points_of(back))
    assert tree.query(at_rest)[0].max() < 1e-4  # glTF has a vertex for each corner of a seam
    if kind == "fbx":
        assert len(back.data.vertices) == len(at_rest)
    images = [image for image in bpy.data.images if image.size[0] == 1024]
    assert images
    armature = back.find_armature()
    bone = armature.pose.bones["forearm.L"]
    rotation = Matrix.Rotation(0.7, 4, "X") @ Matrix.Rotation(0.35, 4, "Z")
    own = (armature.matrix_world.to_3x3().normalized() @ bone.bone.matrix_local.to_3x3()).normalized()
    change = own.inverted() @ turn
    bone.matrix_basis = change.to_4x4() @ rotation @ change.inverted().to_4x4()
    assert cKDTree(points_of(back)).query(wanted)[0].max() < 0.001
