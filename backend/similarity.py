# SPDX-License-Identifier: GPL-3.0-or-later
"""How alike two pictures are."""

import torch.nn.functional as F
from torch import Tensor


def ssim(a: Tensor, b: Tensor, window: int = 6, stride: int = 3) -> Tensor:
    """Mean structural similarity of [B,H,W,3] images with a box window (Wang 2004, C1 = .01², C2 = .03²)."""
    a, b = a.movedim(-1, 1), b.movedim(-1, 1)
    mean = lambda x: F.avg_pool2d(x, window, stride)  # noqa: E731
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    return ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()
