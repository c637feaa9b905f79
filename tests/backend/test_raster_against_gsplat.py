# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and gradients of the rasteriser against gsplat's own torch reference in double precision."""

import numpy as np
import pytest
import raster_reference as brute_force
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import rasterize
from lca_blender.backend.training.bench import gsplat_reference as gsplat
from raster_scenes import CAMERAS, camera_of, gaussians_of, scenes

FIELDS = ("means", "covariances", "opacities", "colors")


def doubles(gaussians):
    return [getattr(gaussians, name).double() for name in FIELDS]


def at_a_jump(scene, picture):
    """[H,W]: pixels where 1e-5 more or less opacity moves the reference's picture by more than 1e-4. There a
    fragment crosses alpha = 1/255 or the end of the light: single and double precision may fall on either
    side."""
    means, covariances, opacities, colors = doubles(scene.gaussians)
    jumps = torch.zeros(picture.shape[:2], dtype=torch.bool)
    for change in (1 - 1e-5, 1 + 1e-5):
        moved = gsplat.draw(
            means, covariances, opacities * change, colors, scene.camera, antialiased=scene.antialiased
        )
        jumps |= ((moved - picture).abs() > 1e-4).any(-1)
    return jumps


@settings(max_examples=200, deadline=None, derandomize=True)
@given(scenes())
def test_pictures_are_gsplats(scene):
    """At least 100 dB, and no pixel off by more than 1e-3 but one in 10,000 where the picture itself
    jumps."""
    theirs = gsplat.draw(*doubles(scene.gaussians), scene.camera, antialiased=scene.antialiased)
    ours = rasterize(scene.gaussians, scene.camera, antialiased=scene.antialiased)["combined"]
    error = (ours - theirs).abs()
    outliers = (error > 1e-3).any(-1)
    if outliers.any():
        assert outliers.sum() <= max(1, outliers.numel() // 10_000)
        assert not (outliers & ~at_a_jump(scene, theirs)).any()
        error[outliers] = 0
    assert -10 * torch.log10(error.square().mean() + 1e-20) > 100


def weight_where_equal(ours, theirs, seed):
    """A random gradient of the picture, 0 at pixels (at most one in 10,000) that a jump made different."""
    equal = (ours - theirs).abs().amax(-1, keepdim=True) < 2e-4
    assert (~equal).sum() <= max(1, equal.numel() // 10_000)
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=ours.shape), dtype=torch.float32) * equal


def leaves(tensors, dtype):
    return [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]


def gradients(picture, weight, inputs):
    """Of the weighted sum of the picture; zeros of what nothing of it came from."""
    nothing = sum(0 * tensor.sum() for tensor in inputs)
    return torch.autograd.grad((picture * weight).sum() + nothing, inputs)


def assert_equal_gradients(ours, theirs, names, bar=1e-4):
    for name, mine, other in zip(names, ours, theirs, strict=True):
        size = other.norm()
        off = (mine.double() - other).norm() / size if size > 1e-9 else mine.norm()
        assert off < bar, f"{name}: {off:.1e}"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(scenes(most=60, sides=(24, 64), opacity=((0.02, 0.6), (0.3, 0.95))), st.sampled_from([0, 1, 5, 8]))
def test_gradients_are_gsplats(scene, channels):
    """Means, covariances, opacities, colours or spherical harmonics, features."""
    rng = np.random.default_rng(scene.seed)
    count = len(scene.gaussians)
    features = torch.tensor(rng.normal(size=(count, channels)), dtype=torch.float32)
    inputs = [getattr(scene.gaussians, name) for name in FIELDS] + [features]
    ours, theirs = leaves(inputs, torch.float32), leaves(inputs, torch.float64)
    passes = ("combined", "features") if channels else ("combined",)
    made = rasterize(
        Gaussians(*ours[:4]), scene.camera, passes, features=ours[4], antialiased=scene.antialiased
    )
    picture = torch.cat([made[name] for name in passes], -1)
    expected = gsplat.draw(*theirs[:4], scene.camera, features=theirs[4], antialiased=scene.antialiased)
    weight = weight_where_equal(picture.detach(), expected.detach(), scene.seed)
    names = (*FIELDS, "features")[: 5 if channels else 4]
    mine = gradients(picture, weight, ours[: len(names)])
    assert_equal_gradients(mine, gradients(expected, weight, theirs[: len(names)]), names)


