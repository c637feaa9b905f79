# SPDX-License-Identifier: GPL-3.0-or-later
"""What training minimises: worked out by hand."""

import pytest
import torch
from lca_blender.backend.errors import UserError
from lca_blender.backend.training.network.losses import (
    acap,
    asap,
    image_loss,
    person_psnr,
    ssim,
    transparency,
)
from lca_blender.backend.training.network.perceptual import BLOCKS, Lpips, load_lpips


def test_acap_by_hand():
    offsets = torch.tensor([[0.03, 0.0, 0.04], [0.0, 0.1, 0.0]])  # 5 cm: free; 10 cm: 4.375 cm too far
    assert float(acap(offsets)) == pytest.approx(0.04375 / 2, abs=1e-6)
    assert float(acap(offsets, weights=torch.tensor([1.0, 100.0]))) == pytest.approx(4.375 / 2, abs=1e-4)
    still = torch.zeros(3, 3, requires_grad=True)
    acap(still).backward()
    assert torch.isfinite(still.grad).all()


def test_asap_by_hand():
    scales = torch.tensor([[0.01, 0.01, 0.08], [0.01, 0.02, 0.04]])  # ratios 8 and 4
    assert float(asap(scales.log())) == pytest.approx((8 * (1 - 1e-4) - 5) / 2, abs=1e-3)


def test_transparency_by_hand():
    assert float(transparency(torch.tensor([[1.0, 0.5], [0.9, 0.0]]))) == pytest.approx(1.6 / 4)


def test_ssim_of_flat_pictures_by_hand():
    a, b = torch.full((1, 12, 12, 3), 0.4), torch.full((1, 12, 12, 3), 0.6)
    wanted = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert float(ssim(a, b)) == pytest.approx(wanted, abs=1e-4)
    assert float(ssim(a, a)) == pytest.approx(1.0, abs=1e-5)


def test_picture_loss_by_hand():
    target, render = torch.zeros(1, 12, 12, 4), torch.zeros(1, 12, 12, 4)
    render[..., :] = torch.tensor([0.5, 0.0, 0.0, 0.5])  # half-covered red over white: (1, .5, .5)
    parts = image_loss(render, target, torch.ones(1, 1, 1, 3))
    assert float(parts["alpha"]) == pytest.approx(0.5)
    assert float(parts["l1"]) == pytest.approx(1 / 3, abs=1e-6)


def test_psnr_looks_at_the_person_only():
    image, target = torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 4, 3)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, :2] = True
    image[0, :2] = 0.1
    image[0, 2:] = 0.9
    assert float(person_psnr(image, target, mask)) == pytest.approx(20.0, abs=1e-3)


def test_lpips_reads_both_files_weights(tmp_path):
    torch.manual_seed(0)
    own, state = Lpips(), {}
    for i, (numbers, block) in enumerate(zip(BLOCKS, own.blocks, strict=True)):
        for n, layer in zip(numbers, block, strict=True):
            state |= {f"features.{n}.weight": layer.weight.clone(), f"features.{n}.bias": layer.bias.clone()}
        state[f"lin{i}.model.1.weight"] = torch.ones_like(own.lines[i])
    torch.save(state, tmp_path / "vgg.pth")
    model = load_lpips(tmp_path / "vgg.pth")
    a, b = torch.rand(2, 2, 32, 32, 3)
    assert float(model(a, a)) == 0
    assert 0 < float(model(a, b)) < 5 * 4  # features have length 1: a squared distance is at most 4 a block
    del state["lin3.model.1.weight"]
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(UserError, match="lin3"):
        load_lpips(tmp_path / "vgg.pth")
    (tmp_path / "vgg.pth").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"vgg\.pth"):
        load_lpips(tmp_path / "vgg.pth")
    with pytest.raises(UserError, match=r"gone\.pth"):
        load_lpips(tmp_path / "gone.pth")
