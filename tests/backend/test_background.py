# SPDX-License-Identifier: GPL-3.0-or-later
"""An opaque background behind a premultiplied picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.raster.background import put_behind


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 200), st.booleans())
def test_a_colour_lies_behind_all_but_the_holes(seed, width, height, with_holes):
    random = np.random.default_rng(seed)
    alpha = random.uniform(size=(height, width, 1)).astype(np.float32)
    picture = np.concatenate([alpha * random.uniform(size=(height, width, 3)), alpha], 2).astype(np.float32)
    depth = np.where(random.uniform(size=(height, width)) < 0.5, np.inf, 3.0).astype(np.float32)
    color = np.array([0.25, 2.0, 0.0], np.float32)
    over = np.concatenate([picture[..., :3] + (1 - alpha) * color, np.ones_like(alpha)], 2)
    expected = np.where(np.isinf(depth)[..., None], over, picture) if with_holes else over
    put_behind(picture, color, depth if with_holes else None)
    assert picture == pytest.approx(expected, abs=1e-6)
    assert (picture[..., 3] == expected[..., 3]).all()


def test_wrong_arrays_are_refused():
    picture = np.zeros((4, 5, 4), np.float32)
    for bad in (
        (picture[..., :3], (0, 0, 0)),
        (picture.astype(np.float64), (0, 0, 0)),
        (picture, (0, 0)),
        (picture, (0, 0, 0), np.zeros((5, 4), np.float32)),
        (picture[:, ::2], (0, 0, 0)),
    ):
        with pytest.raises(ValueError, match="must"):
            put_behind(*bad)
