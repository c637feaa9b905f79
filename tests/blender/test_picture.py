# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own arithmetic, without a scene: colours, backgrounds, viewport decisions."""

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.gaussians import Gaussians
from mathutils import Color

from lca_blender.engine import picture, viewport
from lca_blender.scene import colour
from lca_blender.scene.camera import viewport_camera
from lca_blender.scene.world import background_color


def test_srgb_is_blenders():
    values = np.linspace(0, 1, 50)
    expected = [Color((v, v, v)).from_srgb_to_scene_linear().r for v in values]
    ours = colour.srgb_to_linear(torch.tensor(values, dtype=torch.float32))
    assert ours.numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_working_spaces_keep_grey_and_agree_with_blender(scene):
    for matrix in colour.WORKING_SPACES.values():
        assert torch.tensor(matrix).sum(1).numpy() == pytest.approx(1, abs=1e-4)
    if not hasattr(bpy.data, "colorspace"):  # before Blender 5 there is one working space
        assert bpy.app.version < (5, 0, 0)
        return
    for name in ("Linear Rec.2020", "ACEScg", "Linear Rec.709"):
        bpy.ops.wm.set_working_color_space(working_space=name, convert_colors=False)
        for row in ((0.5, 0.5, 0.5), (0.8, 0.2, 0.1)):
            expected = Color(row).from_srgb_to_scene_linear()
            assert colour.scene_linear(torch.tensor(row)).numpy() == pytest.approx(expected[:], abs=2e-4)


def test_the_world_is_the_background(scene):
    assert background_color(scene) == (0, 0, 0)
    scene.world = bpy.data.worlds.new("World")
    if scene.world.node_tree is None:
        scene.world.color = (0.1, 0.2, 0.3)
        assert background_color(scene) == pytest.approx((0.1, 0.2, 0.3))
        scene.world.use_nodes = True
    node = next(n for n in scene.world.node_tree.nodes if n.type == "BACKGROUND")
    node.inputs["Color"].default_value = (0.5, 0.25, 0.1, 1)
    node.inputs["Strength"].default_value = 2
    assert background_color(scene) == pytest.approx((1.0, 0.5, 0.2))
    scene.world.node_tree.nodes.clear()
    scene.world.color = (0.4, 0.4, 0.4)
    assert background_color(scene) == pytest.approx((0.4, 0.4, 0.4))


def one_splat(depth=2.0, color=(1.0, 0.5, 0.25), opacity=0.5):
    return Gaussians(
        torch.tensor([[0.0, 0.0, -depth]]),
        0.04 * torch.eye(3)[None],
        torch.tensor([opacity]),
        torch.tensor([color]),
        linear=True,
    )


def straight_ahead(size=32):
    projection = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, -1.002, -0.2002], [0, 0, -1, 0]])
    return viewport_camera(np.eye(4), projection, size, size)


def test_passes_of_one_splat(scene):
    scene.render.film_transparent = True
    made = picture.paint(one_splat(), straight_ahead(), list(picture.PASSES), scene)
    combined, alpha, depth = made["Combined"], made["Alpha"], made["Depth"]
    centre = combined[16, 16]
    variance = (0.2 * 32 / 2) ** 2 + 0.3  # pixels: sigma * f / z, and the rasteriser's dilation
    assert centre[3] == pytest.approx(0.5 * np.exp(-(0.5**2 + 0.5**2) / (2 * variance)), abs=1e-4)
    assert centre[:3] / centre[3] == pytest.approx([1.0, 0.5, 0.25], abs=1e-3)
    assert alpha[..., 0] == pytest.approx(combined[..., 3])
    assert depth[16, 16, 0] == pytest.approx(2.0, abs=1e-3)
    assert depth[0, 0, 0] == pytest.approx(1e10)
    assert made["Normal"].shape == (32, 32, 3)


def test_an_opaque_film_shows_the_world_behind(scene):
    scene.world = bpy.data.worlds.new("World")
    if scene.world.node_tree is not None:
        scene.world.node_tree.nodes.clear()
    scene.world.color = (0.2, 0.2, 0.2)
    combined = picture.paint(one_splat(), straight_ahead(), ["Combined"], scene)["Combined"]
    assert combined[..., 3] == pytest.approx(1)
    assert combined[0, 0, :3] == pytest.approx(0.2)
    assert combined[16, 16, :3] == pytest.approx([0.6, 0.35, 0.225], abs=0.01)
    empty = picture.paint(None, straight_ahead(), ["Combined"], scene)["Combined"]
    assert empty[..., :3] == pytest.approx(0.2)


def test_the_viewport_is_coarse_only_while_things_move_and_only_on_slow_machines():
    view = viewport.View()
    assert view.wanted_scale("a", "AUTO", now=0.0) == 1.0  # nothing known yet: full
    view.key, view.full_seconds = "a", 0.1
    assert view.wanted_scale("b", "AUTO", now=1.0) == 0.5
    view.key = "b"
    assert view.wanted_scale("b", "AUTO", now=1.1) == 0.5
    assert view.wanted_scale("b", "AUTO", now=1.3) == 1.0
    assert view.wanted_scale("c", "FULL", now=2.0) == 1.0
    view.full_seconds = 0.001
    assert view.wanted_scale("c", "AUTO", now=3.0) == 1.0
    assert view.wanted_scale("c", "HALF", now=4.0) == 0.5


def test_the_picture_key_follows_everything_that_is_seen(scene):
    view, matrices = viewport.View(), (np.eye(4), np.eye(4))
    splats = [one_splat()]
    view.set_content(splats)
    base = view.picture_key(matrices, (10, 10), scene)
    view.set_content(list(splats))
    assert view.picture_key(matrices, (10, 10), scene) == base
    moved = np.eye(4)
    moved[0, 3] = 1e-6
    assert view.picture_key((moved, matrices[1]), (10, 10), scene) != base
    assert view.picture_key(matrices, (11, 10), scene) != base
    scene.render.film_transparent = True
    assert view.picture_key(matrices, (10, 10), scene) != base
    scene.render.film_transparent = False
    view.set_content([one_splat(depth=2.0001)])
    assert view.picture_key(matrices, (10, 10), scene) != base
    view.set_content([])
    assert view.splats is None


def test_unchanged_avatars_are_not_evaluated_again(avatar):
    graph = bpy.context.evaluated_depsgraph_get()
    first, again = picture.gather(graph), picture.gather(graph)
    assert first[0] is again[0]
    avatar.lca.expression.jawOpen = 1.0
    bpy.context.view_layer.update()
    assert picture.gather(bpy.context.evaluated_depsgraph_get())[0] is not first[0]
