# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression codes: crops and readouts."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.expression import arkit_from_code, expression_code
from lca_blender.backend.imaging.faces import MIDDLE, face_crop, face_frame
from lca_blender.backend.model.expression_codes import (
    SIZE,
    FaceEncoder,
    beyond_arkit,
    even_light,
)


def painted(frame: np.ndarray, height=120, width=160):
    """A picture of a flat face at an affine frame: matte, template points, colours that tell the place."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    plane = np.linalg.solve(frame[:, :2], (np.stack([columns, rows], -1) - frame[:, 2])[..., None])[..., 0]
    matte = ((plane**2).sum(-1) < 0.084**2).astype(np.float32)
    points = np.stack([plane[..., 0], np.full_like(rows, MIDDLE[1]), plane[..., 1] + MIDDLE[2]], -1)
    color = np.clip(np.dstack([plane / 0.2 + 0.5, np.full_like(rows, 0.3)]), 0, 1)
    return matte, points, (np.dstack([color, np.ones_like(rows)]) * 255 + 0.5).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(-3.1, 3.1),
    st.floats(250, 600),
    st.floats(0.4, 1.0),
    st.tuples(st.floats(70, 90), st.floats(55, 65)),
)
def test_a_face_is_found_and_straightened(roll, scale, narrow, middle):
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    frame = np.c_[turn @ np.diag([narrow * scale, -scale]), middle]
    matte, points, rgba = painted(frame)
    found = face_frame(matte, points)
    np.testing.assert_allclose(found, frame, rtol=1e-3, atol=1e-2)
    crop = face_crop(rgba, found).astype(float) / 255
    assert crop.shape == (*SIZE, 4)
    place = (np.arange(SIZE[0]) + 0.5) / SIZE[0] * 2 - 1
    inner = slice(30, 66)
    np.testing.assert_allclose(crop[48, inner, 0], np.clip(0.085 * place / 0.2 + 0.5, 0, 1)[inner], atol=0.02)
    np.testing.assert_allclose(
        crop[inner, 48, 1], np.clip(-0.085 * place / 0.2 + 0.5, 0, 1)[inner], atol=0.02
    )


def test_no_face_no_frame():
    matte, points, _ = painted(np.array([[400.0, 0, 80], [0, -400, 60]]))
    assert face_frame(matte, points) is not None
    assert face_frame(matte * 0, points) is None
    assert face_frame(matte, points + np.array([0, 0.05, 0])) is None  # the back of the head
    assert face_frame(matte, points * np.nan) is None
    flat, flat_points, _ = painted(np.array([[50.0, 0, 80], [0, -400, 60]]))
    assert face_frame(flat, flat_points) is None  # from the side


def test_what_lies_beyond_the_picture_is_clear():
    _, _, rgba = painted(np.array([[400.0, 0, 80], [0, -400, 60]]))
    crop = face_crop(rgba, np.array([[400.0, 0, 0], [0, -400, 60]], np.float32))
    assert crop[:, :40, 3].max() == 0
    assert crop[:, 60:, 3].min() == 255


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
