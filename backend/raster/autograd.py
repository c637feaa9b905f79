# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasteriser as a differentiable torch function."""

import numpy as np
import torch
from torch import Tensor

from . import cpu


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, covariances, opacities, values, camera):
        scene = (_array(means), _array(covariances).reshape(-1, 9), _array(opacities), _array(values))
        ctx.frame = cpu.forward(*scene, camera)
        ctx.save_for_backward(means, covariances, opacities, values)
        return torch.from_numpy(ctx.frame.layers)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        _ = ctx.saved_tensors  # raises where an input was overwritten since
        means, covariances, opacities, values = cpu.backward(ctx.frame, _array(gradient))
        grads = (means, covariances.reshape(-1, 3, 3), opacities, values)
        return (*(torch.from_numpy(grad) for grad in grads), None)


def layers(means: Tensor, covariances: Tensor, opacities: Tensor, values: Tensor, camera) -> Tensor:
    """Layers [H, W, 1 + D] of values [N, D >= 3]: channels 0..2, alpha, channels 3...; see `cpu.forward`.

    Differentiable once, in everything but the camera.
    """
    return _Rasterize.apply(means, covariances, opacities, values, camera)
