# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field beside Cycles: a white ball out of focus."""

import bpy
import numpy as np
import pytest
from lca_blender.backend.raster import rasterize
from lca_blender.backend.raster.defocus import lens_points, seen_from, spread
from pictures import render, rgba, world
from test_passes import CENTRE, RADIUS, ball

from lca_blender.scene.camera import lens_of, render_camera


@pytest.fixture
def lens(scene):
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = 120, 90
    dof = scene.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 2.0, 0.1
    return dof


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_a_ball_is_as_blurred_as_in_cycles(scene, lens, tmp_path, kind):
    scene.camera.data.type, scene.camera.data.ortho_scale = kind, 3.0
    if kind == "ORTHO":
        lens.aperture_fstop = 2.0
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=48, radius=RADIUS, location=CENTRE)
    world(scene, (1, 1, 1))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    source = scene.camera.evaluated_get(depsgraph)
    camera, (radius, focus) = render_camera(source, scene.render), lens_of(source, depsgraph)
    splats = ball(20000)
    sharp = rasterize(splats, camera, ("alpha",))["alpha"].numpy()
    soft = spread(splats, camera, radius, focus, 32)
    views = [seen_from(camera, *(radius * point), focus) for point in lens_points(32)]
    ours = np.mean([rasterize(soft, view, ("alpha",))["alpha"].numpy() for view in views], 0)

    def cycles(blurred):
        lens.use_dof, scene.render.engine, scene.cycles.samples = blurred, "CYCLES", 64
        scene.cycles.use_denoising = False
        return rgba(render(scene, tmp_path / "a.exr"))[..., 3]

    # Splats reach over the outline: the mesh is made as large as they are.
    bpy.context.object.scale = [np.sqrt(sharp.sum() / cycles(False).sum())] * 3
    truth = cycles(True)
    assert np.abs(ours - truth).mean() < 0.25 * np.abs(sharp - truth).mean()
    assert np.abs(ours - truth).max() < 0.25


def test_the_plane_in_focus_stays_where_it_is(scene, lens):
    """3 m before the camera, by the object in focus: y = -1."""
    target = bpy.data.objects.new("Target", None)
    scene.collection.objects.link(target)
    target.location = (3.0, -1.0, 2.0)
    lens.focus_object = target
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    source = scene.camera.evaluated_get(depsgraph)
    radius, focus = lens_of(source, depsgraph)
    assert (radius, focus) == pytest.approx((0.25, 3.0))  # 50 mm at f/0.1
    camera = render_camera(source, scene.render)
    points = np.array([[0.1, -1.0, 1.0, 1], [0.1, 2.0, 1.0, 1]])
    before, after = ((one.viewmat @ points.T)[:3].T for one in (camera, seen_from(camera, 0.1, 0.2, focus)))
    assert after[0] == pytest.approx(before[0])
    assert after[1] - before[1] == pytest.approx((0.1, 0.2, 0))  # twice as far: a lens's width


def test_an_avatar_out_of_focus(scene, avatar, tmp_path):
    scene.render.film_transparent = True
    sharp = rgba(render(scene, tmp_path / "a.exr"))[..., 3]
    dof = scene.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 4.0, 0.2
    kept = rgba(render(scene, tmp_path / "b.exr"))[..., 3]
    dof.focus_distance = 1.5
    soft = rgba(render(scene, tmp_path / "c.exr"))[..., 3]
    assert np.abs(kept - sharp).mean() < 0.1 * np.abs(soft - sharp).mean()
    assert soft.sum() == pytest.approx(sharp.sum(), rel=0.1)


def test_points_of_the_lens_are_spread_evenly():
    points = lens_points(400)
    radius = np.linalg.norm(points, axis=1)
    assert radius.max() <= 1
    assert (radius < 0.5).mean() == pytest.approx(0.25, abs=0.01)
    assert points.mean(0) == pytest.approx(0, abs=0.01)
