# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at, rasterize


def pixel(camera, point):
    p = camera.viewmat @ np.array([*point, 1.0])
    q = camera.K @ (p[:3] if camera.orthographic else p[:3] / p[2])
    if camera.orthographic:
        return camera.K[[0, 1], [0, 1]] * p[:2] + camera.K[:2, 2]
    return q[:2]


def test_look_at_puts_the_target_in_the_middle_and_up_upwards():
    camera = Camera.from_fov(look_at((1.0, -4.0, 2.0), (0.0, 0.0, 1.0)), 0.7, 80, 60)
    np.testing.assert_allclose(pixel(camera, (0, 0, 1)), (40, 30), atol=1e-9)
    assert pixel(camera, (0, 0, 1.2))[1] < 30  # row 0 is the top
    np.testing.assert_allclose(camera.position, (1, -4, 2), atol=1e-12)
    rotation = camera.viewmat[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_from_the_front_the_subjects_left_is_on_the_right():
    """The person faces -Y and its left is +X."""
    camera = Camera.from_fov(look_at((0, -3.0, 1.0), (0, 0, 1.0)), 0.7, 80, 60)
    assert pixel(camera, (0.3, 0, 1))[0] > 40


def test_straight_down_is_allowed():
    camera = Camera.from_fov(look_at((0, 0, 5.0), (0, 0, 0)), 0.7, 80, 60)
    assert np.isfinite(camera.viewmat).all()
    assert pixel(camera, (0, 1.0, 0))[1] < 30


@pytest.mark.parametrize("orthographic", [False, True])
def test_scaling_and_cropping_move_pixels_as_they_should(orthographic):
    make = Camera.from_ortho if orthographic else Camera.from_fov
    camera = make(look_at((1.0, -4.0, 2.0), (0, 0, 1.0)), 2.0, 80, 60)
    at = pixel(camera, (0.2, 0.1, 1.3))
    np.testing.assert_allclose(pixel(camera.scaled(2.5), (0.2, 0.1, 1.3)), 2.5 * at)
    np.testing.assert_allclose(pixel(camera.crop(7, -3, 20, 20), (0.2, 0.1, 1.3)), at - (7, -3))
    assert (camera.scaled(2.5).width, camera.scaled(2.5).height) == (200, 150)


def test_tensors_are_taken_and_kept_as_arrays():
    camera = Camera(torch.eye(4), torch.eye(3), 4.0, 5)
    assert camera.viewmat.dtype == np.float64
    assert isinstance(camera.width, int)
    with pytest.raises(ValueError, match="read-only"):
        camera.viewmat[0, 0] = 2


def test_bad_cameras_are_refused():
    eye, K = np.eye(4), np.eye(3)
    with pytest.raises(ValueError, match="viewmat must have shape"):
        Camera(np.eye(3), K, 4, 4)
    with pytest.raises(ValueError, match="NaN or infinity"):
        Camera(eye * np.nan, K, 4, 4)
    for width in (0, -1, 2.5, 10**9):
        with pytest.raises(ValueError, match="width must be"):
            Camera(eye, K, width, 4)
    with pytest.raises(ValueError, match="near must be"):
        Camera(eye, K, 4, 4, near=0.0)
    with pytest.raises(ValueError, match="focal"):
        Camera(eye, np.diag([0.0, 1, 1]), 4, 4)
    with pytest.raises(ValueError, match="look at the point"):
        look_at((1, 2, 3), (1, 2, 3))
    with pytest.raises(ValueError, match="field of view"):
        Camera.from_fov(eye, 4.0, 4, 4)


def test_upside_down_is_the_same_picture_with_its_rows_turned_over():
    K = [[70.0, 0, 20], [0, 80, 31], [0, 0, 1]]
    for orthographic in (False, True):
        camera = Camera(look_at((0.5, -3, 1), (0, 0, 0.9)), K, 45, 57, orthographic)
        turned = camera.upside_down()
        for point in np.random.default_rng(3).normal(size=(20, 3)) * 0.5:
            x, y = pixel(camera, point)
            assert pixel(turned, point) == pytest.approx((x, 57 - y))
        assert turned.position == pytest.approx(camera.position)
        assert turned.forward == pytest.approx(camera.forward)


def test_a_picture_made_upside_down():
    random = torch.Generator().manual_seed(4)
    scene = Gaussians.from_quats_scales(
        torch.randn(60, 3, generator=random) * 0.4,
        torch.randn(60, 4, generator=random),
        torch.rand(60, 3, generator=random) * 0.15 + 0.02,
        torch.full((60,), 0.9),
        torch.rand(60, 3, generator=random),
    )
    camera = Camera.from_fov(look_at((0.5, -3, 1), (0, 0, 0)), 0.7, 45, 57)
    passes = ("combined", "depth", "normal")
    plain, turned = (rasterize(scene, c, passes) for c in (camera, camera.upside_down()))
    for name in passes:
        off = (plain[name] - turned[name].flip(0)).abs()
        assert off.quantile(0.999) < 1e-4  # a pixel may fall on the other side of the alpha floor
        assert off.max() < 0.05
        assert plain[name].abs().max() > 0.5
