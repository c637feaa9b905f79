# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth image of meshes against rays shot through the pixels, and against planes and spheres."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend import workers
from lca_blender.backend.raster import Camera, look_at
from lca_blender.backend.raster.mesh_depth import Mesh, mesh_depth


def rays(camera):
    """Origins and directions [H,W,3] in camera space, through pixel centres; a direction's z is one."""
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    K = camera.K
    at = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1)
    if camera.orthographic:
        return at * (1, 1, 0), np.broadcast_to((0.0, 0.0, 1.0), at.shape)
    return np.zeros_like(at), at


def shot(points, triangles, camera, far=np.inf):
    """Möller and Trumbore (1997), every ray against every triangle: z [H,W] and how near an edge is."""
    local = points.astype(np.float64) @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    origins, directions = rays(camera)
    best, doubt = np.full(origins.shape[:2], np.inf), np.full(origins.shape[:2], np.inf)
    for a, b, c in local[triangles]:
        p = np.cross(directions, c - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / (p @ (b - a))
            u = np.einsum("hwi,hwi->hw", origins - a, p) * inverse
            q = np.cross(origins - a, b - a)
            v = np.einsum("hwi,hwi->hw", directions, q) * inverse
            z = q @ (c - a) * inverse
        least = np.minimum(np.minimum(u, v), 1 - u - v)
        doubt = np.minimum(doubt, np.where(np.isfinite(least), np.abs(least), 0))
        best = np.where((least >= 0) & (z >= camera.near) & (z <= far) & (z < best), z, best)
    return best, doubt


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_every_pixel_is_what_its_ray_hits(seed, orthographic):
    random = np.random.default_rng(seed)
    K = [[random.uniform(10, 60), 0, random.uniform(-10, 50)], [0, random.uniform(10, 60), 20], [0, 0, 1]]
    view = look_at(random.normal(size=3) * 3, random.normal(size=3))
    camera = Camera(view, K, 37, 29, orthographic=orthographic, near=0.2)
    # some of the points lie behind the camera
    points = (random.normal(size=(30, 3)) * random.choice([0.3, 2, 8])).astype(np.float32)
    triangles = random.integers(0, len(points), (20, 3)).astype(np.int32)
    triangles = triangles[(np.diff(np.sort(triangles, 1), axis=1) > 0).all(1)]
    found = mesh_depth([Mesh(points, triangles, np.eye(4))], camera, far=9.0)
    expected, doubt = shot(points, triangles, camera, far=9.0)
    sure = doubt > 1e-9
    assert sure.mean() > 0.99
    assert np.array_equal(np.isfinite(found[sure]), np.isfinite(expected[sure]))
    hit = sure & np.isfinite(expected)
    assert found[hit] == pytest.approx(expected[hit], rel=2e-6)


def ground(size=1e4):
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * np.float32(size)
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.eye(4))


def test_a_ground_that_runs_below_the_camera():
    camera = Camera.from_fov(look_at((0, 0, 1.7), (0, 10, 1.0)), 1.2, 320, 180)
    found = mesh_depth([ground()], camera)
    _, directions = rays(camera)
    fall = directions @ camera.viewmat[:3, 2]
    expected = np.where(fall < 0, -1.7 / fall, np.inf)  # world z of a ray: 1.7 + t * fall
    near = expected < 5000
    assert near.any()
    assert (~near).any()
    assert found[near] == pytest.approx(expected[near], rel=1e-6)
    assert np.isinf(found[expected == np.inf]).all()


def raised(height):
    matrix = np.eye(4)
    matrix[2, 3] = height
    return ground(5.0)._replace(matrix=matrix)


