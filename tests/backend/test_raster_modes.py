# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rasteriser draws beside plain colours: depth, the scene's depth, bytes, several cameras; the same
bits on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from lca_blender.backend import workers
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at, rasterize
from raster_scenes import CAMERAS, camera_of, gaussians_of, scenes
from scipy.special import sph_harm_y

FIELDS = ("means", "covariances", "opacities", "colors")


@pytest.fixture
def threads():
    yield workers.set_threads
    workers.set_threads(None)


def subset(gaussians, keep):
    return replace(gaussians, **{name: getattr(gaussians, name)[keep] for name in FIELDS})


def camera_z(gaussians, camera):
    row = torch.tensor(camera.viewmat[2])
    return gaussians.means.double() @ row[:3] + row[3]


# ---- threads ----


@pytest.mark.parametrize("degree", [None, 2])
def test_threads_do_not_change_a_bit(threads, degree):
    """Forward, every pass, and backward, to everything that has a gradient."""
    scene = gaussians_of(1, 8000, 0.02, 0.7, (0.1, 0.9), degree)
    camera, features = camera_of("pinhole", 1, 250, 170), torch.rand(8000, 5)
    passes = ("combined", "alpha", "depth", "normal", "features")
    results = []
    for count in (1, 2, 5):
        threads(count)
        inputs = [getattr(scene, name).clone() for name in FIELDS]
        inputs += [features.clone(), torch.tensor(camera.viewmat, dtype=torch.float32)]
        inputs = [tensor.requires_grad_() for tensor in inputs]
        made = rasterize(Gaussians(*inputs[:4]), camera, passes, features=inputs[4], viewmat=inputs[5])
        loss = made["combined"].square().sum() + made["features"].sum() + made["depth"].sum()
        gradients = torch.autograd.grad(loss, inputs)
        small = rasterize(scene, camera, dtype=torch.uint8)["combined"]
        tensors = [*made.values(), small, *gradients]
        results.append([tensor.detach().numpy().tobytes() for tensor in tensors])
        assert all(tensor.abs().max() > 0 for tensor in gradients)
    assert results[0] == results[1] == results[2]


# ---- depth ----


def plate(count, half, sigma):
    """A wall of opaque Gaussians, `half` to each side of the origin, that faces -Y."""
    side = np.linspace(-half, half, count)
    x, z = np.meshgrid(side, side)
    means = torch.tensor(np.stack([x, 0 * x, z], -1).reshape(-1, 3), dtype=torch.float32)
    covariances = torch.diag(torch.tensor([sigma, 1e-4, sigma]) ** 2).expand(len(means), 3, 3).contiguous()
    return Gaussians(means, covariances, torch.full((len(means),), 0.95), torch.rand(len(means), 3))


def ball(count, radius, sigma):
    """Opaque Gaussians over a sphere about the origin (Fibonacci's lattice), flat on its surface."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z * z)
    normals = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], 1)
    outer = normals[:, :, None] * normals[:, None]
    covariances = sigma**2 * (np.eye(3) - outer) + 1e-8 * outer
    arrays = (radius * normals, covariances, np.full(count, 0.95), np.full((count, 3), 0.5))
    return Gaussians(*(torch.tensor(a, dtype=torch.float32) for a in arrays))


def view_of(orthographic, size=160):
    viewmat = look_at((0.3, -3.0, 0.4), (0, 0, 0))
    if orthographic:
        return Camera.from_ortho(viewmat, 1.2, size, size)
    return Camera.from_fov(viewmat, 0.4, size, size)


def rays(camera):
    """Origins and directions [H,W,3] of the pixels' centres; a direction has camera z 1. float64."""
    xs, ys = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    x, y = (xs - camera.K[0, 2]) / camera.K[0, 0], (ys - camera.K[1, 2]) / camera.K[1, 1]
    zero, rotation = np.zeros_like(x), camera.viewmat[:3, :3]
    if camera.orthographic:
        origins = (np.stack([x, y, zero], -1) - camera.viewmat[:3, 3]) @ rotation
        return origins, np.broadcast_to(rotation[2], origins.shape)
    directions = np.stack([x, y, zero + 1], -1) @ rotation
    return np.broadcast_to(camera.position, directions.shape), directions


@pytest.mark.parametrize("orthographic", [False, True])
def test_depth_of_a_wall(orthographic):
    camera = view_of(orthographic)
    made = rasterize(plate(120, 0.8, 0.012), camera, ("alpha", "depth"))
    origins, directions = rays(camera)
    expected = torch.from_numpy(-origins[..., 1] / directions[..., 1])
    covered = made["alpha"] > 0
    assert covered.all()  # the wall fills the picture
    assert (made["depth"] / expected - 1).abs().max() < 0.01


