# SPDX-License-Identifier: GPL-3.0-or-later
"""What all training runs share: the learning rate's schedule and the average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from .network.parallel import part

FINAL_RATE = 0.02  # of the peak, at the end of a run


def learning_rate(peak: float, step: int, warmup_steps: int, fraction: float) -> float:
    """Linear warm-up over steps times a cosine over the run, of which `fraction` is done."""
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(fraction, 1.0))
    return peak * min(1.0, (step + 1) / warmup_steps) * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


class Average:
    """Exponential moving average of the weights that `model.trainable()` names, with a short memory at the
    start."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay, self.count = decay, 0
        self.weights = {k: p.detach().clone() for k, p in model.trainable()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        own = dict(model.trainable())
        averages, weights = zip(*((part(w), part(own[k])) for k, w in self.weights.items()), strict=True)
        torch._foreach_lerp_(averages, weights, 1 - decay)
