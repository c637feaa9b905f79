# SPDX-License-Identifier: GPL-3.0-or-later
"""Surface normals of flat Gaussians."""

import math

import numpy as np
import torch
from torch import Tensor

from ..jit import kernel


@kernel
def _cross(a, b, out):
    """out = a x b; returns the square of its length."""
    out[0], out[1], out[2] = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    return out[0] * out[0] + out[1] * out[1] + out[2] * out[2]


@kernel
def _smallest_eigenvalue(m):
    """Of a symmetric matrix of trace 1: the trigonometric solution of its cubic (Smith 1961)."""
    a, b, c = m[0, 0] - 1.0 / 3.0, m[1, 1] - 1.0 / 3.0, m[2, 2] - 1.0 / 3.0
    d, e, f = m[0, 1], m[0, 2], m[1, 2]
    p = math.sqrt((a * a + b * b + c * c + 2.0 * (d * d + e * e + f * f)) / 6.0)
    if p < 1e-12:
        return 1.0 / 3.0
    half = 0.5 * (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / (p * p * p)
    angle = math.acos(min(max(half, -1.0), 1.0)) / 3.0
    return 1.0 / 3.0 + 2.0 * p * math.cos(angle + 2.0 * math.pi / 3.0)


@kernel
def _smallest_axes(covariances, out):
    m, crosses = np.empty((3, 3), np.float64), np.empty((3, 3), np.float64)
    for i in range(covariances.shape[0]):
        out[i, 0], out[i, 1], out[i, 2] = 0.0, 0.0, 1.0
        s = covariances[i]
        trace = np.float64(s[0, 0]) + s[1, 1] + s[2, 2]
        if not (trace > 0.0 and math.isfinite(trace)):
            continue
        for r in range(3):
            for c in range(3):
                m[r, c] = 0.5 * (s[r, c] + s[c, r]) / trace
        smallest = _smallest_eigenvalue(m)
        for r in range(3):
            m[r, r] -= smallest
        # The eigenvector is across the rows. With two small eigenvalues alike, anything across the longest
        # row is.
        best, length, longest, row_length = 0, 0.0, 0, 0.0
        for r in range(3):
            square = _cross(m[r], m[(r + 1) % 3], crosses[r])
            if square > length:
                best, length = r, square
            square = m[r, 0] ** 2 + m[r, 1] ** 2 + m[r, 2] ** 2
            if square > row_length:
                longest, row_length = r, square
        if length < 1e-18 and row_length > 1e-18:
            row, other = m[longest], (longest + 1) % 3
            row_across = np.zeros(3)
            row_across[other] = 1.0
            length, best = _cross(row, row_across, crosses[0]), 0
        if length > 0.0 and math.isfinite(length):
            scale = 1.0 / math.sqrt(length)
            for k in range(3):
                out[i, k] = crosses[best, k] * scale


def smallest_axes(covariances: Tensor) -> Tensor:
    """Unit eigenvectors [N,3] of the smallest eigenvalues of covariances [N,3,3] on the CPU, float32.

    The longest cross product of two rows of S - lambda I, in double precision, for flat Gaussians are
    ill-conditioned. +Z where all directions are alike or a value is not finite.
    """
    out = np.empty((len(covariances), 3), np.float32)
    _smallest_axes(covariances.detach().contiguous().numpy(), out)
    return torch.from_numpy(out)


def facing_normals(means: Tensor, covariances: Tensor, camera) -> Tensor:
    """World normals [N,3]: the smallest axes, turned towards the camera. No gradient flows through them."""
    axes = smallest_axes(covariances.cpu()).to(means.device)
    if camera.orthographic:
        view = torch.from_numpy(camera.forward.copy()).to(means)
    else:
        view = means.detach() - torch.from_numpy(camera.position.copy()).to(means)
    return torch.where((axes * view).sum(-1, keepdim=True) > 0, -axes, axes)
