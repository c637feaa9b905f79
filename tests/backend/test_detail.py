# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels of plain areas are merged into blocks, pixels with detail are not."""

import numpy as np
import pytest
from lca_blender.backend.likeness import detail
from lca_blender.backend.likeness.cushion import DepthMap
from lca_blender.backend.likeness.window import Window
from lca_blender.backend.raster import Camera
from test_likeness import PLACES

SIZE = 64, 48
NOISY = np.s_[:, 24:]  # the right half has detail


def window_of(rgb):
    K = np.array([[100.0, 0, 24], [0, 100, 32], [0, 0, 1]])
    return Window(Camera(np.eye(4), K, *SIZE[::-1]), rgb, np.ones(SIZE, np.float32), np.ones(SIZE, bool))


def flat(**changes):
    """A surface two metres away that leans to one side by a tenth of a pixel a pixel."""
    front = 2 + 0.002 * np.tile(np.arange(SIZE[1]), (SIZE[0], 1))
    none = np.zeros(SIZE, int)
    shape = DepthMap(
        front, front, none > 0, none, none > 0, 0.0 * none, np.zeros((2, *SIZE), int), none, unit=0.02
    )
    return shape._replace(**changes)


def half_noisy():
    rgb = np.full((*SIZE, 3), 0.5, np.float32)
    rgb[NOISY] = np.random.default_rng(0).random(rgb[NOISY].shape)
    return rgb


def levels_of(rgb, shape, used=None):
    window, used = window_of(rgb), np.ones(SIZE, bool) if used is None else used
    found = detail.blocks(PLACES, window, shape, used)
    return detail.levels(window, shape, used, found, detail.threshold([found], False))


def coverage(levels):
    """[h,w] how many Gaussians stand for each pixel."""
    taken = [level.taken.astype(int) for level in levels]
    return sum(t.repeat(size, 0).repeat(size, 1) for t, size in zip(taken, (1, 2, 4), strict=True))


def test_every_used_pixel_is_drawn_once():
    used = np.random.default_rng(1).random(SIZE) < 0.97
    levels = levels_of(half_noisy(), flat(), used)
    covered = coverage(levels)
    assert (covered[used] == 1).all()
    assert not (covered[~used] > 0).any()  # a block that is not wholly used is parted


def test_plain_areas_are_merged_and_detail_is_not():
    fine, _, coarse = levels_of(half_noisy(), flat())
    assert fine.taken[NOISY].all()
    assert not fine.taken[:, :24].any()
    assert coarse.taken[:, :6].all()
    np.testing.assert_allclose(coarse.window.rgb[:, :6], 0.5, atol=1e-6)
    np.testing.assert_allclose(coarse.window.camera.K[:2], fine.window.camera.K[:2] / 4)
    np.testing.assert_allclose(coarse.shape.front, flat().front.reshape(16, 4, 12, 4).mean((1, 3)))


@pytest.mark.parametrize("room", [300, 700, 1500])
def test_no_more_gaussians_than_there_is_room_for(monkeypatch, room):
    monkeypatch.setattr(detail, "GAUSSIANS", room)
    levels = levels_of(np.random.default_rng(2).random((*SIZE, 3)), flat())
    assert 0.95 * room < sum(int(level.taken.sum()) for level in levels) <= room


@pytest.mark.parametrize("kind", ["limb", "beyond", "front"])
def test_what_comes_apart_is_not_merged(kind):
    """An edge of a limb, of the surface's outline, or of depth, two pixels beside the blocks' own edge."""
    right = np.tile(np.arange(SIZE[1]) >= 26, (SIZE[0], 1))
    changed = {"limb": right.astype(int), "beyond": right, "front": np.where(right, 3.0, 2.0)}[kind]
    fine, two, coarse = levels_of(np.full((*SIZE, 3), 0.5), flat(**{kind: changed}))
    assert not coarse.taken[:, 6].any()
    assert two.taken[:, 12:14].all()
    assert not fine.taken.any()


def test_doubled_depth_is_smooth_and_keeps_its_jumps():
    front = np.where(np.arange(SIZE[1]) < 24, 2 + 0.001 * np.arange(SIZE[1]), 5.0) + np.zeros((SIZE[0], 1))
    fine = flat(front=front).doubled()
    assert fine.front.shape == (128, 96)
    assert fine.unit == 0.01
    row = fine.front[64]
    np.testing.assert_allclose(np.diff(row[2:46]), 0.0005, atol=1e-9)
    assert set(np.round(row[48:], 6)) == {5.0}