@pytest.mark.parametrize("orthographic", [False, True])
def test_depth_of_a_ball(orthographic):
    camera, radius = view_of(orthographic), 0.4
    made = rasterize(ball(20_000, radius, 0.006), camera, ("alpha", "depth"))
    origins, directions = rays(camera)
    a, b = (directions**2).sum(-1), (origins * directions).sum(-1)
    root = b * b - a * ((origins**2).sum(-1) - radius**2)
    expected = torch.from_numpy((-b - np.sqrt(root.clip(0))) / a)
    covered = made["alpha"] > 0
    assert (made["depth"][covered] > 0).all()  # no holes, not even at the rim
    assert not made["depth"][~covered].any()
    inside = torch.from_numpy(root > (0.2 * radius) ** 2 * a)  # seen at less than 78 degrees
    assert covered[inside].all()
    assert inside.sum() > 4000
    assert (made["depth"] / expected - 1)[inside].abs().max() < 0.01


@settings(max_examples=30, deadline=None, derandomize=True)
@given(scenes(sides=(16, 70)))
def test_depth_has_no_holes(scene):
    """Wherever anything is drawn, depth lies between the nearest and the farthest Gaussian."""
    made = rasterize(scene.gaussians, scene.camera, ("alpha", "depth"), antialiased=scene.antialiased)
    z = camera_z(scene.gaussians, scene.camera)
    drawn, depth = z[z > scene.camera.near], made["depth"][made["alpha"] > 0]
    if len(depth):
        assert depth.min() > drawn.min() * (1 - 1e-3)
        assert depth.max() < drawn.max() * (1 + 1e-3)


# ---- the scene's depth ----


@pytest.mark.parametrize("kind", CAMERAS)
def test_what_is_behind_the_scene_is_not_blended(kind):
    """Each half of the picture is that of the Gaussians before its wall, bit for bit."""
    scene, camera = gaussians_of(2, 300, 0.06, 0.5, (0.2, 0.9)), camera_of(kind, 2, 90, 70)
    z = camera_z(scene, camera)
    walls = [float(torch.quantile(z[z > camera.near], q)) for q in (0.313, 0.627)]
    depth = torch.full((70, 90), walls[0])
    depth[:, 41:] = walls[1]
    passes, features = ("combined", "depth", "features"), torch.rand(300, 2)
    made = rasterize(scene, camera, passes, features=features, scene_depth=depth)
    for wall, half in zip(walls, (np.s_[:, :41], np.s_[:, 41:]), strict=True):
        before = z.float() <= wall
        alone = rasterize(subset(scene, before), camera, passes, features=features[before])
        for name in passes:
            torch.testing.assert_close(made[name][half], alone[name][half], rtol=0, atol=1e-6)
        assert made["combined"][half].any()


def test_a_scene_that_is_nowhere_changes_nothing():
    scene, camera = gaussians_of(3, 200, 0.05, 0.5, (0.2, 0.9)), camera_of("pinhole", 3, 60, 50)
    nowhere, here = torch.full((50, 60), torch.inf), torch.zeros(50, 60)
    bare = rasterize(scene, camera)["combined"]
    assert torch.equal(rasterize(scene, camera, scene_depth=nowhere)["combined"], bare)
    assert not rasterize(scene, camera, scene_depth=here)["combined"].any()


def test_hidden_gaussians_have_no_gradient():
    scene, camera = gaussians_of(4, 100, 0.08, 0.3, (0.2, 0.9)), camera_of("pinhole", 4, 60, 50)
    z = camera_z(scene, camera)
    wall = float(torch.quantile(z, 0.5))  # of an even number: between two
    inputs = [getattr(scene, name).clone().requires_grad_() for name in FIELDS]
    depth = torch.full((50, 60), wall)
    picture = rasterize(Gaussians(*inputs), camera, scene_depth=depth)["combined"]
    weight = torch.rand(picture.shape)
    gradients = torch.autograd.grad(picture, inputs, weight)
    before = z.float() <= wall
    alone = [getattr(scene, name)[before].clone().requires_grad_() for name in FIELDS]
    expected = torch.autograd.grad(rasterize(Gaussians(*alone), camera)["combined"], alone, weight)
    for gradient, other in zip(gradients, expected, strict=True):
        assert not gradient[~before].any()
        torch.testing.assert_close(gradient[before], other, rtol=1e-4, atol=1e-5)


# ---- bytes, cameras ----


