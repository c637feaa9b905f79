# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the mouth: MakeHuman's lips stand a little apart, and so do those of its unit mouthClose over jawOpen."""

from collections import defaultdict

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.spatial import cKDTree

from .archive import COUNT, MakeHuman

# vertices of the base mesh on the line where the lips meet: the upper lip's middle and the one to its left, the
# lower lip's middle
UPPER_MIDDLE, BESIDE, LOWER_MIDDLE = 520, 7267, 523
OVERLAP = 0.00015  # metres that each lip goes beyond the line where they meet


def edge_loop(quads: np.ndarray, first: int, second: int) -> np.ndarray:
    """The vertices passed by going straight on from an edge of quads [f,4] until it is met again; ValueError
    where a vertex on the way has not four edges."""
    beside, faces = defaultdict(set), defaultdict(set)
    for f, quad in enumerate(quads.tolist()):
        for k, vertex in enumerate(quad):
            beside[vertex].update((quad[k - 1], quad[(k + 1) % 4]))
            faces[vertex].add(f)
    loop = [first, second]
    while True:
        last, here = loop[-2:]
        ahead = [v for v in beside[here] if v != last and not faces[v] & faces[here] & faces[last]]
        if len(beside[here]) != 4 or len(ahead) != 1:
            raise ValueError("the edge loop ends at a vertex that has not four edges")
        if ahead[0] == first:
            return np.array(loop)
        loop.append(ahead[0])


class Lips:
    """The line where the lips meet, in a base mesh of vertices [19158,3]; `jaw` [19158] is the share of the
    lower jaw's motion, which says which lip a vertex belongs to."""

    def __init__(self, data: MakeHuman, vertices: np.ndarray, jaw: np.ndarray):
        loop = edge_loop(data.quads("body")[..., 0], UPPER_MIDDLE, BESIDE)
        x = vertices[loop, 0]
        left, right = sorted((x.argmax(), x.argmin()))
        halves = loop[left : right + 1], np.concatenate([loop[right:], loop[: left + 1]])
        self.rims = sorted(halves, key=lambda half: jaw[half].mean())  # the upper lip's, the lower lip's
        self.vertices, self.body = vertices, np.unique(data.quads("body")[..., 0])
        self.lower = jaw > 0.5

    def closing(self, reach: float) -> csr_matrix:
        """[19158,19158]: times positions or displacements, the displacements that bring both lips' rims
        together half-way; they fade within some `reach` metres of the rims."""
        upper, lower = (self._along(rim) for rim in self.rims)
        return diags(self._shares(reach)) @ (lower - upper)

    def overlap(self, reach: float) -> np.ndarray:
        """[19158,3]: moves each lip a little beyond the line where they meet, less towards the corners."""
        width = self.vertices[self.rims[0], 0].max()
        inside = np.clip(1 - (self.vertices[:, 0] / width) ** 2, 0, 1)
        return -2 * OVERLAP * (self._shares(reach) * inside)[:, None] * np.array([0, 0, 1])

    def _shares(self, reach: float) -> np.ndarray:
        """[19158]: half at a rim, fading away from it; positive on the upper lip, negative on the lower."""
        out = np.zeros(COUNT)
        for rim, sign, rows in zip(self.rims, (1, -1), (~self.lower, self.lower), strict=True):
            rows = self.body[rows[self.body]]
            distance = cKDTree(self._dense(rim)).query(self.vertices[rows])[0]
            out[rows] = 0.5 * sign * np.exp(-((distance / reach) ** 2)) * (distance < 3 * reach)
            out[rim[1:-1]] = 0.5 * sign
        return out

    def _dense(self, rim: np.ndarray) -> np.ndarray:
        """Points along a rim, so close that the nearest is about as far as the rim."""
        at = np.linspace(0, len(rim) - 1, 8 * len(rim))
        return np.stack([np.interp(at, np.arange(len(rim)), column) for column in self.vertices[rim].T], 1)

    def _along(self, rim: np.ndarray) -> csr_matrix:
        """[19158,19158]: the point of a rim that is as far to the side as each vertex."""
        rim = rim[np.argsort(self.vertices[rim, 0], kind="stable")]
        x = self.vertices[rim, 0]
        place = np.interp(self.vertices[:, 0], x, np.arange(len(rim)))
        low = np.minimum(place.astype(int), len(rim) - 2)
        share, rows = place - low, np.arange(COUNT)
        weights = np.concatenate([1 - share, share])
        return csr_matrix((weights, (np.r_[rows, rows], np.r_[rim[low], rim[low + 1]])), (COUNT, COUNT))
