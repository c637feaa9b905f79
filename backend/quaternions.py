# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternions (w, x, y, z) and rotation matrices in torch, any leading axes, differentiable."""

import torch
from torch import Tensor

# The nine elements of a rotation matrix, row by row -> 4 q qᵀ - I of its quaternion q (Shepperd 1978): the
# factors of the row along w, then of those along x, y and z.
_W, _X, _Y, _Z = {0: 1, 4: 1, 8: 1}, {0: 1, 4: -1, 8: -1}, {0: -1, 4: 1, 8: -1}, {0: -1, 4: -1, 8: 1}
_WX, _WY, _WZ = {7: 1, 5: -1}, {2: 1, 6: -1}, {3: 1, 1: -1}
_XY, _XZ, _YZ = {3: 1, 1: 1}, {2: 1, 6: 1}, {7: 1, 5: 1}
_ROWS = ((_W, _WX, _WY, _WZ), (_WX, _X, _XY, _XZ), (_WY, _XY, _Y, _YZ), (_WZ, _XZ, _YZ, _Z))
_PRODUCTS = torch.tensor(
    [[[float(entry.get(element, 0)) for entry in row] for element in range(9)] for row in _ROWS]
)  # (4, 9, 4)
_SQUARES = torch.stack([_PRODUCTS[i, :, i] for i in range(4)], -1)  # (9, 4)


def matrix_to_quaternion(matrices: Tensor) -> Tensor:
    """Rotation matrices [...,3,3] -> unit quaternions [...,4] whose largest component is positive.

    Of the four rows of q qᵀ the one along the largest component is taken. Without a matrix product: the
    threads of its library would go on spinning for a while.
    """
    m = matrices.flatten(-2)[..., None]  # (..., 9, 1)
    largest = (m * _SQUARES.to(m)).sum(-2).argmax(-1)  # (...)
    row = (m * _PRODUCTS.to(m)[largest]).sum(-2) + torch.eye(4).to(m)[largest]  # (..., 4)
    return row / row.norm(dim=-1, keepdim=True)


def with_positive_w(quaternions: Tensor) -> Tensor:
    """The same rotations [...,4] with w >= 0."""
    return torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)


def quaternion_to_matrix(quaternions: Tensor) -> Tensor:
    """Quaternions [...,4] of any length but zero -> rotation matrices [...,3,3]."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def multiply_quaternions(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of quaternions [...,4]: first b, then a."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    parts = (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
    return torch.stack(parts, -1)
