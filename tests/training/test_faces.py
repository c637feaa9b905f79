# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces in photos: found and straightened."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.model.expression_codes import SIZE
from lca_blender.backend.training.dataset.faces import MIDDLE, face_crop, face_frame


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
