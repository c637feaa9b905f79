# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear blend skinning for batches of Gaussians in training."""

from __future__ import annotations

from torch import Tensor

from ..quaternions import quaternion_to_matrix


def blend(weights: Tensor, transforms: Tensor) -> Tensor:
    """Dense skinning weights [M,J] and joint transforms [...,J,3,4] -> [...,M,3,4] blended matrices."""
    return (weights @ transforms.flatten(-2)).unflatten(-1, (3, 4))  # (M, J) @ (..., J, 12) -> (..., M, 3, 4)


def pose(means: Tensor, quats: Tensor, log_scales: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Skin Gaussians: means [...,3], quats [...,4] of any length, log_scales [...,3], matrices [...,3,4].

    Returns posed means [...,3] and covariances A R S S Rᵀ Aᵀ [...,3,3], A the blended 3x3 part.
    """
    linear = matrices[..., :3]  # (..., 3, 3)
    half = linear @ (quaternion_to_matrix(quats) * log_scales.exp()[..., None, :])
    return (linear @ means[..., None])[..., 0] + matrices[..., 3], half @ half.transpose(-1, -2)
