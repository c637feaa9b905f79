# SPDX-License-Identifier: GPL-3.0-or-later
"""Visibility of avatars by Blender's own switches, and by that of the proxy."""

import bpy
import numpy as np
import pytest
from pictures import render, rgba, world


@pytest.fixture
def layer(scene, avatar):
    """The layer collection that holds the avatar, on a transparent film."""
    scene.render.film_transparent = True
    collection = bpy.data.collections.new("People")
    scene.collection.children.link(collection)
    collection.objects.link(avatar)
    scene.collection.objects.unlink(avatar)
    return bpy.context.view_layer.layer_collection.children["People"]


@pytest.fixture
def picture(scene, tmp_path):
    return lambda: rgba(render(scene, tmp_path / "a.exr"))


@pytest.mark.parametrize("switch", ["visible_camera", "is_holdout", "holdout", "indirect_only", "instance"])
def test_switches_that_take_an_avatar_out_of_the_picture(avatar, layer, picture, switch):
    before = picture()
    assert before[..., 3].max() > 0.9
    if switch == "instance":
        empty = bpy.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", layer.collection
        bpy.context.scene.collection.objects.link(empty)
        layer.exclude = True
        assert np.array_equal(picture(), before)
        empty.is_holdout = True
    elif switch == "visible_camera":
        avatar.visible_camera = False
    else:
        setattr(avatar if switch == "is_holdout" else layer, switch, True)
    assert not picture().any()


def test_the_proxy_can_be_hidden_from_other_engines_alone(scene, avatar, layer, picture):
    before = picture()
    avatar.lca.hide_proxy = True
    assert not avatar.visible_camera
    assert np.array_equal(picture(), before)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    assert not picture().any()
    avatar.lca.hide_proxy = False
    assert picture().any()


def test_a_holdout_hides_what_is_behind_it(scene, avatar, layer, picture):
    """Another avatar one metre behind: the two together less what the holdout covers."""
    other = avatar.copy()
    layer.collection.objects.link(other)
    other.location = (0.25, 1, 0)
    both = picture()
    other.hide_render = True
    front = picture()
    other.hide_render, avatar.is_holdout = False, True
    seen = picture()
    assert seen[..., 3].max() > 0.9
    assert seen[..., 3] + front[..., 3] == pytest.approx(both[..., 3], abs=2e-3)
    assert seen[..., :3] + front[..., :3] == pytest.approx(both[..., :3], abs=2e-3)
    scene.render.film_transparent = False
    world(scene, (0.25, 0.5, 0.75))
    opaque = picture()
    through = 1 - both[..., 3:]
    assert opaque[..., :3] == pytest.approx(seen[..., :3] + through * (0.25, 0.5, 0.75), abs=2e-3)
    assert opaque[..., 3] == pytest.approx(1 - front[..., 3], abs=2e-3)


def test_a_holdout_on_an_opaque_film_is_as_in_cycles(scene, avatar, picture):
    """The middle of the body, and a corner: the hole of a mesh that Cycles holds out."""
    avatar.is_holdout = True
    world(scene, (0.25, 0.5, 0.75))
    ours = picture()
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    cycles = picture()
    for row, column in ((64, 48), (2, 2)):
        assert ours[row, column] == pytest.approx(cycles[row, column], abs=0.01)
