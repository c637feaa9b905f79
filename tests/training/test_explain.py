# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention that is shown is the attention that is used; people of a domain lie together."""

import numpy as np
import pytest
import torch
from lca_blender.backend.body.anchors import sample_anchors
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.blocks import JointBlock
from lca_blender.backend.model.checkpoint import load_model
from lca_blender.backend.model.heads import PixelAttention
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.model.tokens import anchor_set
from lca_blender.backend.model.views import InputViews
from lca_blender.backend.training.evaluation.explain import (
    apart,
    explain_domains,
    joint_weights,
    pixel_weights,
    place_of,
    principal,
)
from model_fixtures import TINY

WIDTH = TINY.width


@pytest.fixture(scope="module")
def starter():
    return load_model("starter")


@pytest.mark.parametrize("last", [False, True])
def test_joint_attention_is_the_block_s_own(last):
    """With values of 1 for one image token and 0 elsewhere, a block answers with that token's weight."""
    torch.manual_seed(0)
    block = JointBlock(TINY, last)
    geometry, image, g = torch.randn(1, 5, WIDTH), torch.randn(1, 7, WIDTH), torch.randn(1, TINY.global_width)
    weights = joint_weights(block, geometry, image, g, 2)
    assert weights.shape == (7,)
    seen = []
    project = block.geometry.project
    block.geometry.project = lambda *args: (*(out := project(*args))[:2], torch.zeros_like(out[2]))
    block.geometry.finish = lambda x, attended, parts: seen.append(attended) or x
    marked = 4
    if last:
        read = block.image.forward
        block.image.forward = lambda *args: (read(*args)[0], unit(read(*args)[1], marked))
    else:
        image_project = block.image.project
        block.image.project = lambda *args: (*(out := image_project(*args))[:2], unit(out[2], marked))
    block(geometry, image, g)
    torch.testing.assert_close(seen[0][0, :, 2, 0].mean(), weights[marked], atol=1e-5, rtol=1e-4)


def unit(values, index):
    out = torch.zeros_like(values)
    out[:, :, index] = 1
    return out


def test_pixel_attention_is_the_module_s_own(monkeypatch):
    torch.manual_seed(0)
    module = PixelAttention(TINY)
    tokens, body, face = torch.randn(1, 6, WIDTH), torch.randn(1, 8, WIDTH), torch.randn(1, 4, WIDTH)
    query = module.query(tokens)
    keys = torch.cat([module.key(module.key_norm(t)) for t in (face, body)], 1)
    used = module.attend(query[:, :3], keys, torch.eye(12)[None])[0, 1].mean(0)
    of_body, of_face = pixel_weights(module, tokens, body, face, 3, 1)
    torch.testing.assert_close(torch.cat([of_face, of_body]), used)
    of_body, of_face = pixel_weights(module, tokens, body, face, 3, 5)
    assert of_face.abs().sum() == 0
    assert of_body.sum().item() == pytest.approx(1, abs=1e-5)


def test_places(starter):
    anchors = anchor_set(starter.config, sample_anchors(512, starter.config.face_fraction))
    x, y, z = anchors.positions[place_of("nose", anchors)].tolist()
    assert abs(x) < 0.02
    assert y < -0.1
    assert 1.5 < z < 1.6
    left, right = (anchors.positions[place_of(f"hand.{side}", anchors)] for side in "LR")
    assert left[0] > 0.3 > -0.3 > right[0]
    with pytest.raises(UserError, match="tail"):
        place_of("tail", anchors)


def test_components_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    points, shares = principal(x)
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    np.testing.assert_allclose(points.var(0, ddof=1), values[:2], rtol=1e-6)
    np.testing.assert_allclose(shares, values[:2] / values.sum(), rtol=1e-6)


def test_domains_that_differ_lie_apart(tmp_path):
    domain = np.repeat([0, 1], 20)
    x = np.random.default_rng(0).normal(size=(40, 8))
    assert apart(x, domain) < 0.75
    assert apart(x + 9 * domain[:, None], domain) == 1
    torch.manual_seed(0)
    model = LCA(TINY.with_(joints=58)).eval()
    photo = lambda level: np.full((1, *TINY.body_size, 4), level, np.float32)  # noqa: E731
    none = np.zeros((0, *TINY.face_size, 4), np.float32)
    grey = lambda level: np.concatenate([photo(level)[..., :3], photo(1)[..., :1]], -1)  # noqa: E731
    people = {
        name: [InputViews(grey(level + 0.01 * n), none) for n in range(3)]
        for name, level in (("dark", 0.1), ("light", 0.8))
    }
    result = explain_domains(model, people, tmp_path / "d.png", 24)
    assert result["same_domain"] == 1
    assert result["chance"] == pytest.approx(0.4)
    assert (tmp_path / "d.png").stat().st_size > 1000
    with pytest.raises(UserError, match="no two people"):
        explain_domains(model, {"dark": [], "light": []}, tmp_path / "none.png", 24)
