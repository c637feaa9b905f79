# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed and skinned in one walk: canonical Gaussians + the decoder's changes + joint transforms -> posed
Gaussians.

The same arithmetic as `covariances_of` and `body.skinning.skin`, without their large intermediates.
"""

import math
from dataclasses import dataclass

import numpy as np

from .jit import kernel
from .raster.lanes import take_ticket
from .workers import default_threads, share

CHUNK = 2048  # Gaussians per ticket
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


@kernel
def _express(counter, means, moved, basis, used, values, out):
    """out [N,3] = means + the used rows of basis [52, 3 M], each times its value, at the M moved
    Gaussians."""
    total = moved.shape[0]
    while True:
        first = take_ticket(counter) * CHUNK
        if first >= total:
            return
        last = min(total, first + CHUNK)
        shift = np.zeros(3 * (last - first), np.float32)
        for k in range(used.shape[0]):
            row, value = basis[used[k]], values[used[k]]
            for j in range(3 * (last - first)):
                shift[j] += value * row[3 * first + j]
        for j in range(last - first):
            for c in range(3):
                out[moved[first + j], c] = means[moved[first + j], c] + shift[3 * j + c]


@dataclass(frozen=True)
class Rest:
    """An avatar's Gaussians at rest, arrays ready for driving.

    means, scales, colors [N,3], quats [N,4], skin_weights [N,k] float32, skin_indices [N,k] uint8; basis
    [52, 3 M] float32, the displacements of the M Gaussians `moved` [M] that any expression moves.
    """

    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    colors: np.ndarray
    skin_indices: np.ndarray
    skin_weights: np.ndarray
    moved: np.ndarray
    basis: np.ndarray

    def expressed(self, expression: np.ndarray) -> np.ndarray:
        """Means [N,3] under an expression [52]."""
        used = np.flatnonzero(expression)
        out = self.means.copy()
        if len(used):
            arrays = (self.means, self.moved, self.basis, used, expression, out)
            share(_express, -(-len(self.moved) // CHUNK), default_threads(), *arrays)
        return out

    def pose(
        self, means: np.ndarray, transforms: np.ndarray, changes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posed means [N,3], covariances [N,3,3] and colours [N,3] in 0..1.

        means [N,3] at rest; transforms [J,4,4]; changes [N,13]: added to colour, mean and quaternion, and to
        the log of the scale. Bit for bit the same on any number of threads.
        """
        count = len(means)
        rows = np.ascontiguousarray(transforms[:, :3].reshape(-1, 12))
        inputs = (self.quats, self.scales, self.colors, self.skin_indices, self.skin_weights, rows, changes)
        posed, covariances, colors = (np.empty((count, size), np.float32) for size in (3, 9, 3))
        pieces = -(-count // CHUNK)
        share(_pose, pieces, default_threads(), means, *inputs, posed, covariances, colors)
        return posed, covariances.reshape(-1, 3, 3), colors
