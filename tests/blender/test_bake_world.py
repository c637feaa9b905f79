# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake World: worlds of any nodes light avatars as Cycles sees them."""

import math

import bpy
import numpy as np
import pytest

from lca_blender.scene.lights import light_remarks
from lca_blender.scene.world_light import world_light


def nodes_of(scene):
    scene.world = bpy.data.worlds.new("W")
    if bpy.app.version < (5, 0, 0):
        scene.world.use_nodes = True
    tree = scene.world.node_tree
    return tree, next(n for n in tree.nodes if n.type == "BACKGROUND")


def all_data():
    return [sorted(d.name for d in kind) for kind in (bpy.data.scenes, bpy.data.worlds, bpy.data.cameras)]


def test_a_picture_behind_other_nodes_is_baked_as_it_stands(scene):
    tree, background = nodes_of(scene)
    random = np.random.default_rng(0).uniform(0, 2, (4, 8, 3)).astype(np.float32)
    pixels = random.repeat(16, 0).repeat(16, 1)
    image = bpy.data.images.new("Sky", 128, 64, float_buffer=True)
    image.pixels.foreach_set(np.pad(pixels[::-1], ((0, 0), (0, 0), (0, 1)), constant_values=1).ravel())
    picture, gamma = tree.nodes.new("ShaderNodeTexEnvironment"), tree.nodes.new("ShaderNodeGamma")
    picture.image, gamma.inputs["Gamma"].default_value = image, 1.0
    tree.links.new(picture.outputs["Color"], gamma.inputs["Color"])
    tree.links.new(gamma.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 2.0
    assert any("Bake the world" in line for line in light_remarks(scene))
    before, engine = all_data(), scene.render.engine
    for _ in range(2):  # the second replaces the first
        assert bpy.ops.lca.bake_world() == {"FINISHED"}
    assert all_data() == before
    assert (scene.render.engine, bpy.context.scene) == (engine, scene)
    assert sum("baked" in one.name for one in bpy.data.images) == 1
    found = world_light(scene)
    assert found.radiance == (1, 1, 1)
    # Directions to the middles of the picture's 4 x 8 fields, by Blender's equirectangular projection.
    up, turn = (
        (1 - 2 * (np.arange(4) + 0.5) / 4) * math.pi / 2,
        (0.5 - (np.arange(8) + 0.5) / 8) * 2 * math.pi,
    )
    up, turn = up[:, None], turn[None]
    directions = np.stack([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up) + 0 * turn], -1)
    seen = found.environment.radiance(directions.reshape(-1, 3))
    assert seen == pytest.approx(2 * random.reshape(-1, 3), rel=0.02, abs=0.01)


def test_a_sky_texture_has_its_sun_where_it_stands(scene):
    tree, background = nodes_of(scene)
    sky = tree.nodes.new("ShaderNodeTexSky")
    sky.sun_elevation, sky.sun_size = 0.6, math.radians(3)
    tree.links.new(sky.outputs["Color"], background.inputs["Color"])
    bpy.ops.lca.bake_world()
    environment = world_light(scene).environment
    bright, _, weights = environment.directional()
    weights = weights.sum(1)
    assert math.asin(bright[weights.argmax(), 2]) == pytest.approx(0.6, abs=0.06)
    assert weights[bright[:, 2] > 0].sum() > 5 * weights[bright[:, 2] < -0.1].sum()
    assert any("baked" in line for line in light_remarks(scene))


def test_without_a_world_nothing_is_baked(scene):
    scene.world = None
    with pytest.raises(RuntimeError, match="no world"):
        bpy.ops.lca.bake_world()
