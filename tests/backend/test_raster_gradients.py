# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradients of the CPU rasteriser against torch autograd through the brute-force one, and finite
differences."""

import numpy as np
import pytest
import raster_reference as reference
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import rasterize
from lca_blender.backend.workers import set_threads
from test_raster_forward import camera_at, random_scene

NAMES = ("means", "covariances", "opacities", "colors")


def leaves(scene, dtype=torch.float32):
    return [getattr(scene, name).detach().to(dtype).requires_grad_() for name in NAMES]


def relative(ours, theirs):
    return ((ours.double() - theirs).norm() / theirs.norm().clamp_min(1e-12)).item()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 80),
    size=st.sampled_from([0.01, 0.05, 0.2]),
    orthographic=st.booleans(),
    extra=st.sampled_from([0, 3]),
)
def test_gradients_equal_autograd_through_the_brute_force_picture(seed, count, size, orthographic, extra):
    # Opacities stay low enough that no pixel ends early: at that edge the picture itself has a jump.
    scene = random_scene(count, seed, size=size, opacity=(0.05, 0.5 if count < 20 else 0.15))
    camera = camera_at(
        37, 29, orthographic=orthographic, fov=0.4
    )  # part of the cloud is outside of the picture
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(29, 37, 4 + extra, generator=g)
    features = torch.randn(count, extra, generator=g)

    ours, own_features = leaves(scene), features.clone().requires_grad_()
    passes = ("combined", "features") if extra else ("combined",)
    made = rasterize(Gaussians(*ours), camera, passes, features=own_features)
    picture = torch.cat(list(made.values()), -1)
    (picture * weight).sum().backward()

    theirs, their_features = leaves(scene, torch.float64), features.double().requires_grad_()
    values = torch.cat([theirs[3], their_features], 1)
    expected = reference.draw(*theirs[:3], values, camera)
    assume((picture - expected).abs().max() < 1e-4)  # else rounding took one across the cut at alpha 1/255
    (expected * weight).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert relative(a.grad, b.grad) < 2e-3
    if extra:
        assert relative(own_features.grad, their_features.grad) < 1e-3


def test_gradients_of_an_opaque_crowd():
    """Many layers and early ends: all but the few pixels at the edge of ending agree."""
    scene, camera = random_scene(400, 4, size=0.05, opacity=(0.3, 0.9)), camera_at(60, 50)
    weight = torch.randn(50, 60, 4, generator=torch.Generator().manual_seed(0))
    ours, theirs = leaves(scene), leaves(scene, torch.float64)
    (rasterize(Gaussians(*ours), camera)["combined"] * weight).sum().backward()
    (reference.draw(*theirs, camera) * weight).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert relative(a.grad, b.grad) < 5e-3


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name):
    scene = random_scene(12, 9, size=0.1, opacity=(0.2, 0.7))
    camera = camera_at(30, 20)
    weight = torch.randn(20, 30, 4, generator=torch.Generator().manual_seed(1)).double()

    def loss(tensors):
        return (reference.draw(*tensors, camera) * weight).sum().item()

    ours = leaves(scene)
    (rasterize(Gaussians(*ours), camera)["combined"] * weight.float()).sum().backward()
    k = NAMES.index(name)
    gradient = ours[k].grad.flatten()
    doubles = [t.detach().double() for t in ours]
    step = {"means": 1e-6, "covariances": 1e-8, "opacities": 1e-6, "colors": 1e-6}[name]
    checked = 0
    for j in range(0, gradient.numel(), 5):
        values = []
        for sign in (1, -1):
            moved = [t.clone() for t in doubles]
            moved[k].view(-1)[j] += sign * step
            if name == "covariances":  # stays symmetric: the mirrored entry moves along
                i, r, c = j // 9, j % 9 // 3, j % 3
                moved[k][i, c, r] = moved[k][i, r, c]
            values.append(loss(moved))
        slope = (values[0] - values[1]) / (2 * step)
        expected = gradient[j].item()
        if name == "covariances" and j % 9 // 3 != j % 3:
            expected *= 2
        # a pixel that crosses alpha = 1/255 makes the picture jump by that much: single slopes may be off
        checked += slope == pytest.approx(expected, rel=2e-2, abs=2e-2 * gradient.abs().max().item())
    assert checked >= 0.9 * len(range(0, gradient.numel(), 5))


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_bit_of_the_gradients(threads):
    scene, camera = random_scene(5000, 8, size=0.04), camera_at(150, 100)
    weight = torch.tensor(np.random.default_rng(0).normal(size=(100, 150, 4)), dtype=torch.float32)

    def gradients(count):
        set_threads(count)
        try:
            inputs = leaves(scene)
            viewmat = torch.tensor(camera.viewmat, dtype=torch.float32, requires_grad=True)
            picture = rasterize(Gaussians(*inputs), camera, viewmat=viewmat)["combined"]
            return torch.autograd.grad((picture * weight).sum(), [*inputs, viewmat])
        finally:
            set_threads(None)

    results = gradients(1), gradients(threads)
    for one, many in zip(*results, strict=True):
        assert one.abs().max() > 0
        assert torch.equal(one, many)


def test_depth_and_background_have_gradients():
    scene, camera = random_scene(30, 6, size=0.1, opacity=(0.2, 0.5)), camera_at(30, 20)
    ours = leaves(scene)
    background = torch.rand(20, 30, 3, requires_grad=True)
    made = rasterize(Gaussians(*ours), camera, ("combined", "depth"), background=background)
    covered = made["combined"][..., 3].detach() > 0.3
    (made["depth"][covered].sum() + made["combined"][..., :3].sum()).backward()
    torch.testing.assert_close(background.grad, (1 - made["combined"][..., 3:].detach()).expand(-1, -1, 3))

    theirs = leaves(scene, torch.float64)
    z = reference.camera_z(theirs[0], camera)
    layers = reference.draw(*theirs[:3], torch.cat([theirs[3], z[:, None]], 1), camera)
    alpha = layers[..., 3]
    over = layers[..., :3] + (1 - alpha)[..., None] * background.detach().double()
    ((layers[..., 4][covered] / alpha[covered]).sum() + over.sum()).backward()
    for a, b in zip(ours, theirs, strict=True):
        assert relative(a.grad, b.grad) < 2e-3


def test_what_is_not_drawn_has_zero_gradient():
    scene, camera = random_scene(20, 3), camera_at()
    scene.means[0] = torch.tensor([0.0, -50.0, 0.0])
    scene.means[1, 0] = float("nan")
    ours = leaves(scene)
    rasterize(Gaussians(*ours), camera)["combined"].sum().backward()
    for tensor in ours:
        assert torch.isfinite(tensor.grad).all()
        assert not tensor.grad[:2].any()
        assert tensor.grad[2:].any()


def test_a_few_steps_fit_a_picture():
    """Gradient descent through the rasteriser moves, shapes and colours a few Gaussians into a given
    picture."""
    camera = camera_at(32, 24)
    target = rasterize(random_scene(15, 1, spread=0.3, size=0.12), camera)["combined"]
    start = random_scene(15, 2, spread=0.3, size=0.12)
    means, colors = start.means.clone().requires_grad_(), start.colors.clone().requires_grad_()
    optimiser = torch.optim.Adam([means, colors], lr=0.02)
    losses = []
    for _ in range(150):
        made = rasterize(Gaussians(means, start.covariances, start.opacities, colors), camera)["combined"]
        loss = (made - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
