# SPDX-License-Identifier: GPL-3.0-or-later
"""Surface normals of flat Gaussians."""

import math

import torch
from torch import Tensor


def _smallest_eigenvalues(m: Tensor) -> Tensor:
    """[N] of symmetric matrices [N,3,3] of trace 1: the trigonometric solution of the cubic (Smith 1961)."""
    (a, d, e), (_, b, f), (_, _, c) = (row.unbind(-1) for row in m.unbind(-2))
    a, b, c = a - 1 / 3, b - 1 / 3, c - 1 / 3
    p = ((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6).sqrt()
    half = 0.5 * (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / (p**3).clamp_min(1e-36)
    return 1 / 3 + 2 * p * torch.cos(half.clamp(-1, 1).acos() / 3 + 2 * math.pi / 3)


def _longest(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Of each [N,3,3] the longest row [N,3] and its squared length [N,1]."""
    squares, index = vectors.square().sum(-1).max(-1)
    return vectors[torch.arange(len(vectors)), index], squares[:, None]


def smallest_axes(covariances: Tensor) -> Tensor:
    """Unit eigenvectors [N,3] of the smallest eigenvalues of covariances [N,3,3], float32.

    The longest cross product of two rows of S - lambda I, in double precision, for flat Gaussians are
    ill-conditioned. +Z where all directions are alike or a value is not finite.
    """
    m = covariances.detach().double()
    m = 0.5 * (m + m.mT)
    m = m / m.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    m = m - _smallest_eigenvalues(m)[:, None, None] * torch.eye(3).to(m)
    axis, square = _longest(torch.linalg.cross(m, m.roll(-1, dims=1), dim=-1))
    # With two small eigenvalues alike, anything across the longest row is.
    row, row_square = _longest(m)
    beside = torch.nn.functional.one_hot(row.abs().argmin(-1), 3).to(m)
    needle = (square < 1e-18) & (row_square > 1e-18)
    axis = torch.where(needle, torch.linalg.cross(row, beside, dim=-1), axis)
    unit = axis / axis.norm(dim=-1, keepdim=True)
    up = torch.tensor([0.0, 0.0, 1.0]).to(m)
    return torch.where(unit.isfinite().all(-1, keepdim=True), unit, up).float()


def facing_normals(means: Tensor, covariances: Tensor, camera) -> Tensor:
    """World normals [N,3]: the smallest axes, turned towards the camera. No gradient flows through them."""
    axes = smallest_axes(covariances)
    if camera.orthographic:
        view = torch.from_numpy(camera.forward.copy()).to(means)
    else:
        view = means.detach() - torch.from_numpy(camera.position.copy()).to(means)
    return torch.where((axes * view).sum(-1, keepdim=True) > 0, -axes, axes)
