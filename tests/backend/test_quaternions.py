# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternions and rotation matrices, against scipy's."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.quaternions import (
    matrix_to_quaternion,
    multiply_quaternions,
    quaternion_to_matrix,
    with_positive_w,
)
from scipy.spatial.transform import Rotation

quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(
    lambda q: sum(v * v for v in q) > 1e-3
)


def scipys(q):
    return Rotation.from_quat([*q[1:], q[0]]).as_matrix()


@settings(max_examples=100, deadline=None)
@given(quaternions, quaternions)
def test_they_agree_with_scipy(a, b):
    q, p = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    rotation = quaternion_to_matrix(q)
    np.testing.assert_allclose(rotation[0], scipys(a), atol=1e-12)
    back = matrix_to_quaternion(rotation)
    assert back[0, back.abs().argmax()] > 0
    np.testing.assert_allclose(quaternion_to_matrix(back)[0], scipys(a), atol=1e-12)
    assert with_positive_w(back)[0, 0] >= 0
    np.testing.assert_allclose(quaternion_to_matrix(with_positive_w(back))[0], scipys(a), atol=1e-12)
    product = quaternion_to_matrix(multiply_quaternions(q, p))[0]
    np.testing.assert_allclose(product, scipys(a) @ scipys(b), atol=1e-12)


def test_half_turns_lose_nothing():
    """Where w is zero, each of the other three decides in turn."""
    matrices = torch.stack(
        [torch.diag(torch.tensor(d)) for d in ([1.0, -1, -1], [-1.0, 1, -1], [-1.0, -1, 1])]
    )
    expected = torch.eye(4)[1:]
    assert torch.equal(matrix_to_quaternion(matrices), expected)
    assert torch.equal(quaternion_to_matrix(expected), matrices)


def test_any_leading_axes_and_a_gradient():
    q = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrices = quaternion_to_matrix(q)
    assert matrices.shape == (2, 3, 3, 3)
    assert matrix_to_quaternion(matrices).shape == (2, 3, 4)

    def there_and_back(q):
        return matrix_to_quaternion(quaternion_to_matrix(q))

    assert torch.autograd.gradcheck(there_and_back, q[0].requires_grad_())
