# SPDX-License-Identifier: GPL-3.0-or-later
"""Malformed input is one sentence, extreme input a right picture; nothing ends the process."""

from dataclasses import replace

import numpy as np
import pytest
import raster_reference as brute_force
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lca_blender.backend.errors import UserError
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at, rasterize
from raster_scenes import camera_of, gaussians_of

FIELDS = ("means", "covariances", "opacities", "colors")
CAMERA = Camera.from_fov(look_at((0, -3.0, 0), (0, 0, 0)), 0.5, 60, 40, near=0.05)
WIDE = Camera.from_fov(look_at((0, -3.0, 0), (0, 0, 0)), 0.5, 60, 40, near=0.5)


def of(means, covariances=None, opacities=None, colors=None):
    """Gaussians at the given points, by default 3 cm, half opaque and white."""
    means = torch.tensor(means, dtype=torch.float32).reshape(-1, 3)
    count = len(means)
    if covariances is None:
        covariances = 9e-4 * torch.eye(3).expand(count, 3, 3)
    return Gaussians(
        means,
        covariances,
        torch.full((count,), 0.5) if opacities is None else torch.tensor(opacities),
        torch.ones(count, 3) if colors is None else colors,
    )


def assert_right(scene, camera=CAMERA):
    """The picture is the brute-force one's in double precision."""
    ours = rasterize(scene, camera)["combined"]
    theirs = brute_force.draw(*(getattr(scene, name).double() for name in FIELDS), camera)
    torch.testing.assert_close(ours.double(), theirs, atol=2e-4, rtol=0)
    return ours


# ---- extreme ----


def test_opacities_beyond_one_and_below_zero():
    scene = of([(x, 0, 0) for x in (-0.3, 0, 0.3)], opacities=[7.0, -0.5, 1e30])
    made = assert_right(scene)
    assert made[..., 3].max() <= 0.9991
    assert rasterize(of([(0, 0, 0)], opacities=[-1.0]), CAMERA)["combined"].sum() == 0


@pytest.mark.parametrize("length", [1e-3, 3.0, 1e4])
def test_quaternions_of_any_length(length):
    scene = gaussians_of(1, 50, 0.05, 0.7, (0.2, 0.9))
    quats, scales = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), torch.rand(50, 3) * 0.1

    def picture(quats, scales):
        made = Gaussians.from_quats_scales(scene.means, quats, scales, scene.opacities, scene.colors)
        return rasterize(made, CAMERA)["combined"]

    torch.testing.assert_close(picture(length * quats, scales), picture(quats, scales), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        picture(quats, -scales), picture(quats, scales)
    )  # a mirrored ellipsoid is itself


def test_a_zero_quaternion_and_zero_scales_are_finite_dots():
    zeros = torch.zeros(2, 4), torch.zeros(2, 3)
    made = Gaussians.from_quats_scales(torch.zeros(2, 3), *zeros, torch.full((2,), 0.8), torch.ones(2, 3))
    picture = assert_right(made)
    assert 0.5 < picture[..., 3].max() < 1
    quats, scales = (tensor.clone().requires_grad_() for tensor in zeros)
    leaves = Gaussians.from_quats_scales(
        torch.zeros(2, 3), quats, scales, torch.full((2,), 0.8), torch.ones(2, 3)
    )
    rasterize(leaves, CAMERA)["combined"].sum().backward()
    assert torch.isfinite(quats.grad).all()
    assert torch.isfinite(scales.grad).all()


def test_behind_on_and_across_the_near_plane():
    """0.5 m from the eye at y = -3: on it, just behind, just before, and far behind the eye."""
    depths = (0.5, 0.499, 0.501, -2.0, 0.0, 0.55, 3.0)
    scene = of([(0.05 * i, z - 3.0, 0.02 * i) for i, z in enumerate(depths)], opacities=[0.6] * 7)
    made = assert_right(scene, WIDE)
    assert made[..., 3].max() > 0.5
    large = replace(scene, covariances=0.3 * torch.eye(3).expand(7, 3, 3))  # they reach through it
    assert_right(large, WIDE)


def test_one_that_covers_the_picture():
    scene = of([(0, 0, 0)], 1e4 * torch.eye(3)[None], [0.7])
    made = rasterize(scene, CAMERA)["combined"]
    torch.testing.assert_close(made, torch.full_like(made, 0.7), atol=1e-3, rtol=0)


@pytest.mark.parametrize("opacity", [0.01, 0.5])
def test_a_million_on_one_pixel(opacity):
    count = 1_000_000
    scene = Gaussians(
        torch.zeros(count, 3),
        1e-8 * torch.eye(3).expand(count, 3, 3),
        torch.full((count,), opacity),
        torch.rand(count, 1).expand(count, 3),
    )
    camera = Camera(CAMERA.viewmat, [[50, 0, 8.5], [0, 50, 8.5], [0, 0, 1]], 17, 17)
    inputs = [getattr(scene, name).clone().requires_grad_() for name in FIELDS]
    alpha = rasterize(Gaussians(*inputs), camera)["combined"][8, 8, 3]
    # the pixel ends before less than 1e-4 of the light would pass
    blended = np.floor(np.log(1e-4) / np.log(1 - opacity))
    assert alpha.item() == pytest.approx(1 - (1 - opacity) ** blended, abs=2e-6)
    alpha.backward()
    reached = inputs[2].grad != 0
    assert reached[: int(blended)].all()
    assert not reached[int(blended) + 1 :].any()


