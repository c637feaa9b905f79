# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch normalisation that is folded into the convolution before it changes nothing."""

import pytest
import torch
import torch.nn.functional as F

from third_party.efficientnet.build import EPSILON, folded


def test_a_folded_convolution_does_what_both_did():
    torch.manual_seed(0)
    state = {"_fc.weight": torch.rand(2, 3), "_fc.bias": torch.rand(2)}
    names = ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"), ("_blocks.0._depthwise_conv", "_blocks.0._bn1")
    for convolution, norm in names:
        state[f"{convolution}.weight"] = torch.randn(4, 3, 3, 3)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = torch.rand(4) + 0.1
    tensors, picture = folded(state), torch.randn(1, 3, 8, 8)
    layers = ("stem", "head", "blocks.0.depthwise", "classes")
    assert set(tensors) == {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    for name, (convolution, norm) in zip(layers[:3], names, strict=True):
        plain = F.conv2d(picture, state[f"{convolution}.weight"])
        parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        wanted = F.batch_norm(plain, *parts, eps=EPSILON)
        got = F.conv2d(picture, tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        assert got.numpy() == pytest.approx(wanted.numpy(), abs=1e-5)
