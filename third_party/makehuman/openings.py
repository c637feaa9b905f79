# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips and lids that meet: in MakeHuman's mean adult the lips stand a little apart, mouthClose does not close
the open jaw, and eyeBlink goes far beyond the lower lid."""

from collections import defaultdict

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_matrix, diags
from scipy.spatial import cKDTree

from .archive import COUNT, MakeHuman

LIPS, LEFT_LIDS = (520, 7267), (6785, 6784)  # an edge of the base mesh in the middle of the upper rim
LOWER_LIP = 523  # the middle of its rim
SMOOTH = 0.0015  # metres


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


class Opening:
    """The mouth or an eye between two rims, in a base mesh of vertices [19158,3]. The rims' edge loop begins
    with the edge `start`; `lower` [19158] bool says which vertices belong to the lower lip or lid."""

    def __init__(self, data: MakeHuman, vertices: np.ndarray, start: tuple[int, int], lower: np.ndarray):
        quads = data.quads("body")[..., 0]
        loop = edge_loop(quads, *start)
        x = vertices[loop, 0]
        left, right = sorted((x.argmax(), x.argmin()))
        halves = loop[left : right + 1], np.concatenate([loop[right:], loop[: left + 1]])
        self.rims = sorted(halves, key=lambda half: lower[half].mean())  # the upper one, the lower one
        self.vertices, self.body, self.lower = vertices, np.unique(quads), lower

    def shut_share(self, moved: np.ndarray) -> np.ndarray:
        """[19158]: the share of a displacement [19158,3] at which the rims meet, smooth from side to side."""
        above, below = (self._along(rim) for rim in self.rims)
        gap, travel = ((above - below) @ values[:, 2] for values in (self.vertices, -moved))
        x, share = self.vertices[:, 0], np.clip(gap / np.maximum(travel, 1e-4), 0, 1)
        rim = self.vertices[self.rims[0], 0]
        grid, order = np.arange(rim.min() - 0.01, rim.max() + 0.01, SMOOTH / 4), np.argsort(x, kind="stable")
        even = gaussian_filter1d(np.interp(grid, x[order], share[order]), 4)
        return np.interp(x, grid, even)

    def closing(self, reach: float, upper: float = 0.5) -> csr_matrix:
        """[19158,19158]: times positions or displacements, the displacements that bring both rims together:
        the upper one goes the share `upper` of the way. They fade within some `reach` metres of the rims."""
        above, below = (self._along(rim) for rim in self.rims)
        return diags(self._shares(reach, upper)) @ (below - above)

    def overlap(self, reach: float, metres: float, upper: float = 0.5) -> np.ndarray:
        """[19158,3]: moves the rims this far past each other in the middle, not at the corners."""
        x = self.vertices[self.rims[0], 0]
        inside = 1 - ((2 * self.vertices[:, 0] - x.max() - x.min()) / np.ptp(x)) ** 2
        down = metres * self._shares(reach, upper) * np.clip(inside, 0, 1)
        return down[:, None] * np.array([0, 0, -1])

    def _shares(self, reach: float, upper: float) -> np.ndarray:
        """[19158]: `upper` at the upper rim, upper - 1 at the lower one, fading away from them."""
        out = np.zeros(COUNT)
        for rim, share, own in zip(self.rims, (upper, upper - 1), (~self.lower, self.lower), strict=True):
            rows = self.body[own[self.body]]
            distance = cKDTree(self._dense(rim)).query(self.vertices[rows])[0]
            out[rows] = share * np.exp(-((distance / reach) ** 2)) * (distance < 3 * reach)
            out[rim[1:-1]] = share
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
