# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops: what is cut out lands where it came from; augmentation keeps picture, matte and points together."""

import numpy as np
import pytest
from lca_blender.backend.imaging.correspondence import Correspondence, masked_crop
from lca_blender.backend.imaging.crops import Box, crop, cut, feather, guided_filter, paste, resize
from lca_blender.backend.imaging.finding import windows
from lca_blender.backend.imaging.training import augment


def coordinates(height, width):
    """[H,W,2] continuous (x, y) of pixel centres."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y], axis=-1).astype(np.float32)


def test_cut_over_the_border_is_grey_outside():
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    piece = cut(image, Box(-1, 2, 3, 6))
    assert piece.shape == (4, 4)
    assert np.array_equal(piece[:2, 1:], image[2:4, :3])
    assert (piece[:, 0] == 0.5).all()
    assert (piece[2:] == 0.5).all()


def test_crop_maps_pixel_edges_to_pixel_edges():
    image = coordinates(300, 200)
    box = Box(40, 60, 136, 188)  # 128 x 96
    for height, width in ((64, 48), (128, 96), (256, 192)):
        piece = crop(image, box, height, width)
        expected = coordinates(height, width) * (96 / width) + (40, 60)
        inner = (slice(4, -4), slice(4, -4))
        assert np.abs(piece - expected)[inner].max() < 0.01


def test_crop_of_a_box_much_larger_than_the_picture():
    image = np.ones((1500, 3000, 3), np.float32)
    piece = crop(image, Box(0, -1250, 3000, 2750), 256, 192)
    assert np.abs(piece[128] - 1).max() < 1e-5
    assert np.abs(piece[:60] - 0.5).max() < 1e-5


def test_paste_undoes_crop():
    rng = np.random.default_rng(0)
    image = resize(rng.random((12, 9, 3), dtype=np.float32), 120, 90)
    canvas = np.zeros_like(image)
    box = Box(-10, 20, 50, 100)
    paste(canvas, crop(image, box, 160, 120), box)
    inner = (slice(24, 96), slice(3, 46))  # at the crop's edges the grey outside comes in
    assert np.abs(canvas[inner] - image[inner]).max() < 0.03
    assert (canvas[:20] == 0).all()
    assert (canvas[:, 50:] == 0).all()
    paste(canvas, np.ones((4, 4, 3), np.float32), Box(200, 200, 240, 240))  # nothing of it is inside


def test_paste_blends_by_weight():
    canvas = np.ones((100, 100), np.float32)
    paste(canvas, np.zeros((40, 40), np.float32), Box(30, 30, 70, 70), feather(40, 40, 0.25))
    assert canvas[50, 50] == 0
    assert canvas[30, 50] > 0.9
    assert 0.3 < canvas[35, 50] < 0.7


def test_grown_box_has_the_aspect_and_holds_the_old_one():
    for box in (Box(10, 10, 20, 200), Box(0, 0, 300, 40), Box(5, 5, 6, 6)):
        grown = box.grown(0.1, 0.75)
        assert grown.width / grown.height == pytest.approx(0.75, abs=0.6 / min(grown.height, grown.width))
        assert grown.left <= box.left
        assert grown.right >= box.right
        assert grown.top <= box.top
        assert grown.bottom >= box.bottom


def test_box_of_mask():
    mask = np.zeros((20, 30), bool)
    mask[4:9, 7:22] = True
    assert Box.of_mask(mask) == Box(7, 4, 22, 9)
    with pytest.raises(ValueError, match="empty"):
        Box.of_mask(np.zeros((3, 3), bool))


@pytest.mark.parametrize("size", [(512, 512), (2048, 400), (300, 2048), (640, 480), (48, 48)])
def test_windows_cover_the_picture(size):
    seen = np.zeros(size, bool)
    for box in windows(*size):
        inner = box.inside(*size)
        seen[inner.top : inner.bottom, inner.left : inner.right] = True
        assert box.width / box.height == pytest.approx(0.75, abs=0.02)
    assert seen.all()


def test_guided_filter_follows_the_guide():
    guide = np.zeros((64, 64), np.float32)
    guide[:, 30:] = 1
    soft = np.clip((np.arange(64, dtype=np.float32) - 24) / 16, 0, 1)[None].repeat(64, 0)
    sharp = guided_filter(guide, soft, 8, 1e-4)
    jump = sharp[32, 30] - sharp[32, 29]
    assert jump > 0.4
    assert jump > 5 * (soft[32, 30] - soft[32, 29])
    constant = guided_filter(guide, np.full((64, 64), 0.3, np.float32), 8, 1e-4)
    assert np.abs(constant - 0.3).max() < 1e-5


def test_masked_crop_keeps_the_background_out():
    rgb = np.zeros((200, 150, 3), np.float32)
    rgb[..., 1] = 1  # green all round
    matte = np.zeros((200, 150), np.float32)
    matte[50:150, 40:110] = 1
    rgb[matte > 0] = (1, 0, 0)
    points = np.dstack([coordinates(200, 150), matte])
    found = Correspondence(matte, points, matte, Box(40, 50, 110, 150), None)
    rgba, cut_points = masked_crop(rgb, found, Box(20, 40, 125, 180), 70, 53)
    shown = rgba[..., 3] > 0.05
    assert np.abs(rgba[shown][:, :3] - (1, 0, 0)).max() < 0.01
    expected = coordinates(70, 53) * 2 + (20, 40)
    assert np.abs(cut_points[..., :2] - expected).max() < 1.6
    assert rgba[..., 3].mean() == pytest.approx(100 * 70 / (105 * 140), abs=0.02)


def disc_view(height=256, width=192, centre=(96, 120), radius=70):
    """A disc whose template points are its own pixel coordinates in metres, x from the disc's middle."""
    places = coordinates(height, width)
    inside = np.hypot(places[..., 0] - centre[0], places[..., 1] - centre[1]) < radius
    points = np.zeros((height, width, 3), np.float32)
    points[..., 0] = (places[..., 0] - centre[0]) / 100
    points[..., 2] = places[..., 1] / 100
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[inside] = (200, 40, 40, 255)
    points[~inside] = 0
    return rgba, points


