# SPDX-License-Identifier: GPL-3.0-or-later
"""The losses of training. Images are [...,H,W,C] in 0..1."""

from __future__ import annotations

import torch
from torch import Tensor

from ...body.template import load_template
from ...model.tokens import AnchorSet
from ...similarity import ssim
from .config import TrainingConfig
from .parallel import gathered

ACAP_DISTANCE = 0.05625  # metres: 1.8 / 32
ASAP_RATIO = 5.0


def acap(offsets: Tensor, distance: float = ACAP_DISTANCE, weights: Tensor | None = None) -> Tensor:
    """As close as possible: mean of max(|offset|, d) - d over Gaussians, offsets [...,M,3] in metres.

    Free within d of the template (LHM, arXiv 2503.10625). weights [M] scale single Gaussians.
    """
    excess = (offsets.square().sum(-1) + 1e-12).sqrt().clamp(min=distance) - distance
    return (excess if weights is None else excess * weights).mean()


def asap(log_scales: Tensor, ratio: float = ASAP_RATIO, weights: Tensor | None = None) -> Tensor:
    """As spherical as possible: mean of max(s_max / s_min, r) - r (LHM) over log_scales [...,M,3]."""
    scales = log_scales.exp()
    excess = (scales.amax(-1) / (scales.amin(-1) + 1e-6)).clamp(min=ratio) - ratio
    return (excess if weights is None else excess * weights).mean()


def transparency(opacities: Tensor) -> Tensor:
    """Mean of 1 - opacity over opacities [...,M] in 0..1.

    Pictures hardly tell many half-clear Gaussians from few solid ones, but only the solid ones keep an edge.
    """
    return (1 - opacities).mean()


def surface_distance(offsets: Tensor, true: Tensor) -> Tensor:
    """Mean distance in metres of offsets [B,M,3] from true ones, where these are known; else 0.

    With several processes, a sum over the mean count: their average is the mean over all known ones.
    """
    known = true.isfinite().all(-1)
    distance = ((offsets - true.nan_to_num()).square().sum(-1) + 1e-8).sqrt()
    count = gathered(known.sum()[None]).float().mean()
    return (distance * known).sum() / count.clamp(min=1)


def region_weights(anchors: AnchorSet, config: TrainingConfig) -> Tensor | None:
    """[M] weights of the regularisers, by the joint that moves a Gaussian most; None: all count alike."""
    if config.region_weights is None:
        return None
    head, hands, upper, lower = config.region_weights
    names = load_template().joint_names
    of = [
        head
        if name in ("neck2", "head", "jaw") or name.startswith("eye")
        else hands
        if name.startswith(("hand", "thumb", "index", "middle", "ring", "pinky"))
        else lower
        if name.startswith(("pelvis", "thigh", "shin", "foot", "toe"))
        else upper
        for name in names
    ]
    return torch.tensor(of, device=anchors.skinning.device)[anchors.skinning.argmax(-1)]


def over(premultiplied: Tensor, background: Tensor) -> Tensor:
    """Premultiplied RGBA [...,4] over a background [...,3]."""
    return premultiplied[..., :3] + (1 - premultiplied[..., 3:]) * background


def image_loss(render: Tensor, target: Tensor, background: Tensor) -> dict[str, Tensor]:
    """Parts of the picture loss: render and target premultiplied RGBA [B,H,W,4], background [B,1,1,3]."""
    a, b = over(render, background), over(target, background)
    return {
        "l1": (a - b).abs().mean(),
        "alpha": (render[..., 3] - target[..., 3]).abs().mean(),
        "ssim": 1 - ssim(a, b),
    }


def person_psnr(image: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """-10 log10 of the mean squared error over a mask [B,H,W], per image [B,H,W,3] -> [B]."""
    error = ((image - target) ** 2).sum(-1) * mask
    return -10 * torch.log10(error.sum((1, 2)) / (3 * mask.sum((1, 2)).clamp(min=1)) + 1e-8)
