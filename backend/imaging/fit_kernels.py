# SPDX-License-Identifier: GPL-3.0-or-later
"""Points that ride on the skeleton by linear blend skinning, and how they move with joints and shape."""

from typing import NamedTuple

import numba
import numpy as np

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Riders(NamedTuple):
    """n points of the template: places [n,3] canonical metres, indices [n,8] and weights [n,8] of their
    joints, deltas [n,S,3] metres a standard deviation of every shape."""

    places: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    deltas: np.ndarray

    def take(self, chosen) -> "Riders":
        return Riders(*(array[chosen] for array in self))


class Skeleton(NamedTuple):
    """parents [J]; heads [J,3] of the mean; head_deltas [J,S,3]; column [J] of a joint's first parameter, -1
    where it is held."""

    parents: np.ndarray
    heads: np.ndarray
    head_deltas: np.ndarray
    column: np.ndarray


@numba.njit(**_JIT)
def joint_frames(parents, heads, head_deltas, local, translation, betas):
    """Rotations [J,3,3], places [J,3] and moves [J,S,3] (places' derivative by shape) of the posed joints,
    and their canonical heads [J,3]. local [J,3,3] joint-local rotations; translation [3] moves the root.
    """
    count, shapes = head_deltas.shape[0], head_deltas.shape[1]
    turn = np.empty((count, 3, 3))
    place = np.empty((count, 3))
    moves = np.empty((count, shapes, 3))
    shaped = heads.copy()
    for j in range(count):
        for s in range(shapes):
            for c in range(3):
                shaped[j, c] += betas[s] * head_deltas[j, s, c]
    for j in range(count):
        p = parents[j]
        if p < 0:
            turn[j] = local[j]
            place[j] = shaped[j] + translation
            moves[j] = head_deltas[j]
            continue
        turn[j] = turn[p] @ local[j]
        place[j] = turn[p] @ (shaped[j] - shaped[p]) + place[p]
        for s in range(shapes):
            moves[j, s] = turn[p] @ (head_deltas[j, s] - head_deltas[p, s]) + moves[p, s]
    return turn, place, moves, shaped


@numba.njit(**_JIT)
def posed_points(places, indices, weights, deltas, betas, turn, place, shaped):
    """Posed positions [n,3] of riders."""
    out = np.zeros((len(places), 3))
    v = np.empty(3)
    for n in range(len(places)):
        for c in range(3):
            v[c] = places[n, c]
            for s in range(len(betas)):
                v[c] += betas[s] * deltas[n, s, c]
        for k in range(indices.shape[1]):
            w = weights[n, k]
            if w == 0:
                continue
            j = indices[n, k]
            for c in range(3):
                value = place[j, c]
                for d in range(3):
                    value += turn[j, c, d] * (v[d] - shaped[j, d])
                out[n, c] += w * value
    return out


@numba.njit(**_JIT)
def posed_with_jacobian(
    places, indices, weights, deltas, betas, turn, place, shaped, moves, head_deltas, parents, column, width
):
    """Posed positions [n,3] and their derivatives [n,3,width]: by small turns of the free joints about the
    axes of space (three columns from `column[j]`), then translation (3), then shape (S), which come last.
    """
    count, shapes = len(places), len(betas)
    first_shape = width - shapes
    out = np.zeros((count, 3))
    jacobian = np.zeros((count, 3, width))
    v, p, x = np.empty(3), np.empty(3), np.empty(3)
    for n in range(count):
        for c in range(3):
            v[c] = places[n, c]
            for s in range(shapes):
                v[c] += betas[s] * deltas[n, s, c]
            jacobian[n, c, first_shape - 3 + c] = 1.0
        for k in range(indices.shape[1]):
            w = weights[n, k]
            if w == 0:
                continue
            j = indices[n, k]
            for c in range(3):
                p[c] = place[j, c]
                for d in range(3):
                    p[c] += turn[j, c, d] * (v[d] - shaped[j, d])
                out[n, c] += w * p[c]
            for s in range(shapes):
                for c in range(3):
                    value = moves[j, s, c]
                    for d in range(3):
                        value += turn[j, c, d] * (deltas[n, s, d] - head_deltas[j, s, d])
                    jacobian[n, c, first_shape + s] += w * value
            a = j
            while a >= 0:
                column_a = column[a]
                if column_a >= 0:
                    for c in range(3):
                        x[c] = w * (p[c] - place[a, c])
                    jacobian[n, 1, column_a] -= x[2]
                    jacobian[n, 2, column_a] += x[1]
                    jacobian[n, 0, column_a + 1] += x[2]
                    jacobian[n, 2, column_a + 1] -= x[0]
                    jacobian[n, 0, column_a + 2] -= x[1]
                    jacobian[n, 1, column_a + 2] += x[0]
                a = parents[a]
    return out, jacobian
