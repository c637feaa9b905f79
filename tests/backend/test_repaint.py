# SPDX-License-Identifier: GPL-3.0-or-later
"""Repainting: the picture is as it was painted, and what was not painted is untouched."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.errors import UserError
from lca_blender.backend.likeness.repaint import _albedo, repainted
from lca_blender.backend.model.create import rest_signal
from lca_blender.backend.raster import Camera, look_at, rasterize
from lca_blender.backend.srgb import linear_of
from test_lifted import patterned
from test_likeness import network_person, photo_of, standing

CAMERA = Camera(look_at((0.5, -4, 1.2), (0, 0, 1.0)), [[900, 0, 200], [0, 900, 250], [0, 0, 1]], 400, 500)
SQUARE = slice(180, 240), slice(185, 225)  # rows and columns, on the chest
PAINT = (0.9, 0.1, 0.2)


@pytest.fixture(scope="module")
def avatar():
    from lca_blender.backend.likeness.assemble import assembled

    return assembled([photo_of(standing(), rgb=patterned())], network_person()).avatar


def picture(avatar, camera=CAMERA):
    """[h,w,4] in steps of 1/255, straight alpha."""
    drawn = rasterize(avatar.drive(rest_signal()), camera)["combined"].numpy()
    drawn[..., :3] /= np.maximum(drawn[..., 3:], 1e-6)
    return np.round(np.clip(drawn, 0, 1) * 255).astype(np.float32) / 255


def paint(avatar, before, after):
    return repainted(avatar, np.arange(len(avatar)), avatar.drive(rest_signal()), CAMERA, before, after)


@pytest.fixture(scope="module")
def painted(avatar):
    before = picture(avatar)
    after = before.copy()
    after[SQUARE][..., :3] = PAINT
    return before, after, *paint(avatar, before, after)


def test_the_picture_is_as_it_was_painted(painted):
    before, after, made, _ = painted
    now = picture(made)
    inner = tuple(slice(part.start + 3, part.stop - 3) for part in SQUARE)
    assert np.sqrt(np.square(now - after)[inner].mean()) < 0.02
    assert np.sqrt(np.square(before - after)[inner].mean()) > 0.2
    outside = np.ones(now.shape[:2], bool)
    outside[tuple(slice(part.start - 4, part.stop + 4) for part in SQUARE)] = False
    assert np.abs(now - before)[outside].max() <= 1 / 255


def test_what_the_paint_does_not_cover_is_untouched(avatar, painted):
    """Bit for bit; what changed lies under the paint and faces the camera."""
    *_, made, count = painted
    changed = (made.colors != avatar.colors).any(1)
    assert 100 < int(changed.sum()) <= count < 0.05 * len(avatar)
    names = set(avatar.tensors()) - {"colors", "albedo", "confidence"}
    assert all(torch.equal(made.tensors()[name], avatar.tensors()[name]) for name in names)
    for name in ("albedo", "confidence"):
        assert torch.equal(getattr(made, name)[~changed], getattr(avatar, name)[~changed]), name
    means = avatar.drive(rest_signal()).means.numpy()
    seen = means @ CAMERA.viewmat[:3, :3].T + CAMERA.viewmat[:3, 3]
    pixels = (seen @ CAMERA.K.T)[:, :2] / seen[:, 2:]
    beside = np.maximum((180, 185) - pixels[:, ::-1], pixels[:, ::-1] - (240, 225)).max(1)
    assert beside[changed.numpy()].max() < 6
    assert means[changed.numpy(), 1].max() < 0 < means[beside < 0, 1].max()  # the chest, not the back
    assert made.header["made_of"] == {"avatar": avatar.hash}


def test_the_same_picture_again_changes_nearly_nothing(avatar, painted):
    before, after, made, _ = painted
    again, _ = paint(made, before, after)
    first = (made.colors.float() - avatar.colors.float()).norm()
    assert (again.colors.float() - made.colors.float()).norm() < 0.1 * first
    twice, _ = paint(avatar, before, after)
    assert torch.equal(twice.colors, made.colors)


def test_only_paint_on_the_avatar_counts(avatar, painted):
    before, after, *_ = painted
    rounded, beside, clear = before.copy(), before.copy(), after.copy()
    rounded[..., :3] = np.clip(before[..., :3] + 2 / 255, 0, 1)
    beside[:40] = 1
    clear[SQUARE][..., 3] = 0
    for nothing in (before, rounded, beside, clear):
        with pytest.raises(UserError, match="Nothing is painted"):
            paint(avatar, before, nothing)


def test_without_albedo_and_confidence(avatar, painted):
    before, after, made, _ = painted
    plain, _ = paint(replace(avatar, albedo=None, confidence=None), before, after)
    assert torch.equal(plain.colors, made.colors)
    assert plain.albedo is None


colors = st.tuples(*[st.floats(0.0, 1.0)] * 3).map(lambda c: np.array([c]))


@settings(max_examples=50, deadline=None)
@given(colors, colors, colors)
def test_albedo_keeps_what_the_light_was(albedo, before, after):
    """The same paint is the same albedo; a lighter one a lighter albedo."""
    assert _albedo(albedo, before, before) == pytest.approx(np.clip(albedo, 0, 0.955), abs=2e-3)
    new, lighter = _albedo(albedo, before, after), _albedo(albedo, before, np.clip(after + 0.1, 0, 1))
    assert ((new >= 0) & (new <= lighter)).all()
    assert linear_of(_albedo(albedo, albedo, after)) + 0.02 == pytest.approx(
        np.clip(linear_of(after) + 0.02, 0, 0.92), abs=1e-3
    )
