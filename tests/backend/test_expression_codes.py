# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression codes: readouts and the encoder."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.expression import arkit_from_code, expression_code
from lca_blender.backend.model.expression_codes import (
    SIZE,
    FaceEncoder,
    beyond_arkit,
    even_light,
)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 1.0))
def test_readouts_turn_round_without_loss(seed, size):
    rng = np.random.default_rng(seed)
    arkit = torch.from_numpy(rng.random((3, 52)) * size)
    code = expression_code(arkit)
    torch.testing.assert_close(arkit_from_code(code), arkit, atol=1e-6, rtol=0)
    assert beyond_arkit(code).abs().max() < 1e-6
    other = torch.from_numpy(rng.normal(size=(3, 128)))
    torch.testing.assert_close(expression_code(arkit_from_code(other)) + beyond_arkit(other), other)
    torch.testing.assert_close(
        arkit_from_code(code + beyond_arkit(other)), arkit, atol=1e-5, rtol=0
    )  # what has no name in ARKit moves no slider


def test_skin_and_light_do_not_reach_the_encoder():
    photos = torch.rand(2, 4, *SIZE, generator=torch.Generator().manual_seed(0))
    photos[:, 3:] = (photos[:, 3:] > 0.3).float()
    brighter = torch.cat([photos[:, :3] * 0.5 + 0.2, photos[:, 3:]], 1)
    torch.testing.assert_close(even_light(brighter), even_light(photos), atol=0.15, rtol=0.1)


def test_faces_of_any_size_and_arrangement_are_read():
    found = FaceEncoder()(torch.rand(2, 3, 4, 128, 96))
    assert found.code.shape == (2, 3, 128)
    assert found.gaze.shape == (2, 3, 2, 2)
