# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders on a CUDA device with gsplat (Ye et al. 2024), where it is installed."""

from dataclasses import replace
from itertools import groupby
from math import prod

import torch
from torch import Tensor

from ..errors import UserError
from ..gaussians import Gaussians
from .inputs import Shot

FARTHEST = torch.finfo(torch.float32).max


def pictures(gaussians: Gaussians, shots: list[Shot]) -> list[tuple[Tensor, Tensor]]:
    """What `autograd.pictures` makes, on the tensors' CUDA device, of all cameras of a kind in one batch.
    UserError without gsplat."""
    try:
        import gsplat  # noqa: F401
    except ImportError as error:
        raise UserError(
            "Rendering on CUDA needs gsplat, which is not installed.",
            "Install gsplat, or render on the CPU.",
        ) from error
    gaussians, features = _without_non_finite(gaussians, shots[0].features)
    shots = [replace(shot, features=features) for shot in shots]
    made = []
    for _, alike in groupby(shots, lambda shot: (shot.camera.orthographic, shot.camera.near)):
        made += _batch(gaussians, list(alike))
    return made


def _without_non_finite(gaussians: Gaussians, features: Tensor | None) -> tuple[Gaussians, Tensor | None]:
    """Makes Gaussians with NaN or infinity invisible. Shapes do not depend on the values, so the host need
    not wait for the device."""
    tensors = [gaussians.means, gaussians.covariances, gaussians.opacities, gaussians.colors]
    tensors += [] if features is None else [features]
    finite = torch.stack([t.isfinite().reshape(len(t), prod(t.shape[1:])).all(1) for t in tensors]).all(0)
    made = [torch.where(finite.reshape(-1, *[1] * (t.ndim - 1)), t, 0.0) for t in tensors]
    return Gaussians(*made[:4], gaussians.linear), None if features is None else made[4]


def _batch(gaussians: Gaussians, shots: list[Shot]) -> list[tuple[Tensor, Tensor]]:
    from gsplat import rasterization

    shot, camera, means = shots[0], shots[0].camera, gaussians.means
    views = torch.stack([_view(one, means) for one in shots])
    values = _values(gaussians, shots, views)
    if len(gaussians):
        # Symmetric: gsplat reads the upper triangle only, and each of the nine entries has its gradient.
        covariances = 0.5 * (gaussians.covariances + gaussians.covariances.mT)
        near, lifted = _in_front(shots, views)
        colors, alphas, _ = rasterization(
            means,
            None,
            None,
            gaussians.opacities,
            values,
            lifted,
            torch.stack([torch.tensor(one.camera.K).to(means) for one in shots]),
            camera.width,
            camera.height,
            near_plane=near,
            far_plane=FARTHEST,
            packed=False,
            rasterize_mode="antialiased" if shot.antialiased else "classic",
            camera_model="ortho" if camera.orthographic else "pinhole",
            covars=covariances,
        )
    else:
        colors = means.sum() + means.new_zeros(len(shots), camera.height, camera.width, values.shape[-1])
        alphas = colors[..., :1]
    return [_finished(one, *layers) for one, *layers in zip(shots, colors, alphas, strict=True)]


def _view(shot: Shot, like: Tensor) -> Tensor:
    return torch.tensor(shot.camera.viewmat).to(like) if shot.viewmat is None else shot.viewmat.to(like)


def _in_front(shots: list[Shot], views: Tensor) -> tuple[float, Tensor]:
    """The near plane and the views, moved along z where an orthographic one sees what is behind it: gsplat
    sorts by the bits of the depth, which do not grow below zero."""
    near = shots[0].camera.near
    if near > 0:
        return near, views
    back = torch.zeros_like(views)
    back[:, 2, 3] = 1.0 - near
    return 1.0, views + back


def _values(gaussians: Gaussians, shots: list[Shot], views: Tensor) -> Tensor:
    """[C,N,.]: colour, camera z and normal where they are wanted, features."""
    shot, means, size = shots[0], gaussians.means, (len(shots), len(gaussians), -1)
    values = [_seen_colors(gaussians, views)]
    if shot.depth or shot.normal:
        values.append((means @ views[:, 2, :3, None]) + views[:, 2, 3, None, None])
    if shot.normal:
        from .normals import facing_normals

        facing = [facing_normals(means, gaussians.covariances, one.camera) for one in shots]
        values.append(torch.stack(facing))
    if shot.features is not None:
        values.append(shot.features.expand(*size))
    return torch.cat([value.expand(*size) for value in values], -1)


def _seen_colors(gaussians: Gaussians, views: Tensor) -> Tensor:
    """Colours [C,N,3] or [N,3]; of spherical harmonics, as each camera sees them."""
    if gaussians.colors.ndim == 2:
        return gaussians.colors
    from gsplat import spherical_harmonics

    count, bases, _ = gaussians.colors.shape
    directions = gaussians.means - torch.linalg.inv(views)[:, None, :3, 3]
    coefficients = gaussians.colors.expand(len(views), count, bases, 3)
    return torch.clamp_min(spherical_harmonics(round(bases**0.5) - 1, directions, coefficients) + 0.5, 0.0)


def _finished(shot: Shot, values: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    color, layers = values[..., :3], values[..., 3:]
    if shot.background is not None:
        color = torch.addcmul(color, 1 - alpha, shot.background)
    picture = torch.cat([color, alpha], -1)
    if shot.dtype == torch.uint8:
        picture = (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
    return picture, layers
