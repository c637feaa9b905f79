# SPDX-License-Identifier: GPL-3.0-or-later
"""Show What Was Seen: a colour code in the 3D view, which nothing else sees."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.avatar import Avatar
from pictures import render, rgba
from refusals import fails

from lca_blender.engine.picture import gather
from lca_blender.scene.avatar_object import change_avatar


def depsgraph():
    return bpy.context.evaluated_depsgraph_get()


@pytest.fixture
def half_seen(avatar, avatar_file, tmp_path):
    """Which Gaussians [N] photos show: the left half, of the one avatar in the scene."""
    loaded = Avatar.load(avatar_file)
    seen = loaded.means[:, 0] > 0
    path = tmp_path / "half.lca"
    replace(loaded, confidence=seen * 255).save(path)
    change_avatar(avatar, Avatar.load(path), path)
    return seen


def test_what_no_photo_shows_is_orange_in_the_view_and_nowhere_else(half_seen, tmp_path):
    seen = half_seen
    before = gather(depsgraph(), show_seen=True)[0]
    scene = bpy.context.scene
    frame, file = rgba(render(scene, tmp_path / "a.exr")), (tmp_path / "half.lca").read_bytes()
    assert bpy.ops.lca.show_seen() == {"FINISHED"}
    coded = gather(depsgraph(), show_seen=True)[0]
    red, green, blue = coded.colors.T.numpy()
    assert np.ptp(coded.colors[seen].numpy(), axis=1).max() < 1e-6
    assert (red > 2 * green)[~seen].all()
    assert np.ptp(blue[~seen]) == 0
    assert torch.equal(coded.means, before.means)
    assert gather(depsgraph(), show_seen=True)[0] is coded  # kept: the view uploads nothing again
    assert torch.equal(gather(depsgraph())[0].colors, before.colors)
    assert np.array_equal(rgba(render(scene, tmp_path / "b.exr")), frame)
    assert (tmp_path / "half.lca").read_bytes() == file
    bpy.ops.lca.show_seen()
    assert torch.equal(gather(depsgraph(), show_seen=True)[0].colors, before.colors)


def test_an_avatar_that_does_not_know_says_so(avatar):
    before = gather(depsgraph(), show_seen=True)[0]
    fails("does not know what its photos showed", bpy.ops.lca.show_seen)
    assert not avatar.lca.show_seen
    avatar.lca.show_seen = True  # as after another file was chosen
    bpy.context.view_layer.update()
    assert torch.equal(gather(depsgraph(), show_seen=True)[0].colors, before.colors)
    assert bpy.ops.lca.show_seen() == {"FINISHED"}
    assert not avatar.lca.show_seen
