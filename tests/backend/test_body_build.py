# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that make the template: surface, meshing, simplification."""

import numpy as np
import pytest
from lca_blender.backend.body.face_fields import close_mouth
from lca_blender.backend.body.implicit.body import Body
from lca_blender.backend.body.implicit.operators import gradient, smooth_min, sphere
from lca_blender.backend.body.implicit.parameters import for_sex, to_centimetres, to_metres
from lca_blender.backend.body.interior import eyeball, tongue
from lca_blender.backend.body.meshing import (
    graded_axis,
    largest_component,
    marching_cubes,
    mirror,
    project,
    vertex_normals,
)
from lca_blender.backend.body.remesh import collapse_edges
from lca_blender.backend.body.template import load_template

pytest.importorskip("skimage")


def euler(vertices, faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return len(vertices) - len(np.unique(edges, axis=0)) + len(faces)


def ball(points):
    return sphere(points.astype(np.float32), (0, 0, 0), 5.0)


@pytest.fixture(scope="module")
def half_ball():
    axis = graded_axis(-6, [(6, 0.3)])
    return marching_cubes(ball, (graded_axis(0, [(6, 0.3)]), axis, axis))


def test_marching_cubes_on_a_graded_grid(half_ball):
    vertices, faces = half_ball
    assert np.abs(np.linalg.norm(vertices, axis=1) - 5).max() < 0.02
    assert ((vertex_normals(vertices, faces) * vertices).sum(1) > 4.5).all()
    assert (vertices[:, 0] == 0).sum() > 50
    assert euler(*largest_component(vertices, faces)) == 1  # a disc


def test_mirrored_half_is_closed_and_symmetric(half_ball):
    vertices, faces, image = mirror(*half_ball)
    assert euler(vertices, faces) == 2
    assert np.array_equal(vertices[image], vertices * (-1, 1, 1))


def test_collapse_reaches_the_wanted_length_and_keeps_the_plane(half_ball):
    vertices, faces = half_ball
    coarse, fewer = collapse_edges(vertices, faces, np.full(len(vertices), 1.2))
    assert len(coarse) < 0.25 * len(vertices)
    assert euler(coarse, fewer) == 1
    assert (coarse[:, 0] == 0).sum() > 15
    edges = np.linalg.norm(coarse[fewer[:, 0]] - coarse[fewer[:, 1]], axis=1)
    assert 0.7 < np.median(edges) < 1.6
    assert euler(*mirror(coarse, fewer)[:2]) == 2


def test_projection_lands_on_the_surface():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3))
    points *= rng.uniform(4.6, 5.4, (200, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    assert np.abs(ball(project(points, ball, steps=8))).max() < 1e-3


def test_smooth_union_never_exceeds_the_sharp_one():
    a, b = np.meshgrid(np.linspace(-3, 3, 50), np.linspace(-3, 3, 50))
    joined = smooth_min(a, b, 1.5)
    assert (joined <= np.minimum(a, b) + 1e-12).all()
    assert np.array_equal(joined[np.abs(a - b) > 1.5], np.minimum(a, b)[np.abs(a - b) > 1.5])


@pytest.mark.parametrize("sex", [0.0, 0.5, 1.0])
def test_body_has_an_inside_and_a_distance_like_slope(sex):
    body = Body(for_sex(sex))
    joints = np.array(
        [body.frame.joints[n] for n in ("spine2", "head", "upper_arm", "forearm", "thigh", "shin")]
    )
    assert (body.distance(joints) < -1).all()
    assert (body.distance(joints + np.array([0, 0, 40])) > 5).all()
    assert np.array_equal(body.distance(joints), body.distance(joints * (-1, 1, 1)))


def test_template_skin_lies_on_the_surface():
    template, body = load_template(), Body()
    skin = (template.part == 0) & (np.abs(template.head_local(template.vertices)[:, 1]) > 14)
    points = to_centimetres(template.vertices[skin].astype(np.float64))
    assert np.percentile(np.abs(body.distance(points)), 99) < 0.05
    slope, _ = gradient(body.distance, points[::20].astype(np.float32))
    assert 0.5 < np.median(np.linalg.norm(slope, axis=1)) < 1.5


def test_lips_close_without_crossing():
    face = Body().parameters.face
    x = np.linspace(-2, 2, 9)
    upper = np.stack([x, np.full(9, -6.86), np.full(9, 9.6)], 1)
    lower = upper - (0, 0.36, 0)
    gap = close_mouth(upper, face)[:, 1] - close_mouth(lower, face)[:, 1]
    assert (gap >= -0.03).all()
    assert gap[4] < 0.06


@pytest.mark.parametrize("piece", [lambda: eyeball(Body().parameters.face), tongue])
def test_closed_pieces_are_spheres(piece):
    points, faces = piece()
    assert euler(points, faces) == 2
    normals = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
    assert ((points[faces].mean(1) - points.mean(0)) * normals).sum(1).min() > 0


def test_axes_round_trip():
    p = np.random.default_rng(2).normal(size=(5, 3))
    assert np.allclose(to_centimetres(to_metres(p)), p)
    assert np.allclose(to_metres(np.array([1.0, 170.0, 9.0])), [0.01, -0.09, 1.70])
