# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces cut out of a triangle mesh, and what is done to them: smoothing, hems, weights."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.sparse import csr_matrix, diags, identity, vstack
from scipy.sparse.csgraph import connected_components

_JIT = {"cache": True, "nogil": True}


@dataclass
class Patch:
    """A piece of a mesh with some vertices added on its edges.

    `blend` [n, Nv] (sparse, rows sum to 1) says from which of the Nv mesh vertices each patch vertex is
    mixed, so that
    any vertex attribute `a` of the mesh becomes `patch.carry(a)` on the patch. `faces` [f, 3] index the n
    vertices.
    """

    blend: csr_matrix
    faces: np.ndarray

    def carry(self, attribute: np.ndarray) -> np.ndarray:
        """Mesh vertex attribute [Nv] or [Nv, c] -> patch vertex attribute [n] or [n, c], float32."""
        return np.asarray(self.blend @ attribute, np.float32)

    def __len__(self) -> int:
        return self.blend.shape[0]


def whole(vertex_count: int, faces: np.ndarray) -> Patch:
    """The patch that is the mesh itself, without vertices that no face uses."""
    return compact(Patch(identity(vertex_count, np.float32, format="csr"), faces))


def compact(patch: Patch) -> Patch:
    """Drop vertices that no face uses."""
    used = np.zeros(len(patch), bool)
    used[patch.faces] = True
    new = np.cumsum(used) - 1
    return Patch(patch.blend[used], new[patch.faces].astype(np.int32))


def distinct_edges(edges: np.ndarray):
    """Edges [e, 2] whichever way round -> distinct ones [d, 2], for each edge its distinct one [e], for
    each distinct
    one the first edge that it is [d], and how many are [d].
    """
    low, high = edges.min(1).astype(np.int64), edges.max(1).astype(np.int64)
    span = int(high.max()) + 1
    key, first, inverse, count = np.unique(
        low * span + high, return_index=True, return_inverse=True, return_counts=True
    )
    return np.stack([key // span, key % span], 1), inverse.reshape(-1), first, count


def split(patch: Patch, field: np.ndarray) -> tuple[Patch, np.ndarray, np.ndarray]:
    """Cut triangles along the line field = 0 (marching triangles).

    Args: field [n], one value per patch vertex, taken as linear inside a triangle.
    Returns: the patch with the cut vertices and faces, [f] bool, True for faces where the field is
    positive, and [f]
        the face of the uncut patch that each face came from.
    """
    field = np.where(np.abs(field) < 1e-7, 1e-7, field)
    faces = patch.faces
    positive = field > 0
    count = positive[faces].sum(1)
    straddling = np.flatnonzero((count == 1) | (count == 2))
    mixed = faces[straddling]
    if not len(mixed):
        return patch, count == 3, np.arange(len(faces))
    # Turn each cut triangle so that the corner that stands alone on its side comes first.
    one = positive[mixed].sum(1) == 1
    alone = np.where(one, positive[mixed].argmax(1), (~positive[mixed]).argmax(1))
    order = (alone[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(mixed, order, 1).T
    edges, inverse, _, _ = distinct_edges(np.concatenate([np.stack([a, b], 1), np.stack([a, c], 1)]))
    start, end = field[edges[:, 0]], field[edges[:, 1]]
    t = np.clip(start / (start - end), 0.02, 0.98).astype(np.float32)
    added = diags(1 - t) @ patch.blend[edges[:, 0]] + diags(t) @ patch.blend[edges[:, 1]]
    ab, ac = len(patch) + inverse[: len(a)], len(patch) + inverse[len(a) :]
    tips = np.stack([a, ab, ac], 1)
    bases = np.concatenate([np.stack([ab, b, c], 1), np.stack([ab, c, ac], 1)])
    pure = np.flatnonzero((count == 0) | (count == 3))
    new_faces = np.concatenate([faces[pure], tips, bases]).astype(np.int32)
    side = np.concatenate([count[pure] == 3, one, np.tile(~one, 2)])
    parent = np.concatenate([pure, np.tile(straddling, 3)])
    return Patch(vstack([patch.blend, added]).tocsr(), new_faces), side, parent


def clip(patch: Patch, field: np.ndarray) -> Patch:
    """The part of a patch where field > 0, cut cleanly along field = 0."""
    cut, side, _ = split(patch, field)
    return compact(Patch(cut.blend, cut.faces[side]))


def subdivide(patch: Patch) -> Patch:
    """Each triangle into four, new vertices in the middle of the edges."""
    f = patch.faces
    edges, inverse, _, _ = distinct_edges(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]]))
    ab, bc, ca = (inverse.reshape(3, -1) + len(patch)).astype(np.int32)
    a, b, c = f.T
    faces = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    middle = 0.5 * (patch.blend[edges[:, 0]] + patch.blend[edges[:, 1]])
    return Patch(vstack([patch.blend, middle]).tocsr(), faces.astype(np.int32))


def drop_small_pieces(patch: Patch) -> Patch:
    """Without loose pieces smaller than a twentieth of the largest."""
    if not len(patch.faces):
        return patch
    _, label = connected_components(adjacency(len(patch), patch.faces), directed=False)
    size = np.bincount(label)
    keep = size[label] > 0.05 * size.max()
    return compact(Patch(patch.blend, patch.faces[keep[patch.faces[:, 0]]]))


def adjacency(count: int, faces: np.ndarray) -> csr_matrix:
    """Symmetric [count, count] matrix of ones, one per edge."""
    i = faces[:, [0, 1, 2]].ravel()
    j = faces[:, [1, 2, 0]].ravel()
    a = csr_matrix((np.ones(2 * len(i), np.float32), (np.r_[i, j], np.r_[j, i])), (count, count))
    a.data[:] = 1
    return a


def averaging(a: csr_matrix) -> csr_matrix:
    """Rows of an adjacency scaled to sum to one (rows without neighbours stay zero)."""
    return diags(1 / np.maximum(np.asarray(a.sum(1)).ravel(), 1)).astype(np.float32) @ a


def border_edges(faces: np.ndarray) -> np.ndarray:
    """Edges [e, 2] that belong to one face only, in that face's direction."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, _, first, count = distinct_edges(edges)
    return edges[first[count == 1]]


@numba.njit(**_JIT)
def _normal_sums(vertices, faces):
    out = np.zeros((len(vertices), 3))
    for t in range(len(faces)):
        a, b, c = vertices[faces[t, 0]], vertices[faces[t, 1]], vertices[faces[t, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in faces[t]:
            out[i, 0] += x
            out[i, 1] += y
            out[i, 2] += z
    return out


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit vertex normals [n, 3]."""
    out = _normal_sums(vertices, faces)
    return (out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-12)).astype(np.float32)


