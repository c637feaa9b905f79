# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras against Blender's own: `world_to_camera_view` and `calc_matrix_camera`."""

import random

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from lca_blender.backend.errors import UserError
from mathutils import Euler, Matrix, Vector

from lca_blender.scene.camera import Frame, render_camera, viewport_camera


def project(camera, points):
    """Pixels [n,2] of world points by the backend camera's own matrices."""
    viewmat, K = camera.viewmat, camera.K
    local = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    if not camera.orthographic:
        local = local / local[:, 2:]
    return local[:, :2] * (K[0, 0], K[1, 1]) + (K[0, 2], K[1, 2])


def randomise(camera, render, rng):
    data = camera.data
    data.type = rng.choice(["PERSP", "PERSP", "ORTHO"])
    data.sensor_fit = rng.choice(["AUTO", "HORIZONTAL", "VERTICAL"])
    data.lens, data.ortho_scale = rng.uniform(15, 120), rng.uniform(1, 8)
    data.sensor_width, data.sensor_height = rng.uniform(10, 50), rng.uniform(10, 50)
    data.shift_x, data.shift_y = rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4)
    camera.location = [rng.uniform(-3, 3) for _ in range(3)]
    camera.rotation_euler = [rng.uniform(-3, 3) for _ in range(3)]
    camera.scale = [rng.choice([1.0, 0.5, 3.0])] * 3
    render.resolution_x, render.resolution_y = rng.randint(40, 900), rng.randint(40, 900)
    render.pixel_aspect_x, render.pixel_aspect_y = rng.choice([(1, 1), (1, 1.5), (2, 1)])
    render.use_border = rng.random() < 0.5
    render.border_min_x, render.border_max_x = sorted(rng.uniform(0, 1) for _ in range(2))
    render.border_min_y, render.border_max_y = sorted(rng.uniform(0, 1) for _ in range(2))
    bpy.context.view_layer.update()


def points_before(camera, rng):
    local = [Vector((rng.uniform(-1, 1), rng.uniform(-1, 1), -rng.uniform(2, 6))) for _ in range(20)]
    return [camera.matrix_world.normalized() @ point for point in local]


@pytest.mark.parametrize("seed", range(40))
def test_pixels_agree_with_world_to_camera_view(scene, seed):
    rng = random.Random(seed)
    camera, render = scene.camera, scene.render
    randomise(camera, render, rng)
    frame = Frame.of(render)
    points = points_before(camera, rng)
    expected = np.array([world_to_camera_view(scene, camera, point)[:2] for point in points])
    expected = expected * (frame.width, frame.height)
    expected = np.c_[expected[:, 0] - frame.x0, frame.y1 - expected[:, 1]]
    ours = render_camera(camera, render)
    assert (ours.width, ours.height) == (frame.x1 - frame.x0, frame.y1 - frame.y0)
    assert project(ours, np.array(points)) == pytest.approx(expected, rel=2e-5, abs=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_a_viewport_that_looks_through_the_camera_is_the_camera(scene, seed):
    rng = random.Random(seed)
    camera, render = scene.camera, scene.render
    randomise(camera, render, rng)
    render.use_border = False
    width, height = Frame.of(render)[:2]
    depsgraph = bpy.context.evaluated_depsgraph_get()
    aspect = {"scale_x": render.pixel_aspect_x, "scale_y": render.pixel_aspect_y}
    projection = camera.calc_matrix_camera(depsgraph, x=width, y=height, **aspect)
    view = camera.matrix_world.normalized().inverted()
    through = viewport_camera(np.array(view), np.array(projection), width, height)
    points = np.array(points_before(camera, rng))
    assert through.orthographic == (camera.data.type == "ORTHO")
    assert through.near == pytest.approx(camera.data.clip_start, rel=1e-3)
    expected = project(render_camera(camera, render), points)
    assert project(through, points) == pytest.approx(expected, rel=2e-5, abs=0.02)


def test_a_parallel_viewport_sees_behind_its_own_place():
    projection = np.diag([0.5, 0.5, -0.01, 1.0])  # from -100 m to 100 m, as Blender's parallel views are
    camera = viewport_camera(np.eye(4), projection, 100, 50)
    assert camera.orthographic
    assert camera.near == pytest.approx(-100)


def test_percentage_truncates_as_blender_does(scene):
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 101, 77, 33
    assert Frame.of(render)[:2] == (33, 25)


def test_a_camera_with_parents_and_rotation(scene):
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    parent.matrix_world = Matrix.LocRotScale((1, 2, 3), Euler((0.3, 0.2, 0.1)), (1, 1, 1))
    scene.camera.parent = parent
    bpy.context.view_layer.update()
    inside = scene.camera.matrix_world @ Vector((0, 0, -2))
    centre = project(render_camera(scene.camera, scene.render), np.array([inside]))[0]
    assert centre == pytest.approx((48, 64), abs=1e-2)


def test_a_panoramic_camera_is_refused_with_a_sentence(scene):
    scene.camera.data.type = "PANO"
    with pytest.raises(UserError, match="Perspective or Orthographic"):
        render_camera(scene.camera, scene.render)