def test_none_at_all():
    nobody = of(np.empty((0, 3)))
    features = torch.empty(0, 4)
    made = rasterize(nobody, CAMERA, ("combined", "depth", "normal", "features"), features=features)
    assert made["features"].shape == (40, 60, 4)
    assert not any(picture.any() for picture in made.values())
    assert not rasterize(nobody, CAMERA, dtype=torch.uint8)["combined"].any()
    means = nobody.means.clone().requires_grad_()
    rasterize(replace(nobody, means=means), CAMERA)["combined"].sum().backward()
    assert means.grad.shape == (0, 3)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 700), (32768, 1), (1, 32768), (33, 17)])
def test_pictures_of_any_size(width, height):
    K = [[0.5 * max(width, height), 0, width / 2], [0, 0.5 * max(width, height), height / 2], [0, 0, 1]]
    camera = Camera(CAMERA.viewmat, K, width, height)
    scene = of([(0, 0, 0)], 4.0 * torch.eye(3)[None], [0.9])
    made = rasterize(scene, camera)["combined"]
    assert made.shape == (height, width, 4)
    assert made[height // 2, width // 2, 3].item() == pytest.approx(0.9, abs=2e-3)
    assert rasterize(scene, camera, dtype=torch.uint8)["combined"].shape == (height, width, 4)


def test_memory_that_is_not_contiguous():
    scene = gaussians_of(2, 90, 0.05, 0.7, (0.2, 0.9))
    scattered = Gaussians(
        torch.stack([scene.means, scene.means], -1)[..., 0],
        scene.covariances.mT,
        torch.stack([scene.opacities] * 3, 1)[:, 1],
        scene.colors.T.contiguous().T,
    )
    features = torch.rand(3, 90).T
    passes = ("combined", "features")
    made = rasterize(scattered, CAMERA, passes, features=features)
    same = rasterize(scene, CAMERA, passes, features=features.contiguous())
    for name in passes:
        assert torch.equal(made[name], same[name])


any_bits = arrays.arrays(np.uint32, st.integers(1, 40).map(lambda n: (n, 16)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(any_bits, st.sampled_from([1e-30, 1.0, 1e30]), st.booleans(), st.integers(0, 3))
def test_any_bits_whatsoever(bits, focal, orthographic, degree):
    """Floats of random bits in every field: no crash, and coverage stays a fraction."""
    numbers = torch.from_numpy(bits.view(np.float32).copy())
    colors = torch.rand(len(bits), (degree + 1) ** 2, 3)
    fields = (numbers[:, :3], numbers[:, 3:12].reshape(-1, 3, 3), numbers[:, 12], colors)
    inputs = [tensor.clone().requires_grad_() for tensor in fields]
    K = [[50 * focal, 0, 20.0], [0, 50 * focal, 10.0], [0, 0, 1]]
    camera = Camera(CAMERA.viewmat, K, 40, 20, orthographic=orthographic)
    for antialiased in (False, True):
        made = rasterize(Gaussians(*inputs), camera, ("combined", "depth", "normal"), antialiased=antialiased)
        alpha = made["combined"][..., 3]
        assert alpha.min() >= 0
        assert alpha.max() <= 1
        assert torch.isfinite(made["combined"]).all()
        made["combined"].sum().backward()


# ---- malformed ----


def test_malformed_arguments_are_one_sentence():
    scene = gaussians_of(3, 10, 0.05, 0.5, (0.2, 0.9))
    other = camera_of("pinhole", 1, 61, 40)
    cases = [
        ({"dtype": torch.float64}, "dtype"),
        ({"dtype": torch.uint8, "passes": ("combined", "depth")}, "uint8"),
        ({"scene_depth": torch.zeros(40, 61)}, "scene_depth must have shape"),
        ({"scene_depth": torch.zeros(40, 60, dtype=torch.float64)}, "scene_depth must be float32"),
        ({"viewmat": torch.eye(3)}, "viewmat must have shape"),
        ({"camera": [CAMERA, other]}, "same width and height"),
        ({"camera": []}, "camera must be"),
        ({"passes": ("features",), "features": torch.rand(9, 2)}, "features must have shape"),
        ({"background": torch.zeros(2)}, "background must have shape"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            rasterize(**{"gaussians": scene, "camera": CAMERA, **change})
    for count in (0, 2, 5, 25):
        with pytest.raises(ValueError, match="colors must have shape"):
            rasterize(replace(scene, colors=torch.rand(10, count, 3)), CAMERA)
    with pytest.raises(ValueError, match="width"):
        replace(CAMERA, width=0)


def test_a_device_that_cannot_draw():
    scene = gaussians_of(3, 10, 0.05, 0.5, (0.2, 0.9))
    with pytest.raises(UserError, match="cannot be drawn on the device meta"):
        rasterize(scene.to("meta"), CAMERA)
    with pytest.raises(ValueError, match="is on meta"):
        rasterize(replace(scene, colors=scene.colors.to("meta")), CAMERA)
