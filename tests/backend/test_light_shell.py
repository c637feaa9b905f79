# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface between Gaussians: its triangles, and depth maps of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.lighting.environment import uniform_directions
from lca_blender.backend.lighting.triangles import neighbour_triangles
from lca_blender.backend.lighting.visibility import Shell, box_of, depth_maps, distant_cameras, lamp_cameras
from lca_blender.backend.raster.mesh_depth import Mesh, mesh_depth
from scipy.spatial import Delaunay

UP = np.array([0, 0, 1], np.float32)


def sheet(count, seed=0):
    points = np.random.default_rng(seed).uniform(0, 1, (count, 2))
    return np.pad(points, ((0, 0), (0, 1))).astype(np.float32)


def areas(points, triangles):
    a, b, c = np.moveaxis(points[triangles].astype(float), 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def test_a_flat_sheet_has_its_delaunay_triangles():
    points = sheet(1500)
    found = neighbour_triangles(points, np.tile(UP, (1500, 1)), 0.1)
    truth = {tuple(sorted(t)) for t in Delaunay(points[:, :2]).simplices.tolist()}
    mine = set(map(tuple, found.tolist()))
    inside = [t for t in truth if (np.abs(points[list(t), :2] - 0.5) < 0.42).all()]
    assert len(mine & set(inside)) > 0.94 * len(inside)
    assert len(mine - truth) < 0.01 * len(mine)


def test_a_sphere_is_closed():
    normals = uniform_directions(4000).astype(np.float32)
    found = neighbour_triangles(0.3 * normals, normals, 0.05)
    sides = np.sort(found[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    _, times = np.unique(sides, axis=0, return_counts=True)
    assert (times == 2).mean() > 0.99
    assert areas(0.3 * normals, found).sum() == pytest.approx(4 * np.pi * 0.09, rel=0.01)


def test_layers_of_cloth_and_its_two_sides_stay_apart():
    points = sheet(900)
    layers = np.concatenate([points, points + 0.1 * UP, points[::-1] - 0.004 * UP])
    normals = np.concatenate([np.tile(UP, (1800, 1)), np.tile(-UP, (900, 1))])
    found = neighbour_triangles(layers, normals, 0.1)
    assert (np.ptp(found // 900, axis=1) == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 9), st.sampled_from([0.0, 1e-6, 1.0, 1e6]))
def test_any_points_give_triangles_of_points(count, seed, size):
    random = np.random.default_rng(seed)
    points = (size * random.normal(size=(count, 3))).astype(np.float32)
    normals = random.normal(size=(count, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    found = neighbour_triangles(points, normals, 1.0)
    assert found.shape[1:] == (3,)
    assert ((found >= 0) & (found < count)).all()
    assert all(len(set(t)) == 3 for t in found.tolist())


def test_the_shell_stands_for_all_of_the_surface():
    normals = uniform_directions(8000).astype(np.float32)
    means = 0.3 * normals
    shell = Shell.of(means, normals, np.ones(8000, bool), np.full(8000, 0.03))
    assert len(shell.rows) < 2500
    assert shell.area.sum() == pytest.approx(4 * np.pi * 0.09, rel=0.03)


@pytest.mark.parametrize("lamp", [False, True])
def test_depth_maps_are_those_of_the_renderer_of_meshes(lamp):
    random = np.random.default_rng(3)
    points = random.normal(size=(400, 3)).astype(np.float32)
    triangles = random.integers(0, 400, (900, 3)).astype(np.int32)
    mesh = Mesh(points, triangles, np.eye(4))
    if lamp:
        cameras = lamp_cameras(box_of(points), np.array([9.0, 5, 7]), 200)
    else:
        cameras = distant_cameras(box_of(points), uniform_directions(3), 200)
    for one in depth_maps(mesh, (), cameras):
        height, width = one.camera.height, one.camera.width
        mine = one.depth[: (height + 2) * (width + 2)].reshape(height + 2, width + 2)
        assert np.isinf(mine[[0, -1]]).all()
        mine, truth = mine[1:-1, 1:-1], mesh_depth([mesh], one.camera)
        assert (np.isfinite(mine) == np.isfinite(truth)).mean() > 0.999  # edges are a hair wider
        both = np.isfinite(mine) & np.isfinite(truth)
        assert both.mean() > 0.2
        assert (np.abs(mine[both] - truth[both]) < 1e-3).mean() > 0.998
