# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternions, covariances and linear blend skinning for batches of Gaussians in training."""

from __future__ import annotations

import torch
from torch import Tensor


def matrix_to_quaternion(r: Tensor) -> Tensor:
    """Rotation matrices [...,3,3] -> unit quaternions (w,x,y,z) [...,4], by the largest component."""
    m = r.flatten(-2).unbind(-1)
    d = torch.stack([m[0] + m[4] + m[8], m[0] - m[4] - m[8], m[4] - m[0] - m[8], m[8] - m[0] - m[4]], -1)
    x, y, z = m[7] - m[5], m[2] - m[6], m[3] - m[1]
    xy, xz, yz = m[1] + m[3], m[2] + m[6], m[5] + m[7]
    rows = torch.stack(
        [
            torch.stack([1 + d[..., 0], x, y, z], -1),
            torch.stack([x, 1 + d[..., 1], xy, xz], -1),
            torch.stack([y, xy, 1 + d[..., 2], yz], -1),
            torch.stack([z, xz, yz, 1 + d[..., 3]], -1),
        ],
        -2,
    )
    best = d.argmax(-1)[..., None, None].expand(*d.shape[:-1], 1, 4)
    return torch.nn.functional.normalize(rows.gather(-2, best)[..., 0, :], dim=-1)


def multiply_quaternions(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of (w,x,y,z) quaternions [...,4]: first b, then a."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def quaternion_to_matrix(q: Tensor) -> Tensor:
    """Unit quaternions (w,x,y,z) [...,4] -> rotation matrices [...,3,3]."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def blend(weights: Tensor, transforms: Tensor) -> Tensor:
    """Dense skinning weights [M,J] and joint transforms [...,J,3,4] -> [...,M,3,4] blended matrices."""
    return (weights @ transforms.flatten(-2)).unflatten(-1, (3, 4))


def pose(means: Tensor, quats: Tensor, log_scales: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Skin Gaussians: means [...,3], quats [...,4], log_scales [...,3], matrices [...,3,4].

    Returns posed means [...,3] and covariances A R S S Rᵀ Aᵀ [...,3,3], A the blended 3x3 part.
    """
    linear = matrices[..., :3]
    half = linear @ (quaternion_to_matrix(quats) * log_scales.exp()[..., None, :])
    return (linear @ means[..., None])[..., 0] + matrices[..., 3], half @ half.transpose(-1, -2)