@settings(max_examples=30, deadline=None, derandomize=True)
@given(scenes(sides=(1, 70)))
def test_bytes_are_the_rounded_floats(scene):
    background = torch.tensor([0.2, 0.9, 0.5])
    for behind in (None, background):
        arguments = {"background": behind, "antialiased": scene.antialiased}
        exact = rasterize(scene.gaussians, scene.camera, ("combined", "alpha"), **arguments)
        small = rasterize(
            scene.gaussians, scene.camera, ("combined", "alpha"), dtype=torch.uint8, **arguments
        )
        for name in ("combined", "alpha"):
            wanted = exact[name].double().clamp(0, 1) * 255
            assert small[name].dtype == torch.uint8
            assert small[name].shape == wanted.shape
            assert (small[name] - wanted).abs().max() <= 0.5 + 1e-4


def test_several_cameras_are_a_loop_of_single_ones():
    scene = gaussians_of(6, 400, 0.05, 0.6, (0.1, 0.9), degree=1)
    cameras = [camera_of(kind, i, 75, 40) for i, kind in enumerate(CAMERAS)]
    passes, features = ("combined", "alpha", "depth", "normal", "features"), torch.rand(400, 3)
    depths = torch.rand(len(cameras), 40, 75) * 6
    together = rasterize(scene, cameras, passes, features=features, scene_depth=depths)
    for i, camera in enumerate(cameras):
        alone = rasterize(scene, camera, passes, features=features, scene_depth=depths[i])
        for name in passes:
            assert torch.equal(together[name][i], alone[name])


def test_the_gradient_of_several_cameras_is_the_sum():
    scene = gaussians_of(7, 60, 0.08, 0.4, (0.2, 0.7))
    cameras = [camera_of("pinhole", i, 40, 30) for i in (1, 2)]
    viewmats = torch.tensor(np.stack([c.viewmat for c in cameras]), dtype=torch.float32).requires_grad_()
    weight = torch.rand(2, 30, 40, 4)
    inputs = [getattr(scene, name).clone().requires_grad_() for name in FIELDS]
    picture = rasterize(Gaussians(*inputs), cameras, viewmat=viewmats)["combined"]
    *gradients, poses = torch.autograd.grad(picture, [*inputs, viewmats], weight)
    total = [torch.zeros_like(tensor) for tensor in inputs]
    for i, camera in enumerate(cameras):
        viewmat = viewmats[i].detach().clone().requires_grad_()
        alone = rasterize(Gaussians(*inputs), camera, viewmat=viewmat)["combined"]
        *parts, pose = torch.autograd.grad(alone, [*inputs, viewmat], weight[i])
        torch.testing.assert_close(poses[i], pose)
        total = [a + b for a, b in zip(total, parts, strict=True)]
    for gradient, expected in zip(gradients, total, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


def test_a_given_viewmat_replaces_the_cameras():
    scene, camera = gaussians_of(8, 100, 0.05, 0.5, (0.2, 0.9)), camera_of("pinhole", 8, 50, 40)
    moved = replace(camera, viewmat=look_at((1.0, -2.5, 0.5), (0, 0, 0)))
    made = rasterize(scene, camera, viewmat=torch.tensor(moved.viewmat, dtype=torch.float32))["combined"]
    torch.testing.assert_close(made, rasterize(scene, moved)["combined"], atol=1e-4, rtol=0)


def real_harmonic(l, m, polar, azimuth):
    """As 3DGS has them: with the (-1)^m of Condon and Shortley, which scipy's have too."""
    value = sph_harm_y(l, abs(m), polar, azimuth)
    return value.real if m == 0 else 2**0.5 * (value.imag if m < 0 else value.real)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics_turn_with_the_direction(degree):
    """One Gaussian in the picture's middle, seen from many sides: the colour is scipy's series there."""
    rng = np.random.default_rng(degree)
    coefficients = rng.normal(scale=0.15, size=((degree + 1) ** 2, 3))
    scene = Gaussians(
        torch.zeros(1, 3),
        0.01 * torch.eye(3)[None],
        torch.tensor([0.9]),
        torch.tensor(coefficients, dtype=torch.float32)[None],
    )
    for _ in range(4):
        eye = rng.normal(size=3)
        eye *= 3 / np.linalg.norm(eye)
        direction = -eye / 3
        polar, azimuth = np.arccos(direction[2]), np.arctan2(direction[1], direction[0])
        basis = [real_harmonic(l, m, polar, azimuth) for l in range(degree + 1) for m in range(-l, l + 1)]
        expected = np.maximum(0, np.array(basis) @ coefficients + 0.5)
        made = rasterize(scene, Camera.from_fov(look_at(eye, (0, 0, 0)), 0.3, 31, 31))["combined"][15, 15]
        np.testing.assert_allclose(made[:3] / made[3], expected, atol=2e-5)
