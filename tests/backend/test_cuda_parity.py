# SPDX-License-Identifier: GPL-3.0-or-later
"""The code for graphics cards, run on the CPU: gsplat's torch reference stands in for its CUDA functions."""

from dataclasses import replace

import pytest
import torch
from avatar_fixtures import make_avatar, make_signal, scattered
from lca_blender.backend.body.expression import apply_face_joints
from lca_blender.backend.drive_torch import AvatarOnDevice
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import look_at, rasterize
from lca_blender.backend.raster.gsplat import pictures
from lca_blender.backend.raster.inputs import Shot
from lca_blender.backend.training.bench import gsplat_reference as gsplat
from raster_scenes import camera_of, gaussians_of


def inputs_of(avatar, signal):
    face = (signal.expression, signal.gaze, avatar.joint_heads, avatar.template_version)
    transforms = apply_face_joints(signal.transforms, *face)
    return signal.features(), signal.expression, transforms


def psnr(a, b):
    return (-10 * torch.log10((a.double() - b.double()).square().mean() + 1e-20)).item()


# ---- driving ----


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", ["regular", "scattered"])
def test_torch_drives_an_avatar_as_the_kernel_does(seed, order):
    avatar, signal = make_avatar(seed=seed), make_signal(seed)
    if order == "scattered":
        _, avatar = scattered(avatar)
    made = AvatarOnDevice(avatar, "cpu").drive(*inputs_of(avatar, signal))
    expected = avatar.drive(signal)
    torch.testing.assert_close(made.means, expected.means, atol=2e-5, rtol=0)
    scale = expected.covariances.abs().amax((1, 2), keepdim=True)
    assert ((made.covariances - expected.covariances).abs() / scale).max() < 1e-3
    torch.testing.assert_close(made.colors, expected.colors, atol=1e-4, rtol=0)
    assert torch.equal(made.opacities, expected.opacities)


def test_another_device_is_driven_by_torch():
    """PyTorch's device `meta` computes shapes alone: every step of the path runs, none on the CPU."""
    avatar = make_avatar()
    for _ in range(2):
        made = avatar.drive(make_signal(0), device="meta")
        assert made.means.device.type == made.colors.device.type == "meta"
        assert made.covariances.shape == (len(avatar), 3, 3)
    assert len(avatar._devices) == 1


# ---- pictures ----

FIELDS = ("means", "covariances", "opacities", "colors")


def shots_of(kinds, seed, **wanted):
    return [Shot(camera_of(kind, seed + i, 60, 50), **wanted) for i, kind in enumerate(kinds)]


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("degree", [None, 0, 3])
@pytest.mark.parametrize(
    "kinds", [("pinhole", "pinhole", "crop"), ("orthographic",), ("inside", "orthographic")]
)
def test_pictures_are_the_cpus(kinds, degree, antialiased):
    """Every pass of several cameras in one call, over a background, in floats and bytes."""
    scene, features = gaussians_of(1, 60, 0.08, 0.5, (0.1, 0.9), degree), torch.rand(60, 5)
    wanted = {"features": features, "depth": True, "normal": True, "antialiased": antialiased}
    background = torch.tensor([0.3, 0.1, 0.7])
    shots = shots_of(kinds, 3, background=background, **wanted)
    cameras = [shot.camera for shot in shots]
    passes = ("combined", "depth", "normal", "features")
    arguments = {"features": features, "background": background, "antialiased": antialiased}
    expected = rasterize(scene, cameras, passes, **arguments)
    with gsplat.in_place_of_cuda():
        made = pictures(scene, shots)
        small = pictures(scene, shots_of(kinds, 3, background=background, dtype=torch.uint8))
    for i, (picture, layers) in enumerate(made):
        assert psnr(picture, expected["combined"][i]) > 90
        alpha = picture[..., 3:]
        depth = torch.where(alpha > 0, layers[..., :1] / alpha.clamp(min=1e-6), 0.0)
        assert psnr(depth[..., 0], expected["depth"][i]) > 70
        normal = torch.nn.functional.normalize(layers[..., 1:4], dim=-1, eps=1e-8)
        assert psnr(normal, expected["normal"][i]) > 60
        assert psnr(layers[..., 4:], expected["features"][i]) > 90
    exact = rasterize(scene, cameras, dtype=torch.uint8, background=background)["combined"]
    for (picture, layers), other in zip(small, exact, strict=True):
        assert layers.shape == (50, 60, 0)
        assert (picture.int() - other.int()).abs().max() <= 1


def test_an_orthographic_camera_sees_what_is_behind_it():
    scene, camera = gaussians_of(2, 60, 0.08, 0.5, (0.3, 0.9)), camera_of("orthographic", 2, 60, 50)
    camera = replace(camera, viewmat=look_at((0, -0.1, 0), (0, 0, 0)), near=-3.0)
    with gsplat.in_place_of_cuda():
        [(picture, _)] = pictures(scene, [Shot(camera)])
    assert psnr(picture, rasterize(scene, camera)["combined"]) > 90


def test_nonsense_and_nobody():
    scene, camera = gaussians_of(3, 40, 0.08, 0.5, (0.3, 0.9)), camera_of("pinhole", 3, 60, 50)
    features = torch.rand(40, 2)
    for i, tensor in enumerate((*(getattr(scene, name) for name in FIELDS), features)):
        tensor[i].fill_(float("nan") if i % 2 else float("inf"))
    inputs = [getattr(scene, name).clone().requires_grad_() for name in FIELDS]
    with gsplat.in_place_of_cuda():
        [(picture, layers)] = pictures(Gaussians(*inputs), [Shot(camera, features=features)])
    assert psnr(picture, rasterize(scene, camera)["combined"]) < 90  # a colour is dropped with its features
    expected = rasterize(scene, camera, ("combined", "features"), features=features)
    assert psnr(picture, expected["combined"]) > 90
    assert psnr(layers, expected["features"]) > 90
    for gradient in torch.autograd.grad(picture.sum(), inputs):
        assert torch.isfinite(gradient).all()
        assert not gradient[:5].any()
    nobody = Gaussians(*(getattr(scene, name)[:0] for name in FIELDS))
    [(picture, layers)] = pictures(nobody, [Shot(camera, features=features[:0])])
    assert picture.shape == (50, 60, 4)
    assert layers.shape == (50, 60, 2)
    assert not picture.any()


@pytest.mark.parametrize("degree", [None, 2])
def test_gradients_are_the_cpus(degree):
    """Through two cameras, to the scene and to where the cameras stand."""
    scene = gaussians_of(4, 40, 0.08, 0.5, (0.1, 0.7), degree)
    shots = shots_of(("pinhole", "pinhole"), 5)
    viewmats = torch.stack([torch.tensor(shot.camera.viewmat) for shot in shots]).float()
    weight = torch.randn(2, 50, 60, 4, generator=torch.Generator().manual_seed(0))
    results = []
    for cuda in (True, False):
        inputs = [getattr(scene, name).clone().requires_grad_() for name in FIELDS]
        views = viewmats.clone().requires_grad_()
        gaussians = Gaussians(*inputs)
        if cuda:
            with gsplat.in_place_of_cuda():
                placed = [replace(shot, viewmat=view) for shot, view in zip(shots, views, strict=True)]
                picture = torch.stack([made for made, _ in pictures(gaussians, placed)])
        else:
            picture = rasterize(gaussians, [shot.camera for shot in shots], viewmat=views)["combined"]
        results.append(torch.autograd.grad(picture, [*inputs, views], weight))
    for mine, other in zip(*results, strict=True):
        assert (mine - other).norm() < 1e-3 * other.norm()