@numba.njit(**_JIT)
def _largest(dense, keep):
    index = np.zeros((len(dense), keep), np.int16)
    weight = np.zeros((len(dense), keep), np.float32)
    for i in range(len(dense)):
        for j in range(dense.shape[1]):
            w = dense[i, j]
            if w <= weight[i, keep - 1]:
                continue
            k = keep - 1
            while k > 0 and weight[i, k - 1] < w:
                weight[i, k], index[i, k] = weight[i, k - 1], index[i, k - 1]
                k -= 1
            weight[i, k], index[i, k] = w, j
    return index, weight


def top_weights(dense: np.ndarray, keep: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Dense skin weights [n, J] -> the `keep` largest: indices [n, keep] int16, weights [n, keep] summing
    to 1.
    """
    index, weight = _largest(np.ascontiguousarray(dense, np.float32), keep)
    weight = np.where(weight < 0.003, 0, weight)
    return index, (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def shell_average(count: int, faces: np.ndarray) -> tuple[csr_matrix, csr_matrix]:
    """Means over neighbours for a shell with `count` vertices, two [count, count] matrices.

    In the first border vertices look along the border only. The second has rows for border vertices alone,
    over all
    their neighbours, and the identity elsewhere.
    """
    a = averaging(adjacency(count, faces))
    border = border_edges(faces)
    on_border = np.zeros(count, np.float32)
    on_border[border] = 1
    i, j = border.T
    ones = np.ones(2 * len(i), np.float32)
    b = averaging(csr_matrix((ones, (np.r_[i, j], np.r_[j, i])), (count, count)))
    inside, edge = diags(1 - on_border), diags(on_border)
    return (inside @ a + edge @ b).tocsr().astype(np.float32), (inside + edge @ a).tocsr().astype(np.float32)


def relax_outside(vertices, average, edge_average, inner, outward, clearance, rounds: int) -> np.ndarray:
    """Smooth a shell without letting it sink below its clearance over the body.

    Args: vertices [n, 3] the shell; average, edge_average: its `shell_average`; inner [n, 3] the body point
    below
        each vertex; outward [n, 3] unit; clearance [n] metres.
    """
    out = vertices.astype(np.float32)
    for _ in range(rounds):
        out = 0.5 * out + 0.5 * (average @ out)
        height = ((out - inner) * outward).sum(1)
        # A hem stands off as far as the cloth above it, or it would flare like a frill.
        wanted = np.maximum(0.4 * height + 0.6 * (edge_average @ height), clearance)
        out += outward * (wanted - height)[:, None]
    return out.astype(np.float32)


def hem(vertices: np.ndarray, faces: np.ndarray, depth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn the border inwards so that cloth has an edge with thickness.

    Returns: vertices with the turned border appended, the extra faces, and the vertex each appended one was
    copied from.
    """
    border = border_edges(faces)
    source = np.unique(border)
    new = np.full(len(vertices), -1, np.int32)
    new[source] = len(vertices) + np.arange(len(source))
    n = normals(vertices, faces)
    turned = vertices[source] - n[source] * depth
    a, b = border.T
    extra = np.concatenate([np.stack([b, a, new[a]], 1), np.stack([b, new[a], new[b]], 1)])
    return np.concatenate([vertices, turned]).astype(np.float32), extra.astype(np.int32), source
