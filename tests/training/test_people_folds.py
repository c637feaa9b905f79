# SPDX-License-Identifier: GPL-3.0-or-later
"""Creases of cloth: deep where a pose shortens it along its limb, and nowhere else."""

import numpy as np
import pytest
from lca_blender.backend.training.people.folds import GAIN, MOST, crease, fold_vectors


def _strip(count=9):
    """A band of cloth along X, 0.1 m wide."""
    x = np.linspace(0, 1, count)
    points = np.concatenate([np.column_stack([x, 0 * x, 0 * x]), np.column_stack([x, 0 * x + 0.1, 0 * x])])
    i = np.arange(count - 1)
    faces = np.concatenate(
        [np.stack([i, i + 1, i + count], 1), np.stack([i + 1, i + count + 1, i + count], 1)]
    )
    folds = np.tile(np.array([1, 0, 0, 0, 0], np.float32), (2 * count, 1))
    folds[:, 3] = points[:, 0]
    return points.astype(np.float32), faces.astype(np.int32), folds


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_creases_are_as_deep_as_cloth_is_shortened(share):
    points, faces, folds = _strip()
    vectors = fold_vectors(points, points * np.float32([1 - share, 1, 1]), faces, folds)
    deepest = GAIN * share  # the diagonals shorten a little less than the edges along X
    strength = np.linalg.norm(vectors[:, :3], axis=1)
    assert (strength <= min(deepest, MOST) + 1e-5).all()
    assert (strength >= 0.75 * min(deepest, MOST) - 1e-5).all()
    assert np.allclose(vectors[:, 3], points[:, 0])


def test_stretched_cloth_and_skin_stay_smooth():
    points, faces, folds = _strip()
    assert np.abs(fold_vectors(points, 1.3 * points, faces, folds)[:, :3]).max() == 0
    assert np.abs(fold_vectors(points, 0.5 * points, faces, 0 * folds)).max() == 0


def test_creases_turn_with_the_body_and_tilt_normals_along_them():
    points, faces, folds = _strip()
    turn = np.float32([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    vectors = fold_vectors(points, (points * np.float32([0.8, 1, 1])) @ turn.T, faces, folds)
    along = vectors[:, :3] / np.linalg.norm(vectors[:, :3], axis=1, keepdims=True)
    assert (along @ turn[:, 0] > 0.85).all()
    rest = np.random.default_rng(0).uniform(0, 1, (500, 3)).astype(np.float32)
    many = np.repeat(vectors[:1], 500, 0)
    many[:, 3] = rest[:, 0]
    normals = np.tile(turn[:, 2], (500, 1)).astype(np.float32)
    sky = np.ones(500, np.float32)
    crease(normals, many, rest, sky)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert np.abs(normals @ along[0]).max() > 0.2
    across = np.cross(along[0], turn[:, 2])
    assert np.abs(normals @ across).max() < 1e-5
    assert 0.5 < sky.min() < 0.99
    assert sky.max() <= 1
