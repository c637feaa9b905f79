# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that compares pictures: it knows ImageNet's classes, and its distance sees blur."""

import numpy as np
import pytest
import torch
from lca_blender.backend.training.network.efficientnet import load_efficientnet, perceptual_distance
from PIL import Image
from scipy import ndimage
from skimage import data

ESPRESSO, CUP, TABBY, TIGER_CAT, EGYPTIAN_CAT, TRIPOD = 967, 968, 281, 282, 285, 872  # of ImageNet
HEAD = data.astronaut()[:224, 110:334].astype(np.float32) / 255


def batch(picture):
    return torch.from_numpy(np.clip(picture, 0, 1).astype(np.float32))[None]


def prepared(picture):
    """As the network was tested: the shorter side 256, the middle 224 x 224."""
    image = Image.fromarray(picture).convert("RGB")
    image = image.resize(
        [round(side * 256 / min(image.size)) for side in image.size], Image.Resampling.BICUBIC
    )
    left, top = ((side - 224) // 2 for side in image.size)
    return batch(np.asarray(image.crop((left, top, left + 224, top + 224))) / 255)


def distance(a, b):
    with torch.no_grad():
        return float(perceptual_distance(batch(a), batch(b)))


def blurred(sigma):
    return ndimage.gaussian_filter(HEAD, (sigma, sigma, 0))


def psnr(picture):
    return -10 * np.log10(np.square(picture - HEAD).mean())


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("coffee", [ESPRESSO, CUP]),
        ("cat", [EGYPTIAN_CAT, TABBY, TIGER_CAT]),
        ("camera", [TRIPOD]),
    ],
)
def test_photos_are_what_they_show(name, classes):
    with torch.no_grad():
        logits = load_efficientnet()(prepared(getattr(data, name)()))[0]
    assert logits.topk(len(classes)).indices.tolist() == classes


def test_the_distance_grows_with_blur_and_knows_no_order():
    slight, strong = distance(blurred(1), HEAD), distance(blurred(4), HEAD)
    assert distance(HEAD, HEAD) == 0
    assert 0.01 < slight < strong / 2
    assert distance(HEAD, blurred(1)) == pytest.approx(slight, rel=1e-4)


def test_blur_is_worse_than_other_faults_of_the_same_psnr():
    blur = blurred(3.0)
    size = np.sqrt(np.square(blur - HEAD).mean())
    noise = HEAD + size * np.random.default_rng(0).normal(size=HEAD.shape)
    brighter = HEAD + size
    for other in (noise, brighter):
        assert psnr(other) == pytest.approx(psnr(blur), abs=0.1)
    assert distance(blur, HEAD) > 1.2 * distance(noise, HEAD)
    assert distance(blur, HEAD) > 4 * distance(brighter, HEAD)


def test_it_is_a_loss_whose_gradient_sharpens():
    """A step against the gradient lowers the distance by about what the gradient says."""
    picture = batch(blurred(2)).requires_grad_()
    before = perceptual_distance(picture, batch(HEAD))
    before.sum().backward()
    gradient = picture.grad
    assert torch.isfinite(gradient).all()
    step = 1e-3 / float(gradient.abs().max())
    with torch.no_grad():
        after = perceptual_distance(picture - step * gradient, batch(HEAD))
    assert float(before.detach() - after) == pytest.approx(step * float(gradient.square().sum()), rel=0.3)


def test_flat_pictures_have_a_finite_gradient():
    flat = torch.full((1, 64, 48, 3), 0.5, requires_grad=True)
    perceptual_distance(flat, torch.zeros(1, 64, 48, 3)).sum().backward()
    assert torch.isfinite(flat.grad).all()
