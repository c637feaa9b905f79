# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasteriser's pictures against a brute-force rasteriser in double precision and gsplat's
projection."""

import numpy as np
import pytest
import raster_reference as reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at, rasterize
from lca_blender.backend.raster.draw import Scene, View, camera_numbers, project
from lca_blender.backend.raster.workspace import Workspace
from lca_blender.backend.workers import set_threads


def random_scene(count, seed, spread=0.5, size=0.05, opacity=(0.05, 1.0)):
    """A cloud around the origin with elongated Gaussians of all orientations."""
    g = torch.Generator().manual_seed(seed)
    means = spread * torch.randn(count, 3, generator=g)
    quats = torch.randn(count, 4, generator=g)
    scales = size * torch.exp(torch.randn(count, 3, generator=g))
    low, high = opacity
    opacities = low + (high - low) * torch.rand(count, generator=g)
    colors = torch.rand(count, 3, generator=g)
    return Gaussians.from_quats_scales(means, quats, scales, opacities, colors)


def camera_at(width=70, height=45, eye=(0.4, -3.0, 0.7), orthographic=False, fov=0.6):
    viewmat = look_at(eye, (0.0, 0.0, 0.1))
    if orthographic:
        return Camera.from_ortho(viewmat, 2.0, width, height)
    return Camera.from_fov(viewmat, fov, width, height)


def layers_of(scene, camera, threads=1, extra=None):
    """[H,W,4 + channels of extra]: premultiplied colour, coverage, extra times coverage."""
    set_threads(threads)
    try:
        passes = ("combined",) if extra is None else ("combined", "features")
        made = rasterize(scene, camera, passes, features=extra)
    finally:
        set_threads(None)
    return torch.cat([made[name] for name in passes], -1).numpy()


def reference_of(scene, camera, extra=None):
    values = scene.colors if extra is None else torch.cat([scene.colors, extra], 1)
    doubles = (t.double() for t in (scene.means, scene.covariances, scene.opacities, values))
    return reference.draw(*doubles, camera).numpy()


def assert_same_picture(ours, theirs, bar=80.0):
    """A pixel whose transmittance ends near 1e-4 may keep or lose a last splat: bound the mean and the
    outliers."""
    error = np.abs(ours - theirs)
    assert -10 * np.log10(np.mean(error**2) + 1e-20) > bar
    assert (error > 1e-3).mean() < 1e-3
    assert error.max() < 2e-2


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 120),
    seed=st.integers(0, 10**6),
    width=st.integers(1, 75),
    height=st.integers(1, 40),
    size=st.sampled_from([1e-4, 0.01, 0.05, 0.3]),
    orthographic=st.booleans(),
    extra=st.sampled_from([0, 1, 2, 6]),
)
def test_picture_equals_the_brute_force_one(count, seed, width, height, size, orthographic, extra):
    scene = random_scene(count, seed, size=size)
    features = torch.randn(count, extra, generator=torch.Generator().manual_seed(seed))
    camera = camera_at(width, height, orthographic=orthographic)
    ours = layers_of(scene, camera, extra=features)
    assert_same_picture(ours, reference_of(scene, camera, extra=features))


@pytest.mark.parametrize("orthographic", [False, True])
def test_projection_equals_gsplat(orthographic):
    implementation = pytest.importorskip("gsplat.cuda._torch_impl")
    scene, camera = random_scene(500, 3, size=0.02), camera_at(160, 120, orthographic=orthographic)
    viewmat, K = (torch.tensor(m, dtype=torch.float32)[None] for m in (camera.viewmat, camera.K))
    radii, means2d, _, conics, _ = implementation._fully_fused_projection(
        scene.means, scene.covariances, viewmat, K, camera.width, camera.height,
        near_plane=camera.near, camera_model="ortho" if orthographic else "pinhole",
    )  # fmt: skip
    arrays = (scene.means, scene.covariances.reshape(-1, 9), scene.opacities, scene.colors)
    view = View(camera_numbers(camera), camera.width, camera.height)
    lists = project(Scene(*(a.contiguous().numpy() for a in arrays)), view, Workspace(), 1)
    drawn = lists.boxes[: len(scene), 0] <= lists.boxes[: len(scene), 1]
    assert drawn.sum() > 300
    assert (radii[0][torch.from_numpy(drawn)] > 0).all()
    records = lists.records[: len(scene)][drawn]  # mean 2, a, b, c of the exponent of 2, ...
    np.testing.assert_allclose(records[:, :2], means2d[0].numpy()[drawn], rtol=1e-4, atol=2e-3)
    ours = records[:, 2:5] / (-np.log2(np.e)) * np.array([2.0, 1.0, 2.0])
    theirs = conics[0].numpy()[drawn]
    scale = np.abs(theirs).max(1, keepdims=True)
    assert (np.abs(ours - theirs) / scale).max() < 2e-3


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_bit(threads):
    scene, camera = random_scene(6000, 7, size=0.03), camera_at(200, 150)
    one = layers_of(scene, camera, threads=1)
    many = layers_of(scene, camera, threads=threads)
    assert one.tobytes() == many.tobytes()
    assert one[..., 3].max() > 0.99


def test_equal_depths_blend_in_the_order_given():
    colors = torch.eye(3)[torch.arange(60) % 3]
    means = torch.zeros(60, 3)
    scene = Gaussians(means, 0.01 * torch.eye(3).expand(60, 3, 3), torch.full((60,), 0.3), colors)
    camera = camera_at(40, 40)
    assert_same_picture(layers_of(scene, camera), reference_of(scene, camera))


def test_hundreds_of_layers_in_one_tile_are_sorted():
    scene, camera = random_scene(3000, 11, spread=0.1, opacity=(0.01, 0.05)), camera_at(32, 16)
    assert_same_picture(layers_of(scene, camera), reference_of(scene, camera))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["means", "covariances", "opacities", "colors"])
def test_a_gaussian_that_is_not_finite_is_left_out(field, value):
    scene, camera = random_scene(40, 5), camera_at()
    without = Gaussians(*(getattr(scene, f)[1:] for f in ("means", "covariances", "opacities", "colors")))
    getattr(scene, field)[0].view(-1)[0] = value
    assert layers_of(scene, camera).tobytes() == layers_of(without, camera).tobytes()


def test_behind_beside_transparent_and_empty_draw_nothing():
    camera = camera_at(eye=(0.0, -3.0, 0.0))
    means = torch.tensor([[0, -5.0, 0], [0, -2.995, 0], [900.0, 0, 0], [0, 0, 0]])
    covariances = 1e-4 * torch.eye(3).expand(4, 3, 3)
    scene = Gaussians(means, covariances, torch.tensor([0.9, 0.9, 0.9, 0.003]), torch.ones(4, 3))
    assert not layers_of(scene, camera).any()
    empty = Gaussians(means[:0], covariances[:0], torch.ones(0), torch.ones(0, 3))
    made = rasterize(empty, camera, ("combined", "depth", "normal"))
    assert made["combined"].shape == (45, 70, 4)
    assert not any(picture.any() for picture in made.values())


def test_a_point_without_extent_is_a_dot_of_the_dilation():
    camera = Camera(look_at((0, -2.0, 0), (0, 0, 0)), [[100, 0, 16.5], [0, 100, 8.5], [0, 0, 1]], 33, 17)
    scene = Gaussians(torch.zeros(1, 3), torch.zeros(1, 3, 3), torch.tensor([0.8]), torch.ones(1, 3))
    alpha = rasterize(scene, camera, ("alpha",))["alpha"]
    assert alpha[8, 16].item() == pytest.approx(0.8, abs=1e-5)
    assert alpha[8, 17].item() == pytest.approx(0.8 * np.exp(-0.5 / 0.3), abs=1e-5)


def test_a_wall_of_huge_gaussians_and_a_covariance_that_is_none():
    camera = camera_at()
    covariances = torch.stack([torch.eye(3) * 1e6, -torch.eye(3), torch.eye(3) * 1e30])
    scene = Gaussians(torch.zeros(3, 3), covariances, torch.ones(3), torch.full((3, 3), 0.5))
    picture = layers_of(scene, camera)
    assert np.isfinite(picture).all()
    assert picture[..., 3].min() > 0.99


def test_passes_of_a_plate():
    """A flat opaque plate 2 m away, tilted by 30 degrees: depth, normal and colour are known."""
    tilt = np.radians(30.0)
    normal = np.array([0.0, -np.cos(tilt), np.sin(tilt)])
    u = np.array([1.0, 0, 0])
    v = np.cross(normal, u)
    grid = np.stack(np.meshgrid(np.linspace(-0.6, 0.6, 60), np.linspace(-0.6, 0.6, 60)), -1).reshape(-1, 2)
    points = grid[:, :1] * u + grid[:, 1:] * v
    spread = 0.015**2 * (np.outer(u, u) + np.outer(v, v)) + 1e-8 * np.outer(normal, normal)
    n = len(points)
    scene = Gaussians(
        torch.tensor(points, dtype=torch.float32),
        torch.tensor(spread, dtype=torch.float32).expand(n, 3, 3).contiguous(),
        torch.full((n,), 0.95),
        torch.tensor([0.2, 0.4, 0.6]).expand(n, 3).contiguous(),
    )
    camera = Camera.from_fov(look_at((0, -2.0, 0), (0, 0, 0)), 0.2, 41, 41)
    features = torch.stack([torch.full((n,), 3.0), scene.means[:, 0]], 1)
    made = rasterize(scene, camera, ("combined", "alpha", "depth", "normal", "features"), features=features)
    alpha = made["alpha"]
    assert alpha.min() > 0.99
    colour = made["combined"][..., :3] / alpha[..., None]
    torch.testing.assert_close(colour, torch.tensor([0.2, 0.4, 0.6]).expand(41, 41, 3), atol=1e-5, rtol=0)
    assert made["depth"][20, 20].item() == pytest.approx(2.0, abs=0.01)
    rise = 0.1 * made["depth"][0, 20].item()  # the top of the picture lies farther away on this plate
    assert made["depth"][0, 20].item() == pytest.approx(2.0 + rise * np.tan(tilt), abs=0.02)
    expected = torch.tensor(normal, dtype=torch.float32).expand(41, 41, 3)
    torch.testing.assert_close(made["normal"], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(made["features"][..., 0] / alpha, torch.full((41, 41), 3.0), atol=1e-4, rtol=0)
    across = (torch.arange(41) + 0.5 - 20.5) / camera.K[0, 0] * 2
    torch.testing.assert_close(made["features"][20, :, 1] / alpha[20], across.float(), atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", ["colour", "picture"])
def test_background_lies_behind(shape):
    scene, camera = random_scene(50, 2), camera_at()
    plain = torch.tensor([0.1, 0.5, 0.9])
    background = plain if shape == "colour" else torch.rand(45, 70, 3)
    bare = rasterize(scene, camera)["combined"]
    made = rasterize(scene, camera, background=background)["combined"]
    expected = bare[..., :3] + (1 - bare[..., 3:]) * background
    torch.testing.assert_close(made[..., :3], expected)
    torch.testing.assert_close(made[..., 3], bare[..., 3])


def test_bad_input_is_one_sentence():
    scene, camera = random_scene(10, 1), camera_at()
    fields = {name: getattr(scene, name) for name in ("means", "covariances", "opacities", "colors")}
    cases = [
        ({"colors": torch.rand(9, 3)}, "colors must have shape"),
        ({"covariances": torch.rand(10, 9)}, "covariances must have shape"),
        ({"opacities": torch.rand(10, 1)}, "opacities must have shape"),
        ({"means": scene.means.double()}, "means must be float32"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            rasterize(Gaussians(**{**fields, **change}), camera)
    for passes in ("combined", ("beauty",), ()):
        with pytest.raises(ValueError, match="passes must be"):
            rasterize(scene, camera, passes)
    with pytest.raises(ValueError, match="needs features"):
        rasterize(scene, camera, ("features",))
    with pytest.raises(ValueError, match="background must have shape"):
        rasterize(scene, camera, background=torch.zeros(4))