@pytest.mark.parametrize("antialiased", [False, True])
def test_gradients_reach_quaternions_and_scales(antialiased):
    scene = gaussians_of(3, 40, 0.05, 0.4, (0.1, 0.7))
    camera = camera_of("pinhole", 3, 60, 50)
    rng = np.random.default_rng(0)
    quats = torch.tensor(rng.normal(size=(40, 4)), dtype=torch.float32)
    scales = torch.tensor(rng.uniform(0.02, 0.1, size=(40, 3)), dtype=torch.float32)
    ours, theirs = leaves((quats, scales), torch.float32), leaves((quats, scales), torch.float64)
    made = Gaussians.from_quats_scales(scene.means, *ours, scene.opacities, scene.colors)
    picture = rasterize(made, camera, antialiased=antialiased)["combined"]
    implementation, _ = gsplat.load()
    covariances, _ = implementation._quat_scale_to_covar_preci(*theirs, compute_preci=False)
    means, _, opacities, colors = doubles(scene)
    expected = gsplat.draw(means, covariances, opacities, colors, camera, antialiased=antialiased)
    weight = weight_where_equal(picture.detach(), expected.detach(), 0)
    mine, other = gradients(picture, weight, ours), gradients(expected, weight, theirs)
    assert_equal_gradients(mine, other, ("quats", "scales"))


def twists(gradient, viewmat):
    """The gradient [4,4] of a pose along its six motions, three translations and three turns [6]."""
    out = []
    for axis in range(3):
        for turn in (False, True):
            motion = torch.zeros(4, 4, dtype=torch.float64)
            if turn:
                a, b = (axis + 1) % 3, (axis + 2) % 3
                motion[b, a], motion[a, b] = 1, -1
            else:
                motion[axis, 3] = 1
            out.append((gradient.double() * (motion @ viewmat.double())).sum())
    return torch.stack(out)


@pytest.mark.parametrize("kind", CAMERAS)
@pytest.mark.parametrize("degree", [None, 3])
def test_gradients_reach_the_camera(kind, degree):
    scene, camera = gaussians_of(5, 60, 0.05, 0.5, (0.1, 0.7), degree), camera_of(kind, 5, 60, 50)
    viewmat = torch.tensor(camera.viewmat)
    ours, theirs = viewmat.float().requires_grad_(), viewmat.clone().requires_grad_()
    picture = rasterize(scene, camera, viewmat=ours)["combined"]
    expected = gsplat.draw(*doubles(scene), camera, viewmat=theirs)
    weight = weight_where_equal(picture.detach(), expected.detach(), 0)
    (mine,), (other,) = gradients(picture, weight, [ours]), gradients(expected, weight, [theirs])
    assert_equal_gradients([twists(mine, viewmat)], [twists(other, viewmat)], ["pose"])
    if degree is None:  # of spherical harmonics, entries alone depend on how the camera's place is found
        assert_equal_gradients([mine], [other], ["viewmat"])


def test_the_reference_is_the_brute_force_picture():
    """Written by others in another way, the same in double precision to the last digits."""
    for seed, kind in enumerate(CAMERAS[:4]):
        scene, camera = gaussians_of(seed, 80, 0.05, 0.7, (0.05, 0.9)), camera_of(kind, seed, 70, 50)
        theirs = gsplat.draw(*doubles(scene), camera)
        torch.testing.assert_close(theirs, brute_force.draw(*doubles(scene), camera), atol=1e-9, rtol=0)


def test_the_references_gradients_are_finite_differences():
    scene, camera = gaussians_of(1, 3, 0.1, 0.2, (0.3, 0.6), degree=2), camera_of("pinhole", 1, 7, 6)
    inputs = [tensor.requires_grad_() for tensor in doubles(scene)]
    inputs.append(torch.tensor(camera.viewmat).requires_grad_())

    def picture(means, covariances, opacities, colors, viewmat):
        return gsplat.draw(means, covariances, opacities, colors, camera, viewmat=viewmat, antialiased=True)

    assert torch.autograd.gradcheck(picture, inputs, eps=1e-7, atol=1e-5, rtol=1e-4)


def test_covariances_have_the_gradients_of_finite_differences():
    rng = np.random.default_rng(2)
    quats = torch.tensor(rng.normal(size=(4, 4))).requires_grad_()
    scales = torch.tensor(rng.uniform(0.1, 2.0, size=(4, 3))).requires_grad_()
    rest = torch.zeros(4, 3, dtype=torch.float64), torch.ones(4).double(), torch.ones(4, 3).double()

    def covariances(quats, scales):
        return Gaussians.from_quats_scales(rest[0], quats, scales, *rest[1:]).covariances

    assert torch.autograd.gradcheck(covariances, (quats, scales))
