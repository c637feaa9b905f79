# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasteriser as a differentiable torch function."""

import numpy as np
import torch
from torch import Tensor

from ..gaussians import Gaussians
from . import cpu
from .draw import Scene, View, camera_numbers, draw
from .inputs import Shot
from .workspace import workspace


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().contiguous().numpy()


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


def pictures(gaussians: Gaussians, shot: Shot) -> tuple[Tensor, Tensor | None]:
    """Picture [H,W,4] of `shot.dtype`: premultiplied colour over the background, and coverage; and layers
    [H,W,.] or None: camera z (where depth or normal is wanted), normal, features, times coverage."""
    normals = None
    if shot.normal:
        from .normals import facing_normals

        normals = facing_normals(gaussians.means, gaussians.covariances, shot.camera)
    inputs = (gaussians.means, gaussians.covariances, gaussians.opacities, gaussians.colors)
    learned = (*inputs, shot.features, shot.background)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in learned):
        return _differentiable(inputs, shot.camera, shot.features, shot.background, normals, shot.depth)
    arrays = [_array(t) for t in (*inputs, normals, shot.features)]
    arrays[1] = arrays[1].reshape(-1, 9)
    scene = Scene(*arrays, depth=shot.depth)
    numbers, size = camera_numbers(shot.camera, _array(shot.viewmat)), (shot.camera.width, shot.camera.height)
    view = View(numbers, *size, shot.antialiased, _array(shot.scene_depth), _array(shot.background))
    picture = torch.empty(view.height, view.width, 4, dtype=shot.dtype)
    layers = torch.empty(view.height, view.width, scene.layers) if scene.layers else None
    with workspace() as space:
        draw(scene, view, picture.numpy(), _array(layers), space)
    return picture, layers


def _differentiable(inputs, camera, features, background, normals, depth):
    values = [inputs[3]]
    if depth or normals is not None:
        row = torch.from_numpy(camera.viewmat[2].copy()).to(inputs[0])
        values.append((inputs[0] @ row[:3] + row[3])[:, None])
    values += [extra for extra in (normals, features) if extra is not None]
    made = _Rasterize.apply(*inputs[:3], torch.cat(values, -1), camera)
    picture = made[..., :4]
    if background is not None:
        picture = torch.cat(
            [torch.addcmul(picture[..., :3], 1 - picture[..., 3:], background), picture[..., 3:]], -1
        )
    return picture, made[..., 4:] if len(values) > 1 else None
