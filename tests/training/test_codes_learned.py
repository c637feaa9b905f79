# SPDX-License-Identifier: GPL-3.0-or-later
"""The terms by which expression codes are learned."""

import pytest
import torch
from lca_blender.backend.body.expression import expression_code
from lca_blender.backend.model.expression_codes import FaceReading
from lca_blender.backend.training.network import codes


def test_independence_counts_what_tells_people_apart():
    g = torch.Generator().manual_seed(0)
    alike = torch.randn(200, 4, 16, generator=g)
    assert float(codes.independence(alike)) < 0.02
    apart = alike + torch.randn(200, 1, 16, generator=g)
    assert float(codes.independence(apart)) == pytest.approx(1.0, abs=0.1)  # as much between as within


def test_terms_are_zero_where_no_target_shows_a_face():
    reading = FaceReading(torch.randn(2, 2, 128, requires_grad=True), torch.zeros(2, 2, 2, 2))
    labels = torch.rand(2, 2, 52), torch.zeros(2, 2, 2, 2)
    assert codes.code_terms(reading, *labels, torch.zeros(2, 2, dtype=torch.bool)).item() == 0
    perfect = FaceReading(expression_code(labels[0]), labels[1])
    seen = torch.tensor([[True, False], [True, False]])
    assert float(codes.code_terms(perfect, *labels, seen)) < 1e-6
    assert codes.code_terms(reading, *labels, seen).item() > 1
