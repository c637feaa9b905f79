# SPDX-License-Identifier: GPL-3.0-or-later
"""What other engines show of an avatar: its proxy, in the person's shape and colours."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.mesh import vertex_normals
from lca_blender.backend.body.template import load_template
from lca_blender.backend.proxy import person_surface
from pictures import render, rgba
from scipy.spatial import cKDTree

import lca_blender
from lca_blender.scene.avatar_object import change_avatar, create_avatar_object, proxy_body
from lca_blender.scene.proxy_look import NOTE


@pytest.fixture(scope="module")
def plain(rigid_avatar_file):
    return Avatar.load(rigid_avatar_file)


def swollen(avatar, by):
    """The avatar with its Gaussians moved outwards by `by` metres."""
    template = load_template()
    normals = template.normals[cKDTree(template.vertices).query(avatar.means.numpy())[1]] * by
    return replace(avatar, means=avatar.means.numpy() + normals, offsets=avatar.offsets.numpy() + normals)


def test_the_surface_is_where_the_gaussians_are(plain):
    vertices, faces, _, _ = proxy_body()
    away = np.linalg.norm(person_surface(plain, vertices, faces).points - vertices, axis=1)
    assert np.percentile(away, 95) < 0.003
    moved = swollen(plain, 0.03)
    points = person_surface(moved, vertices, faces).points
    near = cKDTree(points).query(moved.means.numpy())[1]
    away = ((moved.means.numpy() - points[near]) * vertex_normals(points, faces)[near]).sum(1)
    assert np.percentile(away, (5, 50, 95)) == pytest.approx(0, abs=0.012)
    assert abs(np.median(away)) < 0.003


def test_the_colours_are_those_of_the_gaussians_nearby(plain):
    vertices, faces, _, _ = proxy_body()
    colors = person_surface(plain, vertices, faces).colors
    near = cKDTree(plain.means.numpy()).query(vertices)[1]
    assert np.median(np.abs(colors - plain.colors.float().numpy()[near])) < 0.05


def test_cycles_shows_the_colours_in_white_light(scene, avatar, plain, tmp_path):
    """Light of radiance 1 from everywhere: a convex matte body has the colour of its albedo."""
    scene.world = bpy.data.worlds.new("World")
    if scene.world.node_tree is None:
        scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    red = replace(plain, colors=np.tile((1.0, 0.2, 0.2), (len(plain), 1)))
    change_avatar(avatar, red, "red.lca")
    avatar.data.materials[0].node_tree.nodes["Principled BSDF"].inputs["Specular IOR Level"].default_value = 0
    scene.render.engine, scene.cycles.samples = "CYCLES", 4
    chest = rgba(render(scene, tmp_path / "a.exr"))[45:60, 44:52, :3].mean((0, 1))
    assert chest[0] == pytest.approx(1.0, abs=0.08)
    assert chest[1:] == pytest.approx(0.0331, abs=0.02)  # of sRGB 0.2
    assert avatar.color[0] == pytest.approx(1.0, abs=0.01)


def test_a_machine_without_the_extension_renders_pink(scene, avatar, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    lca_blender.unregister()
    try:
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
        scene = bpy.context.scene
        scene.render.engine, scene.cycles.samples = "CYCLES", 1
        found = rgba(render(scene, tmp_path / "a.exr"))
        assert "not installed" in bpy.data.objects["Avatar"][NOTE]
    finally:
        lca_blender.register()
    red, green, blue, _ = np.moveaxis(found, -1, 0)
    pink = (red > 0.9) & (green < 0.01) & (blue > 0.3)
    assert pink[44:60, 43:53].all()  # the chest


def test_binding_and_unbinding_keep_the_person(scene, bound, plain):
    from lca_blender.scene.avatar_object import unbind_proxy

    avatar, _rig = bound
    fat = create_avatar_object(bpy.context, swollen(plain, 0.03), "fat.lca")
    before = np.array([v.co for v in fat.data.vertices])
    assert np.abs(before - [v.co for v in avatar.data.vertices]).max() > 0.02
    change_avatar(avatar, swollen(plain, 0.03), "fat.lca")
    unbind_proxy(avatar)
    assert np.array([v.co for v in avatar.data.vertices]) == pytest.approx(before, abs=1e-5)
