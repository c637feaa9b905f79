# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed and skinned in one walk: canonical Gaussians + the decoder's changes + joint transforms -> posed
Gaussians.

The same arithmetic as `covariances_of` and `body.skinning.skin`, without their large intermediates.
"""

import math

import numpy as np
import torch
from torch import Tensor

from .jit import kernel
from .raster.lanes import take_ticket
from .raster.workers import default_threads, share

CHUNK = 2048  # Gaussians per ticket
CHANGES = 13  # colour 3, mean 3, quaternion 4, log scale 3
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


@kernel
def _blend_joints(rows, indices, weights, out):
    """Sum of weighted joint matrices: rows [J,12], indices and weights [k] -> out [12]."""
    for c in range(12):
        out[c] = _ZERO
    for k in range(indices.shape[0]):
        weight = weights[k]
        if weight > _ZERO:
            row = rows[indices[k]]
            for c in range(12):
                out[c] += weight * row[c]


@kernel
def _turned_and_scaled(quat, change, scale, out):
    """R diag(s), row by row, of the changed quaternion (normalised) and the changed scale."""
    w, x, y, z = quat[0] + change[6], quat[1] + change[7], quat[2] + change[8], quat[3] + change[9]
    two = _TWO / (w * w + x * x + y * y + z * z)
    sx = scale[0] * np.float32(math.exp(change[10]))
    sy = scale[1] * np.float32(math.exp(change[11]))
    sz = scale[2] * np.float32(math.exp(change[12]))
    out[0] = sx * (_ONE - two * (y * y + z * z))
    out[1] = sy * two * (x * y - w * z)
    out[2] = sz * two * (x * z + w * y)
    out[3] = sx * two * (x * y + w * z)
    out[4] = sy * (_ONE - two * (x * x + z * z))
    out[5] = sz * two * (y * z - w * x)
    out[6] = sx * two * (x * z - w * y)
    out[7] = sy * two * (y * z + w * x)
    out[8] = sz * (_ONE - two * (x * x + y * y))


@kernel
def _pose(
    counter,
    means,
    quats,
    scales,
    colors,
    indices,
    weights,
    rows,
    changes,
    out_means,
    out_covariances,
    out_colors,
):
    joint, local, world = np.empty(12, np.float32), np.empty(9, np.float32), np.empty(9, np.float32)
    total = means.shape[0]
    while True:
        first = take_ticket(counter) * CHUNK
        if first >= total:
            return
        for i in range(first, min(total, first + CHUNK)):
            change = changes[i]
            _blend_joints(rows, indices[i], weights[i], joint)
            _turned_and_scaled(quats[i], change, scales[i], local)
            x, y, z = means[i, 0] + change[3], means[i, 1] + change[4], means[i, 2] + change[5]
            for r in range(3):
                a, b, c = joint[4 * r], joint[4 * r + 1], joint[4 * r + 2]
                out_means[i, r] = a * x + b * y + c * z + joint[4 * r + 3]
                for k in range(3):
                    world[3 * r + k] = a * local[k] + b * local[3 + k] + c * local[6 + k]
                out_colors[i, r] = min(max(colors[i, r] + change[r], _ZERO), _ONE)
            covariance = out_covariances[i]
            for r in range(3):
                for c in range(r, 3):
                    value = world[3 * r] * world[3 * c]
                    value += world[3 * r + 1] * world[3 * c + 1] + world[3 * r + 2] * world[3 * c + 2]
                    covariance[3 * r + c] = value
                    covariance[3 * c + r] = value


def pose_gaussians(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    colors: Tensor,
    skin_indices: Tensor,
    skin_weights: Tensor,
    transforms: Tensor,
    changes: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Posed means [N,3], covariances [N,3,3] and colours [N,3] in 0..1.

    means, scales, colors [N,3], quats [N,4] at rest; skin_indices [N,k] integers and skin_weights [N,k];
    transforms [J,4,4]; changes [N,13]: added to colour, mean and quaternion, and to the log of the scale.
    All on the CPU, float32 but for the indices. Bit for bit the same on any number of threads.
    """
    count = len(means)
    rows = transforms[:, :3].reshape(-1, 12)
    inputs = (means, quats, scales, colors, skin_indices, skin_weights, rows, changes)
    shapes = ((count, 3), (count, 9), (count, 3))
    outputs = [np.empty(shape, np.float32) for shape in shapes]
    pieces = -(-count // CHUNK)
    share(_pose, pieces, default_threads(), *(t.detach().contiguous().numpy() for t in inputs), *outputs)
    posed, covariances, colors = (torch.from_numpy(array) for array in outputs)
    return posed, covariances.reshape(-1, 3, 3), colors
