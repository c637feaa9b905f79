# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of the template's body in the shape and the colours of one person: what stands for an avatar where
its Gaussians are not drawn. A rougher, faster relative of `textured_mesh`.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from .avatar import Avatar
from .body.mesh import vertex_normals

OUTER = 0.8  # of the Gaussians of a cell, by weight, lie further in than the surface
SKIN_DEEP = 0.006  # metres below the surface: what lies deeper does not colour it
ROUNDS = 12  # of smoothing
STIFF, SOFT = 1.0, 0.1  # weight of a vertex's neighbours beside that of its own Gaussians: shape, colours
LEAST = 1e-12


class Person(NamedTuple):
    """points [n,3] float32, metres, canonical pose; colors [n,3] float32, sRGB: albedo where known."""

    points: np.ndarray
    colors: np.ndarray


def person_surface(avatar: Avatar, vertices: np.ndarray, faces: np.ndarray) -> Person:
    """The template's vertices [n,3], joined by faces [f,3], where the avatar's Gaussians have the surface.

    Every Gaussian belongs to the vertex nearest to its place on the template. A vertex moves by their mean
    along the surface, and outwards so far that most of them lie below it (hair and cloth included); both are
    smoothed over the mesh. Vertices without Gaussians begin as the nearest one with some.
    """
    offsets = avatar.offsets.float().numpy().astype(np.float64)
    count = len(vertices)
    cell = cKDTree(vertices).query(avatar.means.numpy() - offsets, workers=-1)[1]
    colors = (avatar.colors if avatar.albedo is None else avatar.albedo).float().numpy()
    scales = np.sort(avatar.scales.float().numpy(), axis=1)
    weight = avatar.opacities.float().numpy() * scales[:, 1] * scales[:, 2] + LEAST
    known = np.flatnonzero(np.bincount(cell, minlength=count))
    source = known[cKDTree(vertices[known]).query(vertices)[1]]
    mean = _neighbours(faces, count)
    normals = vertex_normals(np.asarray(vertices, np.float64), faces)
    height = (offsets * normals[cell]).sum(1)
    top = _percentile(cell, height, weight, count)
    along = _means(cell, offsets - height[:, None] * normals[cell], weight, count)
    total = np.bincount(cell, weight, count)
    trust = total / max(np.median(total[total > 0]), LEAST)
    moved = _smoothed(along[source] + top[source, None] * normals, trust, STIFF, mean)
    outer = weight * (height > top[cell] - SKIN_DEEP)
    shown = np.bincount(cell, outer, count)
    painted = _means(cell, colors, outer, count)[source]
    painted = _smoothed(painted, shown / max(np.median(shown[known]), LEAST), SOFT, mean)
    return Person((vertices + moved).astype(np.float32), np.clip(painted, 0, 1).astype(np.float32))


def _neighbours(faces: np.ndarray, count: int) -> sparse.csr_array:
    """[n,n] whose product with values is the mean over each vertex's neighbours."""
    a, b = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    ones = np.ones(2 * len(a))
    near = sparse.csr_array((ones, (np.r_[a, b], np.r_[b, a])), (count, count))
    near.data[:] = 1
    return sparse.diags_array(1 / np.maximum(near.sum(1), 1)) @ near


def _percentile(cell: np.ndarray, values: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """[n] the value in every cell that `OUTER` of its weight does not exceed; 0 in empty cells."""
    order = np.lexsort((values, cell))
    cell, values, summed = cell[order], values[order], np.cumsum(weight[order])
    ends = np.searchsorted(cell, np.arange(count + 1))
    summed = np.r_[0, summed]
    wanted = summed[ends[:-1]] + OUTER * (summed[ends[1:]] - summed[ends[:-1]])
    at = np.clip(np.searchsorted(summed, wanted) - 1, ends[:-1], np.maximum(ends[1:] - 1, ends[:-1]))
    return np.where(ends[1:] > ends[:-1], values[np.minimum(at, len(values) - 1)], 0)


def _means(cell: np.ndarray, values: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """[n,3] weighted means of values [N,3] over cells; 0 in empty ones."""
    total = np.maximum(np.bincount(cell, weight, count), LEAST)
    return np.stack([np.bincount(cell, weight * column, count) / total for column in values.T], 1)


def _smoothed(values: np.ndarray, trust: np.ndarray, stiff: float, mean: sparse.csr_array) -> np.ndarray:
    """Values [n,3], each drawn to its neighbours' mean, the more the less its trust [n] against `stiff`."""
    own = (trust / (trust + stiff))[:, None]
    found = values
    for _ in range(ROUNDS):
        found = own * values + (1 - own) * (mean @ found)
    return found
