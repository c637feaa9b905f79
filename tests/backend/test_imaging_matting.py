# SPDX-License-Identifier: GPL-3.0-or-later
"""The matte ends where the photo's colours do, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lca_blender.backend.imaging.crops import resize
from lca_blender.backend.imaging.matting import (
    CONTRAST,
    LEAST,
    PULL,
    STEPS,
    matte_of,
    random_walk,
    without_gaps,
)
from scipy.ndimage import gaussian_filter, shift

unit = st.floats(0, 1, width=32)


def energy(x, picture, prior):
    """What the walk minimises, summed pair by pair."""
    height, width = prior.shape
    total = ((PULL * (2 * prior - 1) ** 2 + 1e-4) * (x - prior) ** 2).sum()
    for i, j in np.ndindex(height, width):
        for down, across, share in STEPS:
            m, n = i + down, j + across
            if m < height and 0 <= n < width:
                alike = np.exp(-CONTRAST * ((picture[i, j] - picture[m, n]) ** 2).sum())
                total += share * (alike + LEAST) * (x[i, j] - x[m, n]) ** 2
    return total


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (6, 5, 3), elements=unit), arrays(np.float32, (6, 5), elements=unit))
def test_the_walk_is_the_least_of_its_energy(picture, prior):
    found = random_walk(picture, prior).astype(np.float64)
    least = energy(found, picture.astype(np.float64), prior.astype(np.float64))
    rng = np.random.default_rng(0)
    for _ in range(5):
        other = found + 0.05 * rng.normal(size=prior.shape)
        assert energy(other, picture.astype(np.float64), prior.astype(np.float64)) > least
    assert found.min() > prior.min() - 0.01
    assert found.max() < prior.max() + 0.01


@pytest.mark.parametrize("size", [(400, 300), (2304, 1728)])
def test_a_coarse_answer_gets_the_photos_outline(size):
    """The mask has 96 x 72 cells, blurred and a cell and a half to the right."""
    height, width = size
    y, x = np.mgrid[:height, :width] / height
    person = ((abs(x - 0.375) < 0.1) & (y > 0.1) & (y < 0.9)) | (np.hypot(x - 0.55, y - 0.3) < 0.06)
    rgb = np.where(person[..., None], (0.2, 0.3, 0.5), (0.7, 0.65, 0.6)).astype(np.float32)
    rgb += np.random.default_rng(0).normal(0, 0.01, rgb.shape).astype(np.float32)
    answer = np.clip(gaussian_filter(resize(person.astype(np.float32), 96, 72), 1.5), 0.02, 0.98)
    mask = resize(shift(answer, (0, 1.5), mode="nearest"), height, width)
    seen, coarse = matte_of(rgb, mask) > 0.5, mask > 0.5
    overlap = lambda mask: (mask & person).sum() / (mask | person).sum()  # noqa: E731
    assert overlap(coarse) < 0.9
    assert overlap(seen) > 0.97


def trunk_and_arm(size=(300, 240)):
    """Masks [H,W] of a trunk with an arm beside it, and of the gap between the two."""
    body, gap = np.zeros(size, bool), np.zeros(size, bool)
    body[40:260, 70:130] = body[60:240, 140:160] = body[40:60, 130:160] = body[240:260, 130:160] = True
    gap[60:240, 130:140] = True
    return body, gap


@pytest.mark.parametrize("scale", [1, 4])
def test_a_filled_gap_is_emptied_where_the_background_shows(scale):
    body, gap = (np.kron(mask, np.ones((scale, scale), bool)) for mask in trunk_and_arm())
    rng = np.random.default_rng(1)
    wall, shirt = np.float32([0.8, 0.75, 0.6]), np.float32([0.5, 0.2, 0.2])
    rgb = np.where(body[..., None], shirt, wall) + rng.normal(0, 0.01, (*body.shape, 3)).astype(np.float32)
    filled = (body | gap).astype(np.float32)
    made = without_gaps(rgb, filled, body)
    assert made[gap].mean() < 0.1
    assert made[body].mean() > 0.98
    sleeve = np.where((body | gap)[..., None], shirt, wall)  # a wide sleeve fills it truly
    assert without_gaps(sleeve, filled, body)[gap].min() > 0.95
    assert without_gaps(rgb, filled, np.zeros_like(body)) is filled
