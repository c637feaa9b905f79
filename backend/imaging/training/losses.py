# SPDX-License-Identifier: GPL-3.0-or-later
"""What the correspondence network is punished for."""

import torch
from torch.nn import functional

from ..network import choose_point
from ..sides import forwardness


def to_targets(alpha: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """At the output's half resolution: matte [B,1,h,w], points [B,3,h,w] meaned over the person's pixels,
    their mask.
    """
    matte = functional.avg_pool2d(alpha[:, None].float() / 255, 2)
    mask = (alpha[:, None] > 127).float()
    share = functional.avg_pool2d(mask, 2)
    mean = functional.avg_pool2d(points.permute(0, 3, 1, 2).float() * mask, 2) / share.clamp_min(0.25)
    return matte, mean, share > 0.6


def loss_terms(
    out: dict[str, torch.Tensor], alpha: torch.Tensor, points: torch.Tensor
) -> dict[str, torch.Tensor]:
    """`matte`: binary cross-entropy + soft Dice. `halves`, `sides`: cross-entropy of left and front, where
    the truth is clear. `points`: mean distance in decimetres of the point on the true half and side.
    `error`: the Laplace likelihood d / b + log b of the distance d of the chosen point with the predicted
    error b. Each person counts by the root of its pixels, so small ones matter too.
    """
    matte, target, mask = to_targets(alpha, points)
    logit = out["matte"]
    bce = functional.binary_cross_entropy_with_logits(logit, matte)
    probability = logit.sigmoid()
    overlap = (probability * matte).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + matte.sum(dim=(1, 2, 3))
    dice = (1 - (2 * overlap + 20) / (total + 20)).mean()
    weight = mask / mask.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1).sqrt()
    weight = weight / weight.sum().clamp_min(1e-6)
    x, forward = target[:, :1], forwardness(target.permute(0, 2, 3, 1))[:, None]
    half = _cross_entropy(out["left"], x > 0) * (x.abs() / 0.04).clamp_max(1)
    side = _cross_entropy(out["front"], forward > 0) * (forward.abs() / 0.5).clamp_max(1)
    distance = _distance(choose_point(x > 0, forward > 0, out["across"], out["depth"], out["height"]), target)
    chosen, log_error = _distance(out["points"], target).detach(), out["log_error"]
    likelihood = chosen * torch.exp(-log_error) + log_error
    return {
        "matte": bce + 0.5 * dice,
        "halves": 0.5 * (half * weight).sum(),
        "sides": 0.5 * (side * weight).sum(),
        "points": 10 * (distance * weight).sum(),
        "error": 0.2 * (likelihood * weight).sum(),
    }


def _cross_entropy(logit: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logit, truth.float(), reduction="none")


def _distance(points: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ((points - target).square().sum(dim=1, keepdim=True) + 1e-6).sqrt()