def test_warp_moves_points_with_the_picture():
    rgba, points = disc_view()
    window = augment.Window(96, 120, 180, 135, turn=0.3)
    new, moved = augment.warp(rgba, points, window, 256, 192)
    places = np.concatenate([coordinates(256, 192), np.ones((256, 192, 1))], axis=-1)
    source = places @ window.affine(256, 192).T
    inside = np.hypot(source[..., 0] - 96, source[..., 1] - 120) < 68
    assert (new[inside][:, 3] > 200).all()
    assert np.abs(moved[inside][:, 0] * 100 + 96 - source[inside][:, 0]).max() < 0.51
    assert np.abs(moved[inside][:, 2] * 100 - source[inside][:, 1]).max() < 0.51
    outside = np.hypot(source[..., 0] - 96, source[..., 1] - 120) > 73
    assert (new[outside][:, 3] < 20).all()


def test_mirror_swaps_left_and_right():
    rgba, points = disc_view(centre=(60, 120))
    rgba[:, :60, 1] = 255
    mirrored, moved = augment.mirror(rgba, points)
    assert np.array_equal(mirrored[:, ::-1], rgba)
    assert np.allclose(moved[120, 191 - 40, 0], -points[120, 40, 0])
    assert np.allclose(moved[120, 191 - 40, 2], points[120, 40, 2])


def grey_background(rng, height, width):
    return np.full((height, width, 3), rng.integers(0, 255), np.uint8)


def test_samples_are_well_formed_and_vary():
    rgba, points = disc_view()
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sample = augment.make_sample(rng, rgba, points, grey_background, 256, 192)
        assert sample.rgb.shape == (256, 192, 3)
        assert sample.rgb.dtype == np.uint8
        assert sample.points.dtype == np.float16
        assert np.isfinite(sample.points).all()
        assert (sample.points[sample.alpha <= 127] == 0).all()
        shares.append((sample.alpha > 127).mean())
    assert min(shares) < 0.08  # small ones
    assert max(shares) > 0.6  # close ones
    empty = augment.make_empty_sample(np.random.default_rng(1), grey_background, 256, 192)
    assert empty.alpha.max() == 0


def test_a_person_cut_by_the_source_never_floats():
    rgba, _ = disc_view(centre=(96, 230))  # cut at the bottom
    for seed in range(200):
        window = augment.random_window(np.random.default_rng(seed), rgba[..., 3], 0.75)
        assert window.turn == 0
        assert window.y + window.height / 2 <= 256 + 1e-6
