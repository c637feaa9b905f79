# SPDX-License-Identifier: GPL-3.0-or-later
"""One Catmull-Clark step (Catmull and Clark 1978) of the quads that are coarse.

New vertices are linear in the old ones: whatever a vertex has (place, displacement, weight) is carried by one
sparse matrix.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix, vstack


@dataclass(frozen=True)
class Subdivided:
    """matrix [new, old] of the vertices; faces [f,3] triangles of new vertices; uvs [n,2] and face_uvs [f,3],
    the texture coordinates of every corner; quad [f] the old quad that a triangle comes from.
    """

    matrix: csr_matrix
    faces: np.ndarray
    uvs: np.ndarray
    face_uvs: np.ndarray
    quad: np.ndarray


class _Edges:
    """Undirected edges of quads [f,4]: ids [f,4] (edge k runs from corner k to k + 1), ends [e,2], and the
    number of quads at each."""

    def __init__(self, quads):
        pairs = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
        self.ends, ids, self.count = np.unique(
            np.sort(pairs, 1), axis=0, return_inverse=True, return_counts=True
        )
        self.ids = ids.reshape(quads.shape)


def subdivide(vertices: np.ndarray, corners: np.ndarray, uvs: np.ndarray, coarse: np.ndarray) -> Subdivided:
    """vertices [n,3]; corners [f,4,2] (vertex, texture coordinate) of quads; coarse [f] bool: the quads that
    become four. Their neighbours are cut into triangles that meet the new vertices."""
    quads = corners[..., 0]
    edges = _Edges(quads)
    coarse = _closed(edges, coarse)
    split = np.zeros(len(edges.ends), bool)
    split[edges.ids[coarse]] = True
    n, on_edge = len(vertices), np.full(len(edges.ends), -1)
    on_edge[split] = n + np.arange(split.sum())
    middle = np.full(len(quads), -1)
    middle[coarse] = n + split.sum() + np.arange(coarse.sum())
    matrix = _matrix(n, quads, edges, split, coarse)
    triangles = _Triangles(np.asarray(matrix @ vertices), uvs)
    for f, quad in enumerate(corners):
        marks = on_edge[edges.ids[f]]
        if coarse[f]:
            triangles.add_split(f, quad, marks, middle[f])
        else:
            triangles.add_plain(f, quad, marks)
    return Subdivided(matrix, *triangles.arrays())


def _closed(edges: _Edges, coarse: np.ndarray) -> np.ndarray:
    """A quad of which three sides are split is split too."""
    coarse = coarse.copy()
    while True:
        split = np.zeros(len(edges.ends), bool)
        split[edges.ids[coarse]] = True
        more = ~coarse & (split[edges.ids].sum(1) >= 3)
        if not more.any():
            return coarse
        coarse |= more


def _matrix(n, quads, edges, split, coarse) -> csr_matrix:
    """[new, n]: the old vertices, then the split edges' points, then the coarse quads'."""
    rows = np.repeat(np.arange(len(quads)), 4)
    face = csr_matrix((np.full(rows.size, 0.25), (rows, quads.ravel())), (len(quads), n))
    e = np.repeat(np.arange(len(edges.ends)), 2)
    half = csr_matrix((np.full(e.size, 0.5), (e, edges.ends.ravel())), (len(edges.ends), n))
    at_edge = csr_matrix((np.ones(rows.size), (edges.ids.ravel(), rows)), (len(edges.ends), len(quads)))
    inner = edges.count == 2
    scaled = lambda values: csr_matrix((values, (np.arange(len(values)),) * 2))  # noqa: E731
    smooth = 0.5 * half + 0.25 * (at_edge @ face)  # (a + b + f + g) / 4
    edge = scaled(inner.astype(float)) @ smooth + scaled((~inner).astype(float)) @ half

    at_vertex = csr_matrix((np.ones(rows.size), (quads.ravel(), rows)), (n, len(quads)))
    touching = csr_matrix((np.ones(e.size), (edges.ends.ravel(), e)), (n, len(edges.ends)))
    valence = np.maximum(np.asarray(touching.sum(1)).ravel(), 1)
    faces_at = np.maximum(np.asarray(at_vertex.sum(1)).ravel(), 1)
    rim_edges = touching @ scaled((~inner).astype(float))
    rim = np.asarray(rim_edges.sum(1)).ravel() > 0
    keep, used = csr_matrix(scaled(np.ones(n))), np.zeros(n, bool)
    used[quads[coarse]] = True  # elsewhere the mesh keeps its detail
    # (F + 2 R + (k - 3) P) / k inside, (M + M + 2 P) / 4 at a rim
    inside = scaled(1 / (valence * faces_at)) @ (at_vertex @ face) + scaled(2 / valence**2) @ (
        touching @ half
    )
    inside = inside + scaled((valence - 3) / valence)
    border = 0.5 * keep + 0.25 * (rim_edges @ half)
    choice = lambda where, of: scaled(where.astype(float)) @ of  # noqa: E731
    old = choice(used & ~rim, inside) + choice(used & rim, border) + choice(~used, keep)
    return vstack([old, edge[split], face[coarse]]).tocsr()


class _Triangles:
    def __init__(self, vertices, uvs):
        self.vertices, self.uvs = vertices, list(map(tuple, uvs))
        self.faces, self.face_uvs, self.quads, self.between = [], [], [], {}

    def _mean_uv(self, *of) -> int:
        """The texture coordinate in the middle of others, one for the same ones."""
        key = tuple(sorted(of))
        if key not in self.between:
            self.between[key] = len(self.uvs)
            self.uvs.append(tuple(np.mean([self.uvs[i] for i in of], axis=0)))
        return self.between[key]

    def _put(self, f, points):
        for a, b in pairwise(points[1:]):
            corner = (points[0], a, b)
            self.faces.append([c[0] for c in corner])
            self.face_uvs.append([c[1] for c in corner])
            self.quads.append(f)

    def _quad(self, f, points):
        """Two triangles, cut along the shorter diagonal."""
        a, b, c, d = (self.vertices[point[0]] for point in points)
        turned = np.sum((a - c) ** 2) > np.sum((b - d) ** 2) + 1e-12
        self._put(f, points[1:] + points[:1] if turned else points)

    def add_split(self, f, quad, marks, middle):
        corner = [tuple(c) for c in quad]
        centre = (middle, self._mean_uv(*(c[1] for c in corner)))
        mid = [(marks[k], self._mean_uv(corner[k][1], corner[(k + 1) % 4][1])) for k in range(4)]
        for k in range(4):
            self._quad(f, [corner[k], mid[k], centre, mid[k - 1]])

    def add_plain(self, f, quad, marks):
        corner = [tuple(c) for c in quad]
        ring, first = [], None
        for k in range(4):
            ring.append(corner[k])
            if marks[k] >= 0:
                first = len(ring) if first is None else first
                ring.append((marks[k], self._mean_uv(corner[k][1], corner[(k + 1) % 4][1])))
        if first is None:
            self._quad(f, ring)
        else:
            self._put(f, ring[first:] + ring[:first])

    def arrays(self):
        return (
            np.array(self.faces, np.int32),
            np.array(self.uvs),
            np.array(self.face_uvs, np.int32),
            np.array(self.quads),
        )
