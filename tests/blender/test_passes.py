# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes of surfaces whose every point is known: a ball and a leaning plane covered with flat splats."""

import math

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.gaussians import Gaussians

from lca_blender.engine import picture
from lca_blender.scene.camera import render_camera

CENTRE, RADIUS = np.array([0.1, 0.0, 0.8]), 0.7
PLANE_POINT, PLANE_NORMAL = np.array([0.0, 0.4, 0.9]), np.array([0.3, -0.8, math.sqrt(1 - 0.73)])


def tiles(points, normals, side) -> Gaussians:
    """Nearly opaque discs of standard deviation `side` on a surface, metres."""
    across = np.eye(3) - normals[:, :, None] * normals[:, None]
    covariances = side**2 * (across + 1e-4 * normals[:, :, None] * normals[:, None])
    count = len(points)
    fields = (points, covariances, np.full(count, 0.99), np.full((count, 3), 0.5))
    return Gaussians(*(torch.tensor(f, dtype=torch.float32) for f in fields), linear=True)


def ball(count=160000) -> Gaussians:
    """Fibonacci's lattice: one point to an equal area each."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, math.pi * (1 + math.sqrt(5)) * i
    normals = np.stack([*(np.sqrt(1 - z * z) * (np.cos(turn), np.sin(turn))), z], -1)
    return tiles(CENTRE + RADIUS * normals, normals, 0.8 * RADIUS * math.sqrt(4 * math.pi / count))


def plane(count=160, half=3.0) -> Gaussians:
    first = np.cross(PLANE_NORMAL, (0, 0, 1))
    first /= np.linalg.norm(first)
    steps = np.linspace(-half, half, count)
    a, b = np.meshgrid(steps, steps)
    points = PLANE_POINT + a[..., None] * first + b[..., None] * np.cross(PLANE_NORMAL, first)
    return tiles(points.reshape(-1, 3), np.tile(PLANE_NORMAL, (count**2, 1)), 0.8 * (steps[1] - steps[0]))


def rays(camera) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays through the pixels' centres start and where they go, [H,W,3] in the world; a ray's
    length along the camera's axis is 1."""
    K, to_world = camera.K, np.linalg.inv(camera.viewmat)
    x = (np.arange(camera.width) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(camera.height) + 0.5 - K[1, 2]) / K[1, 1]
    x, y = np.meshgrid(x, y)
    one, none = np.ones_like(x), np.zeros_like(x)
    if camera.orthographic:
        starts, ways = np.stack([x, y, none], -1), np.stack([none, none, one], -1)
    else:
        starts, ways = np.zeros((*x.shape, 3)), np.stack([x, y, one], -1)
    return starts @ to_world[:3, :3].T + to_world[:3, 3], ways @ to_world[:3, :3].T


@pytest.fixture(params=["PERSP", "ORTHO"])
def seen(request, scene):
    """A leaning camera with a shifted lens, and the function that makes its passes."""
    camera = scene.camera
    camera.data.type, camera.data.ortho_scale, camera.data.shift_x = request.param, 2.5, 0.05
    camera.location, camera.rotation_euler = (0.3, -4.0, 1.2), (1.47, 0.1, 0.06)
    scene.render.resolution_x, scene.render.resolution_y = 480, 360
    scene.render.film_transparent = True
    bpy.context.view_layer.update()
    model = render_camera(camera.evaluated_get(bpy.context.evaluated_depsgraph_get()), scene.render)
    return model, lambda splats: picture.paint(splats, model, list(picture.PASSES), scene)


def check(made, hit, depth, normals, edge):
    """`edge` [H,W]: pixels too near an outline to be known."""
    inside = hit & ~edge
    assert inside.mean() > 0.1
    assert made["Alpha"][inside].min() > 0.99  # no holes
    assert np.array_equal(made["Alpha"][..., 0], made["Combined"][..., 3])
    assert np.abs(made["Depth"][..., 0][inside] / depth[inside] - 1).max() < 0.01
    off = np.linalg.norm(made["Normal"][inside] - normals[inside], axis=-1)
    assert np.percentile(off, 99) < 0.05
    assert np.median(off) < 0.015  # of a ball: those of the nearest part of a splat's footprint count most
    assert made["Combined"][inside][:, :3] == pytest.approx(0.5, abs=0.01)


def test_a_ball(seen):
    camera, make = seen
    starts, ways = rays(camera)
    away = starts - CENTRE
    a, b, c = (ways**2).sum(-1), (ways * away).sum(-1), (away**2).sum(-1) - RADIUS**2
    under = b * b - a * c
    hit = under > 0
    depth = (-b - np.sqrt(np.maximum(under, 0))) / a
    normals = (away + depth[..., None] * ways) / RADIUS
    facing = -(normals * ways).sum(-1) / np.sqrt(a)
    made = make(ball())
    check(made, hit, depth, normals, facing < 0.35)
    assert made["Alpha"].sum() == pytest.approx(hit.sum(), rel=0.025)  # splats reach over the outline
    outside = ~hit & (made["Alpha"][..., 0] == 0)
    assert outside.sum() > 0.95 * (~hit).sum()
    assert (made["Depth"][..., 0][outside] == np.float32(picture.NOTHING_DEPTH)).all()
    assert not made["Normal"][outside].any()


def test_a_plane(seen):
    camera, make = seen
    starts, ways = rays(camera)
    depth = ((PLANE_POINT - starts) @ PLANE_NORMAL) / (ways @ PLANE_NORMAL)
    everywhere = np.ones_like(depth, bool)
    normals = np.broadcast_to(PLANE_NORMAL, ways.shape)
    check(make(plane()), everywhere, depth, normals, ~everywhere)
