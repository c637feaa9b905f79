# SPDX-License-Identifier: GPL-3.0-or-later
"""The same C source gives the same picture on other processors and under Windows."""

import kernel_replay as replay
import numpy as np
import pytest
import test_shading
import torch
from avatar_fixtures import make_avatar, make_signal
from lca_blender.backend import workers
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.lighting.lights import Lights
from lca_blender.backend.lighting.surface import AvatarSurface
from lca_blender.backend.raster import Camera, look_at, rasterize

COUNT = 3000


def draw() -> None:
    generator = torch.Generator().manual_seed(5)
    means = torch.randn(COUNT, 3, generator=generator) * 0.3
    quats = torch.randn(COUNT, 4, generator=generator)
    scales = torch.rand(COUNT, 3, generator=generator) * 0.03 + 0.002
    opacities, colors = torch.rand(COUNT, generator=generator), torch.rand(COUNT, 3, generator=generator)
    scene = Gaussians.from_quats_scales(means, quats, scales, opacities, colors)
    camera = Camera.from_fov(look_at((0.2, -2, 0.3), (0, 0, 0)), 0.7, 100, 70)
    rasterize(scene, camera, ("combined", "depth", "normal"))
    scene.means.requires_grad_()
    rasterize(scene, camera)["combined"].square().sum().backward()


def shade() -> None:
    spheres = test_shading.lit_spheres([(0, 0, 0), (0, 0, 0.7)], count=400)
    lights = Lights((1, 1, 1), test_shading.sky(), tuple(test_shading.LAMPS))
    spheres.shaded(lights, test_shading.CAMERA)
    avatar = make_avatar()
    AvatarSurface.of(avatar).posed_normals(avatar.joints(make_signal()).numpy())


@pytest.fixture
def calls(monkeypatch):
    workers.set_threads(1)
    drawn, shaded = (replay.record(monkeypatch, action) for action in (draw, shade))
    yield drawn + [call for call in shaded if call.kernel.name.startswith("lca_light")]
    workers.set_threads(None)


@pytest.mark.parametrize("machine", replay.MACHINES)
def test_other_machines_compute_the_same(machine, calls, tmp_path):
    if not replay.can_run(machine):
        pytest.skip(f"{replay.MACHINES[machine][2]} is not installed.")
    assert len(calls) >= 8 + 8
    for call, made in zip(calls, replay.replay(calls, machine, tmp_path), strict=True):
        for name, mine in call.after.items():
            assert_alike(f"{call.kernel.name} {name}", mine, made[name])


def assert_alike(name: str, mine: np.ndarray, other: np.ndarray) -> None:
    """Equal but for the last bits of floats, which decide differently once in a long while."""
    if mine.dtype.kind == "f":
        scale = np.nanmax(np.abs(np.where(np.isfinite(mine), mine, 0)), initial=1e-6)
        with np.errstate(invalid="ignore"):  # depth is infinite where nothing is
            same = np.isclose(mine, other, rtol=1e-3, atol=1e-5 * scale, equal_nan=True)
    else:
        same = np.isclose(mine, other, rtol=1e-8, atol=0)  # sort keys hold floats' bits
    differ = (~same).sum()
    assert differ <= same.size // 1000, f"{name}: {differ} of {mine.dtype} {mine.shape} differ"