def sphere(steps):
    """A unit sphere of 4 * steps^2 triangles whose points lie on it."""
    around, down = np.linspace(0, 2 * np.pi, 2 * steps + 1), np.linspace(0, np.pi, steps + 1)
    a, d = np.meshgrid(around, down)
    points = np.stack([np.sin(d) * np.cos(a), np.sin(d) * np.sin(a), np.cos(d)], -1).reshape(-1, 3)
    row = 2 * steps + 1
    i = (np.arange(steps)[:, None] * row + np.arange(2 * steps)).ravel()
    quads = np.stack([i, i + 1, i + row + 1, i + row], 1)
    triangles = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
    return points.astype(np.float32), triangles.astype(np.int32)


@pytest.mark.parametrize("orthographic", [False, True])
def test_a_sphere_moved_by_a_matrix(orthographic):
    make = Camera.from_ortho if orthographic else Camera.from_fov
    camera = make(look_at((3, -4, 2), (0, 0, 0)), 2.5 if orthographic else 0.5, 200, 160)
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    matrix[:3, 3] = 0.1, 0.2, -0.1
    found = mesh_depth([Mesh(*sphere(120), matrix)], camera)
    centre = camera.viewmat[:3, :3] @ matrix[:3, 3] + camera.viewmat[:3, 3]
    origins, directions = rays(camera)
    a = (directions**2).sum(-1)
    b = ((origins - centre) * directions).sum(-1)
    square = b**2 - a * (((origins - centre) ** 2).sum(-1) - 0.25)
    inside = square > 0.002  # off the outline, where a chord lies far before or behind the arc
    expected = (-b - np.sqrt(np.where(inside, square, 1))) / a
    assert inside.sum() > 3000
    assert found[inside] == pytest.approx(expected[inside], abs=2e-3)
    assert np.isinf(found[square < -0.002]).all()


def test_no_cracks_between_triangles_and_the_same_on_any_number_of_threads():
    points, triangles = sphere(150)
    inside = Camera.from_fov(look_at((0.1, 0.2, 0.05), (1, 0.3, 0.2)), 1.4, 401, 303)  # all around is surface
    mesh = Mesh(points, triangles, np.eye(4))
    pictures = []
    try:
        for threads in (1, 2, 5):
            workers.set_threads(threads)
            pictures.append(mesh_depth([mesh, ground()], inside))
    finally:
        workers.set_threads(None)
    assert np.isfinite(pictures[0]).all()
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_the_nearest_of_several_meshes_in_any_order():
    camera = Camera.from_fov(look_at((0, 0, 3), (0, 0, 0)), 0.5, 24, 24)
    low, high = (
        ground(5.0),
        ground(5.0)._replace(matrix=np.array([*np.eye(4)[:2], [0, 0, 1, 1], [0, 0, 0, 1]])),
    )
    for meshes in ([low, high], [high, low]):
        assert mesh_depth(meshes, camera) == pytest.approx(2.0, rel=1e-6)
    assert mesh_depth([low, high], Camera(camera.viewmat, camera.K, 24, 24, near=2.5)) == pytest.approx(3.0)
    assert np.isinf(mesh_depth([low], camera, far=2.9)).all()


def test_nothing_to_draw():
    camera = Camera.from_fov(look_at((0, 0, 3), (0, 0, 0)), 0.5, 24, 16)
    none = Mesh(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32), np.eye(4))
    behind, broken = raised(4.0), ground(5.0)
    broken.points[:] = np.nan, np.inf, -np.inf
    for meshes in ([], [none], [behind], [broken]):
        found = mesh_depth(meshes, camera)
        assert found.shape == (16, 24)
        assert found.dtype == np.float32
        assert np.isinf(found).all()


def test_arrays_that_would_crash_the_kernels_are_refused():
    camera = Camera.from_fov(look_at((0, 0, 3), (0, 0, 0)), 0.5, 24, 16)
    good = ground(5.0)
    for bad in (
        good._replace(triangles=np.array([[0, 1, 4]], np.int32)),
        good._replace(triangles=np.array([[0, 1, -1]], np.int32)),
        good._replace(triangles=good.triangles.astype(np.int64)),
        good._replace(points=good.points[:, :2]),
    ):
        with pytest.raises(ValueError, match="must"):
            mesh_depth([bad], camera)
