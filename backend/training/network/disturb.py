# SPDX-License-Identifier: GPL-3.0-or-later
"""How stored crops become the imperfect photos that a network sees in training."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...model.views import GREY
from ..dataset.crops import ROOM

FACE_JITTER, FACE_TURN = 0.16, 0.12  # of the half side, radians: how far the estimator's face crops are off


def jittered(rng, stored: np.ndarray, size: tuple[int, int], jitter: float, turn: float = 0.0) -> Tensor:
    """Stored crops uint8 [n,h,w,4] -> premultiplied [n,4,H,W], each scaled, shifted and, by up to `turn`
    radians, turned at random.
    """
    n = len(stored)
    image = torch.from_numpy(stored).permute(0, 3, 1, 2).float() / 255
    image = torch.cat([image[:, :3] * image[:, 3:], image[:, 3:]], 1)
    scale = np.exp(rng.uniform(-jitter, jitter, n)) / ROOM
    shift = rng.uniform(-jitter, jitter, (n, 2)) * 0.5
    angle = rng.uniform(-turn, turn, n) if turn else np.zeros(n)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    theta = np.stack([c, -s, shift[:, 0], s, c, shift[:, 1]], 1).reshape(n, 2, 3).astype(np.float32)
    grid = F.affine_grid(torch.from_numpy(theta), (n, 4, *size), align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


def over_grey(premultiplied: Tensor, with_matte: bool = True) -> Tensor:
    """Premultiplied [n,4,H,W] as the encoder gets what is not disturbed: over grey, the matte last."""
    alpha = premultiplied[:, 3:]
    picture = premultiplied[:, :3] + GREY * (1 - alpha)
    return torch.cat([picture, alpha], 1) if with_matte else picture


def as_photos(rng, premultiplied: Tensor, masked_photos: bool, estimated: np.ndarray | None = None) -> Tensor:
    """Premultiplied [n,4,H,W] as the encoder gets them: over random colours, or masked by their mattes.

    Mattes are made imperfect, but for those that were `estimated` [n].
    """
    n = len(premultiplied)
    alpha = premultiplied[:, 3:]
    background = torch.from_numpy(rng.random((n, 3, 1, 1)).astype(np.float32))
    spoiled = rng.random(n) < 0.5
    if not masked_photos:
        return premultiplied[:, :3] + (1 - alpha) * background
    true = np.ones(n, bool) if estimated is None else ~estimated
    picture = premultiplied[:, :3] + (1 - alpha) * torch.where(
        torch.from_numpy(true)[:, None, None, None], background, torch.tensor(GREY)
    )
    matte = alpha.clone()
    for i in np.flatnonzero(spoiled & true):
        matte[i] = torch.roll(alpha[i], tuple(rng.integers(-1, 2, 2)), (1, 2))
    share = torch.where(torch.from_numpy(true)[:, None, None, None], matte, torch.ones(()))
    return torch.cat([picture * share + GREY * (1 - share), matte], 1)
