# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression codes: the terms of their training, and that they can be learned."""

import numpy as np
import pytest
import torch
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.body.expression import expression_code
from lca_blender.backend.model.expression_codes import FaceReading
from lca_blender.backend.training.codes import train as codes
from lca_blender.backend.training.codes.faces import Faces, mirrored_names


def test_independence_counts_what_tells_people_apart():
    g = torch.Generator().manual_seed(0)
    alike = torch.randn(200, 4, 16, generator=g)
    assert float(codes.independence(alike)) < 0.02
    apart = alike + torch.randn(200, 1, 16, generator=g)
    assert float(codes.independence(apart)) == pytest.approx(1.0, abs=0.1)  # as much between as within
    person = np.repeat(np.arange(40), 4)
    assert codes.leakage(alike[:40].flatten(0, 1).numpy(), person) < 0.15
    own = alike[:40] + 4 * torch.randn(40, 1, 16, generator=g)
    assert codes.leakage(own.flatten(0, 1).numpy(), person) > 0.9


def test_ridge_finds_an_affine_map():
    rng = np.random.default_rng(0)
    x, map_ = rng.normal(3, 1, (500, 6)), rng.normal(size=(7, 2))
    found = codes.ridge(x, codes.apply_affine(x, map_), 1e-9)
    np.testing.assert_allclose(found, map_, atol=1e-5)


def test_a_mirror_twice_is_nothing():
    names = mirrored_names()
    assert np.array_equal(names[names], np.arange(52))
    assert names[ARKIT_INDEX["eyeBlinkLeft"]] == ARKIT_INDEX["eyeBlinkRight"]
    assert names[ARKIT_INDEX["mouthLeft"]] == ARKIT_INDEX["mouthRight"]
    assert names[ARKIT_INDEX["jawOpen"]] == ARKIT_INDEX["jawOpen"]


def test_terms_are_zero_where_no_target_shows_a_face():
    reading = FaceReading(torch.randn(2, 2, 128, requires_grad=True), torch.zeros(2, 2, 2, 2))
    labels = torch.rand(2, 2, 52), torch.zeros(2, 2, 2, 2)
    assert codes.code_terms(reading, *labels, torch.zeros(2, 2, dtype=torch.bool)).item() == 0
    perfect = FaceReading(expression_code(labels[0]), labels[1])
    seen = torch.tensor([[True, False], [True, False]])
    assert float(codes.code_terms(perfect, *labels, seen)) < 1e-6
    assert codes.code_terms(reading, *labels, seen).item() > 1


def toy_faces(people: int, seed: int) -> Faces:
    """Four pictures each of faces of one colour, whose dark mouth is as high as the jaw is open."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:120, :120]
    made = []
    for _ in range(people):
        arkit = np.zeros((4, 52), np.float32)
        arkit[:, ARKIT_INDEX["jawOpen"]] = jaw = rng.random(4)
        crops = np.empty((4, 120, 120, 4), np.uint8)
        crops[:] = (*rng.integers(100, 250, 3), 255)
        for crop, opening in zip(crops, jaw, strict=True):
            crop[(np.abs(columns - 60) < 20) & (np.abs(rows - 85) < 2 + 15 * opening), :3] = 20
        made.append(
            (crops, arkit, np.zeros((4, 2, 2), np.float32), np.tile(np.eye(3, dtype=np.float32), (4, 1, 1)))
        )
    return Faces.of_people(made)


def test_codes_are_learned_and_measured():
    train, held = toy_faces(24, 0), toy_faces(8, 1)
    assert len(train) == 24
    assert np.array_equal(np.bincount(train.person), np.full(24, 4))
    torch.manual_seed(0)
    said = []
    config = codes.CodesConfig(people=8, frames=2, lr=3e-3, warmup_steps=5, labels_until=0.9, swap_after=0.95)
    encoder = codes.train_faces(train, config, steps=100, say=said.append)
    assert '"swap"' in said[-1]
    found = codes.measure(encoder, train, held)
    assert found["arkit_r2"] > 0.5
    assert found["arkit_mae"] < 0.5 * found["mae_of_mean"]
    assert found["leakage"] < 0.5
    assert found["chance"] == 1 / 8
