# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear blend skinning of template points, with the Jacobian by joints and shape: kernels/skinned_points.c.
All arrays are float64 or int64.
"""

from typing import NamedTuple

import numpy as np

from ...native import INT, POINTER, Kernel, Struct

_joint_frames = Kernel("lca_joint_frames", *[POINTER] * 4)
_skin = Kernel("lca_skin_points", *[POINTER] * 3)
_skin_with_jacobian = Kernel("lca_skin_points_with_jacobian", *[POINTER] * 3, INT, *[POINTER] * 2)


class SkinnedPoints(NamedTuple):
    """n points of the template: places [n,3] canonical metres, indices [n,k] and weights [n,k] of their
    joints, deltas [n,S,3] metres a standard deviation of every shape."""

    places: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    deltas: np.ndarray

    def take(self, chosen) -> "SkinnedPoints":
        return SkinnedPoints(*(array[chosen] for array in self))

    @property
    def struct(self) -> Struct:
        return Struct(*self.indices.shape, self.deltas.shape[1], *self)


class Skeleton(NamedTuple):
    """parents [J], each before its children; heads [J,3] of the mean; head_deltas [J,S,3]; column [J] of a
    joint's first parameter, -1 where it is held."""

    parents: np.ndarray
    heads: np.ndarray
    head_deltas: np.ndarray
    column: np.ndarray

    @property
    def struct(self) -> Struct:
        return Struct(*self.head_deltas.shape[:2], *self)


class Frames(NamedTuple):
    """The posed joints: turn [J,3,3], place [J,3] metres, moves [J,S,3] (places' derivative by shape); their
    canonical heads [J,3] of a body of the shape betas [S]."""

    turn: np.ndarray
    place: np.ndarray
    moves: np.ndarray
    heads: np.ndarray
    betas: np.ndarray


def joint_frames(skeleton: Skeleton, local, translation, betas) -> Frames:
    """local [J,3,3] joint-local rotations; translation [3] metres moves the root; betas [S]."""
    local, translation, betas = (np.ascontiguousarray(a, np.float64) for a in (local, translation, betas))
    joints, shapes = skeleton.head_deltas.shape[:2]
    made = (np.empty(size) for size in ((joints, 3, 3), (joints, 3), (joints, shapes, 3), (joints, 3)))
    frames = Frames(*made, betas)
    _joint_frames(skeleton.struct, local, translation, Struct(*frames))
    return frames


def posed_points(points: SkinnedPoints, frames: Frames) -> np.ndarray:
    """Posed positions [n,3]."""
    posed = np.empty((len(points.places), 3))
    _skin(points.struct, Struct(*frames), posed)
    return posed


def posed_with_jacobian(
    points: SkinnedPoints, skeleton: Skeleton, frames: Frames, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Posed positions [n,3] and their derivatives [n,3,width]: by small turns of the free joints about the
    axes of space (three columns from `column[j]`), then translation (3), then shape (S), which come last.
    """
    posed, jacobian = np.empty((len(points.places), 3)), np.zeros((len(points.places), 3, width))
    _skin_with_jacobian(points.struct, skeleton.struct, Struct(*frames), width, posed, jacobian)
    return posed, jacobian
