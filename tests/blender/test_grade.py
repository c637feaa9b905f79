# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's own exposure, tint, saturation and sharpness."""

import bpy
import numpy as np
import pytest
from pictures import render, rgba, world

from lca_blender.scene.evaluate import evaluate


@pytest.fixture
def picture(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    return lambda: rgba(render(scene, tmp_path / "a.exr"))


def test_exposure_and_tint_multiply_scene_linear_colours(avatar, picture):
    before = picture()
    avatar.lca.exposure, avatar.lca.tint = -1.0, (1.0, 0.5, 0.25)
    factors = np.array([0.5, 0.25, 0.125, 1.0])
    assert picture() == pytest.approx(before * factors, abs=1e-3)


def test_saturation_keeps_the_luminance(avatar, picture):
    before = picture()
    avatar.lca.saturation = 0.0
    grey = picture()
    assert np.ptp(grey[..., :3], axis=-1).max() < 2e-3
    assert grey[..., 1] == pytest.approx(before[..., :3] @ (0.2126, 0.7152, 0.0722), abs=2e-3)


def test_the_scenes_light_is_graded_too(scene, avatar, picture):
    world(scene, (0.5, 0.5, 0.5))
    avatar.lca.lit_by = "SCENE"
    before = picture()
    avatar.lca.exposure = 1.0
    assert picture()[..., :3] == pytest.approx(before[..., :3] * 2, abs=2e-3)


def test_sharpness_halves_the_area_of_splats(scene, avatar):
    def sizes():
        bpy.context.view_layer.update()
        return evaluate(avatar, bpy.context.evaluated_depsgraph_get()).covariances

    before = sizes()
    avatar.lca.sharpness = 1.0
    assert sizes().numpy() == pytest.approx(before.numpy() / 2)
    avatar.lca.sharpness = 0.0
    assert sizes() is before  # the 3D view draws again only what changes


def test_photo_colours_are_kept_by_the_button(scene, avatar):
    scene.view_settings.view_transform = "AgX"
    assert bpy.ops.lca.keep_photo_colours() == {"FINISHED"}
    assert scene.view_settings.view_transform == "Standard"
    assert not bpy.ops.lca.keep_photo_colours.poll()
