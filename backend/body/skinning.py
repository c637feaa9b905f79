# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear blend skinning of points and of Gaussians."""

import dataclasses

import numpy as np
import torch


def blend(skin_indices, skin_weights, transforms):
    """Blended matrices [N, 3, 4] of skin_indices [N, k], skin_weights [N, k] and transforms [J, 4, 4]."""
    rows = transforms[:, :3].reshape(-1, 12)
    dense = torch.zeros(len(skin_indices), len(transforms), dtype=rows.dtype, device=rows.device)
    dense.scatter_add_(1, skin_indices.long(), skin_weights.to(rows.dtype))
    return (dense @ rows).reshape(-1, 3, 4)


def skin_points(points, skin_indices, skin_weights, transforms):
    """Points [N, 3] of the canonical pose -> posed."""
    matrix = blend(skin_indices, skin_weights, transforms)
    return (matrix[:, :, :3] @ points[:, :, None])[:, :, 0] + matrix[:, :, 3]


def unskin_points(points, skin_indices, skin_weights, transforms):
    """The inverse of `skin_points`, of numpy arrays: float32 [N, 3]."""
    tensors = (torch.from_numpy(np.array(a)) for a in (skin_indices, skin_weights))
    matrix = blend(*tensors, torch.from_numpy(np.asarray(transforms, np.float32))).numpy().astype(np.float64)
    away = points - matrix[:, :, 3]
    return np.linalg.solve(matrix[:, :, :3], away[..., None])[..., 0].astype(np.float32)


def skin(gaussians, skin_indices, skin_weights, transforms):
    """Poses Gaussians: means by the blended matrix, covariances by A S A^T with its 3x3 part A.

    Differentiable in means and covariances. transforms [J, 4, 4] come from `pose.joint_transforms`.
    """
    matrix = blend(skin_indices, skin_weights, transforms.to(gaussians.means))
    a = matrix[:, :, :3]
    means = (a @ gaussians.means[:, :, None])[:, :, 0] + matrix[:, :, 3]
    covariances = a @ gaussians.covariances @ a.transpose(1, 2)
    return dataclasses.replace(gaussians, means=means, covariances=covariances)
