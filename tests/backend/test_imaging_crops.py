# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops: what is cut out lands where it came from."""

import numpy as np
import pytest
from lca_blender.backend.imaging.correspondence import Correspondence, masked_crop
from lca_blender.backend.imaging.crops import Box, crop, cut, guided_filter, paste, resize


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
    found = Correspondence(matte, points, 0 * matte, matte, Box(40, 50, 110, 150), None, None, None)
    rgba, cut_points = masked_crop(rgb, found, Box(20, 40, 125, 180), 70, 53)
    shown = rgba[..., 3] > 0.05
    assert np.abs(rgba[shown][:, :3] - (1, 0, 0)).max() < 0.01
    expected = coordinates(70, 53) * 2 + (20, 40)
    assert np.abs(cut_points[..., :2] - expected).max() < 1.6
    assert rgba[..., 3].mean() == pytest.approx(100 * 70 / (105 * 140), abs=0.02)
