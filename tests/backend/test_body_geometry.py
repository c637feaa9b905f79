# SPDX-License-Identifier: GPL-3.0-or-later
"""Normals of meshes, values between vertices, and rotations between directions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lca_blender.backend.body.mesh import interpolated, vertex_normals
from lca_blender.backend.body.rotations import smallest_rotation, unit
from lca_blender.backend.body.template import load_template
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation


def test_normals_of_a_sphere_point_away_from_its_centre():
    points = np.random.default_rng(0).normal(size=(3000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    hull = ConvexHull(points)
    a, b, c = points[hull.simplices].swapaxes(0, 1)
    inwards = (np.cross(b - a, c - a) * a).sum(1) < 0
    faces = np.where(inwards[:, None], hull.simplices[:, ::-1], hull.simplices)
    normals = vertex_normals(np.append(points, [[5.0, 5, 5]], 0).astype(np.float32), faces)
    assert np.linalg.norm(normals[:-1], axis=1) == pytest.approx(1)
    assert np.degrees(np.arccos((normals[:-1] * points).sum(1).clip(-1, 1))).max() < 10
    assert not normals[-1].any()


def test_a_linear_function_is_the_same_between_the_vertices():
    template, rng = load_template(), np.random.default_rng(1)
    corners = template.faces[rng.integers(0, len(template.faces), 50)]
    shares = rng.dirichlet(np.ones(3), 50)
    matrix, at = rng.normal(size=(3, 4)), interpolated(template.vertices.astype(np.float64), corners, shares)
    assert interpolated(template.vertices @ matrix, corners, shares) == pytest.approx(at @ matrix)
    assert interpolated(template.vertices[:, 2], corners, shares) == pytest.approx(at[:, 2])
    assert interpolated(template.vertices, corners, shares.astype(np.float32)).dtype == np.float32


@given(arrays(float, (2, 3), elements=st.floats(-1, 1)), st.sampled_from((0, 1, -1)))
def test_the_smallest_rotation_brings_one_direction_to_the_other(ends, along):
    """Directions that are alike or opposite too, which have no axis of their own."""
    start, end = (unit(end + np.array((0, 0, 2))) for end in ends)
    end = along * start if along else end
    turn = smallest_rotation(start, end)
    assert turn @ start == pytest.approx(end, abs=1e-7)
    assert np.linalg.det(turn) == pytest.approx(1)
    angle = np.arctan2(np.linalg.norm(np.cross(start, end)), start @ end)
    assert Rotation.from_matrix(turn).magnitude() == pytest.approx(angle, abs=1e-6)
