# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations in 3-D of a skeleton's bones; float64 numpy, matrices act on columns."""

import numpy as np
from scipy.spatial.transform import Rotation


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rotation whose first column is `first` and whose second is as near `second` as can be."""
    x = unit(first)
    y = second - x * (x @ second)
    if np.linalg.norm(y) < 1e-9 * max(np.linalg.norm(second), 1e-12):
        y = np.eye(3)[np.argmin(np.abs(x))]
        y = y - x * (x @ y)
    y = unit(y)
    return np.stack([x, y, np.cross(x, y)], 1)


def smallest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The rotation between two unit vectors with the smallest angle (Rodrigues)."""
    cosine = float(np.clip(start @ end, -1.0, 1.0))
    axis = np.cross(start, end)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        across = np.eye(3)[np.argmin(np.abs(start))]
        return rotation_about(unit(np.cross(start, across)), np.pi)
    return rotation_about(axis / sine, np.arctan2(sine, cosine))


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def twist_angle(rotation: np.ndarray, axis: np.ndarray) -> float:
    """Angle in [-pi, pi) of the part of a rotation that turns about `axis` (swing-twist decomposition)."""
    quaternion = Rotation.from_matrix(rotation).as_quat()  # x, y, z, w
    angle = 2.0 * np.arctan2(quaternion[:3] @ axis, quaternion[3])
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The rotations nearest to matrices [...,3,3], scale and shear removed (polar decomposition)."""
    u, _, vt = np.linalg.svd(matrix)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def half_twist(forearm: np.ndarray, hand: np.ndarray, rest: np.ndarray, axis) -> np.ndarray:
    """Posed matrix of the twist joint: the forearm's motion and half of the hand's turn about the forearm."""
    origin, direction = axis
    relative = nearest_rotation(np.linalg.pinv(forearm[:3, :3]) @ hand[:3, :3])
    half = np.eye(4)
    half[:3, :3] = rotation_about(direction, 0.5 * twist_angle(relative, direction))
    half[:3, 3] = origin - half[:3, :3] @ origin
    return forearm @ half @ rest
