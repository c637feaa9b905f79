# SPDX-License-Identifier: GPL-3.0-or-later
"""View-dependent colours by spherical harmonics."""

import numpy as np
import torch
from torch import Tensor

from ..native import INT, POINTER, Kernel
from ..workers import default_threads, share

BASES = {1: 0, 4: 1, 9: 2, 16: 3}  # number of coefficients: degree
_CHUNK = 1024

_harmonics = Kernel("lca_harmonics", POINTER, INT, INT, *[POINTER] * 4)
_harmonics_backward = Kernel("lca_harmonics_backward", POINTER, INT, INT, *[POINTER] * 7)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _share(kernel, arrays) -> None:
    coefficients = arrays[1]
    count, bases, _ = coefficients.shape
    share(kernel, -(-count // _CHUNK), default_threads(), count, bases, *arrays)


class _Harmonics(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, coefficients, position):
        colors = torch.empty_like(means, memory_format=torch.contiguous_format)
        _share(_harmonics, [*map(_array, (means, coefficients, position)), colors.numpy()])
        ctx.save_for_backward(means, coefficients, position, colors)
        return colors

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        means, coefficients, position, colors = ctx.saved_tensors
        grads = [torch.empty(t.shape) for t in (means, coefficients)]
        inputs = (means, coefficients, position, colors, gradient)
        _share(_harmonics_backward, [*map(_array, inputs), *(grad.numpy() for grad in grads)])
        return *grads, -grads[0].sum(0) if ctx.needs_input_grad[2] else None


def seen_colors(means: Tensor, coefficients: Tensor, position: Tensor) -> Tensor:
    """Colours [N,3] of Gaussians at means [N,3], seen from a camera at `position` [3], all in world axes.

    coefficients [N, (d+1)^2, 3] of real spherical harmonics of degree d 0..3, in the order and with the signs
    of 3D Gaussian splatting (Kerbl et al. 2023): max(0, 0.5 + sum_k basis_k(direction to the mean) c_k).
    float32 on the CPU; differentiable once in everything.
    """
    return _Harmonics.apply(means, coefficients, position)
