# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasteriser as a differentiable torch function."""

import numpy as np
import torch
from torch import Tensor

from ..gaussians import Gaussians
from ..recycling import empty
from .draw import Scene, View, camera_numbers, draw
from .gradient import backward
from .inputs import Shot
from .workspace import BorrowedWorkspace


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().contiguous().numpy()


def _draw(means, covariances, opacities, colors, features, background, viewmat, shot: Shot, normals):
    """Scene, view, frame, the workspace that its arrays are in, picture and layers."""
    arrays = [_array(t) for t in (means, covariances, opacities, colors, normals, features)]
    arrays[1] = arrays[1].reshape(-1, 9)
    scene = Scene(*arrays, depth=shot.depth)
    numbers, size = camera_numbers(shot.camera, _array(viewmat)), (shot.camera.width, shot.camera.height)
    view = View(numbers, *size, shot.antialiased, _array(shot.scene_depth), _array(background))
    picture = empty(view.height, view.width, 4, dtype=shot.dtype)
    layers = empty(view.height, view.width, scene.layers)
    workspace = BorrowedWorkspace()
    frame = draw(scene, view, picture.numpy(), _array(layers), workspace.space)
    return scene, view, frame, workspace, picture, layers


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):
        *ctx.drawn, picture, layers = _draw(*inputs)
        ctx.save_for_backward(*inputs[:7], picture, layers)
        return picture, layers

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *gradients):
        *inputs, picture, layers = ctx.saved_tensors
        scene, view, frame, _ = ctx.drawn
        grads = backward(scene, view, frame, (_array(picture), _array(layers)), tuple(map(_array, gradients)))
        covariances = grads.covariances.reshape(-1, 3, 3)
        arrays = (grads.means, covariances, grads.opacities, grads.colors, grads.features)
        behind = _background_gradient(picture, gradients[0], inputs[5]) if ctx.needs_input_grad[5] else None
        viewmat = torch.from_numpy(grads.viewmat) if ctx.needs_input_grad[6] else None
        return *(None if a is None else torch.from_numpy(a) for a in arrays), behind, viewmat, None, None


def _background_gradient(picture: Tensor, gradient: Tensor, background: Tensor) -> Tensor:
    seen = (1 - picture[..., 3:]) * gradient[..., :3]
    return seen if background.ndim == 3 else seen.sum((0, 1))


def pictures(gaussians: Gaussians, shot: Shot) -> tuple[Tensor, Tensor]:
    """Picture [H,W,4] of `shot.dtype`: premultiplied colour over the background, and coverage; and layers
    [H,W,.]: camera z (where depth or normal is wanted), normal, features, times coverage.

    Differentiable once where float32, but for the normals' directions.
    """
    normals = None
    if shot.normal:
        from .normals import facing_normals

        normals = facing_normals(gaussians.means, gaussians.covariances, shot.camera)
    scene = (gaussians.means, gaussians.covariances, gaussians.opacities, gaussians.colors)
    inputs = (*scene, shot.features, shot.background, shot.viewmat)
    learned = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    if learned and shot.dtype == torch.float32:
        return _Draw.apply(*inputs, shot, normals)
    return _draw(*inputs, shot, normals)[-2:]
