# SPDX-License-Identifier: GPL-3.0-or-later
"""Points spread over the template: where the geometry tokens sit, and the template's attributes at any
point."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from ..errors import UserError
from .mesh import interpolated
from .template import EYEBALL

CANDIDATES = 60_000
NEAREST_TRIANGLES = 12


@dataclass(frozen=True, eq=False)
class Anchors:
    """positions [T, 3] metres; frames [T, 3, 3] whose columns are tangent, bitangent and normal; spacing [T]
    mean distance to the three nearest anchors of the same region; is_face [T] bool; skin_indices [T, 8]
    int16; skin_weights [T, 8]; expression_deltas [52, T, 3]; triangles [T] int32 and barycentric [T, 3] say
    where on the template each lies."""

    positions: np.ndarray
    frames: np.ndarray
    spacing: np.ndarray
    is_face: np.ndarray
    skin_indices: np.ndarray
    skin_weights: np.ndarray
    expression_deltas: np.ndarray
    triangles: np.ndarray
    barycentric: np.ndarray

    def __len__(self):
        return len(self.positions)


@lru_cache(maxsize=4)
def sample_anchors(count, face_fraction=0.5):
    """`count` anchors, `face_fraction` of them on the face: prefixes of two stored farthest-point orders.

    The first anchors of a larger set on the face (or the body) are those of a smaller one.
    """
    from .template import load_template

    template = load_template()
    on_face = round(count * face_fraction)
    room = template.anchor_triangles.shape[1]
    if not (count > 0 and 0 <= face_fraction <= 1) or max(on_face, count - on_face) > room:
        raise UserError(
            f"{count} anchors were asked for; the body has {room} on the face and {room} elsewhere."
        )
    take = [(0, on_face), (1, count - on_face)]
    triangles = np.concatenate([template.anchor_triangles[i, :n] for i, n in take])
    barycentric = np.concatenate([template.anchor_weights[i, :n] for i, n in take])
    is_face = np.arange(count) < on_face
    return _attributes(template, triangles, barycentric, is_face)


def surface_samples(positions, template=None):
    """The `Anchors` attributes at the nearest points of the template's skin to `positions` [n, 3].

    `positions` of the result are the nearest surface points, `spacing` is measured among them.
    """
    from .template import load_template

    template = template or load_template()
    triangles, barycentric = nearest_on_surface(np.asarray(positions, np.float64), template)
    mask = interpolated(template.face_mask, template.faces[triangles], barycentric)
    return _attributes(template, triangles, barycentric, mask > 0.5)


def _attributes(template, triangles, barycentric, is_face):
    corners = template.faces[triangles]
    b = barycentric.astype(np.float32)
    positions = interpolated(template.vertices, corners, b)
    indices, weights = blend_weights(
        template.skin_indices[corners], template.skin_weights[corners] * b[..., None]
    )
    return Anchors(
        positions=positions,
        frames=surface_frames(interpolated(template.normals, corners, b)),
        spacing=neighbour_spacing(positions, is_face),
        is_face=is_face,
        skin_indices=indices,
        skin_weights=weights,
        expression_deltas=np.einsum("etkc,tk->etc", template.expression_deltas[:, corners], b),
        triangles=triangles.astype(np.int32),
        barycentric=b,
    )


def blend_weights(indices, weights, kept=8):
    """Adds the weighted bones of several vertices, [n, v, k] each, and keeps the `kept` strongest: [n, kept]
    twice."""
    n = len(indices)
    dense = np.zeros((n, int(indices.max()) + 1), np.float32)
    flat = indices.reshape(n, -1).astype(np.int64)
    np.add.at(dense, (np.arange(n)[:, None], flat), weights.reshape(n, -1))
    order = np.argsort(-dense, axis=1, kind="stable")[:, :kept]
    order = np.pad(order, ((0, 0), (0, max(kept - order.shape[1], 0))))
    values = np.take_along_axis(dense, order, 1)
    if dense.shape[1] < kept:
        values[:, dense.shape[1] :] = 0
    values /= values.sum(1, keepdims=True)
    order[values == 0] = 0
    return order.astype(np.int16), values.astype(np.float32)


def surface_frames(normals):
    """Frames [n, 3, 3] with columns tangent, bitangent, normal; the bitangent points as far up as it can."""
    n = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
    # straight up has no tangent: there the frame leans on the person's back instead
    up = np.where(np.abs(n[:, 2:]) < 0.95, np.array([[0, 0, 1.0]]), np.array([[0, 1.0, 0]]))
    tangent = np.cross(up, n)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    return np.stack([tangent, np.cross(n, tangent), n], -1).astype(np.float32)


def neighbour_spacing(positions, region, neighbours=3):
    """Mean distance [n] to the nearest other points of the same region [n] (face and body differ in
    density)."""
    out = np.full(len(positions), 0.1, np.float32)
    for part in np.unique(region):
        own = np.flatnonzero(region == part)
        found = min(neighbours, len(own) - 1)
        if found > 0:
            distance, _ = cKDTree(positions[own]).query(positions[own], k=found + 1)
            out[own] = distance[:, 1:].mean(1)
    return out


def nearest_on_surface(points, template, mouth=False):
    """Nearest triangle [n] and barycentric coordinates [n, 3] on skin and eyeballs, or on teeth and inside
    the mouth."""
    usable, tree = _triangle_tree(template, mouth)
    k = min(NEAREST_TRIANGLES, len(usable))
    _, near = tree.query(points, k=k)
    near = usable[near.reshape(len(points), k)]
    best, best_b, best_d = near[:, 0].copy(), None, None
    for i in range(k):
        b, d = closest_barycentric(points, template.vertices[template.faces[near[:, i]]].astype(np.float64))
        if best_d is None:
            best_b, best_d = b, d
        else:
            closer = d < best_d
            best[closer], best_b[closer], best_d[closer] = near[closer, i], b[closer], d[closer]
    return best, best_b


@lru_cache(maxsize=4)
def _triangle_tree(template, mouth):
    usable = np.flatnonzero(((template.part[template.faces] > EYEBALL) == mouth).all(1))
    return usable, cKDTree(template.vertices[template.faces[usable]].mean(1))


def closest_barycentric(points, triangles):
    """Barycentric coordinates [n, 3] of the point of each triangle [n, 3, 3] nearest to each point, and its
    squared distance: the inside projection where it lies inside, else the best of the three edges."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    best = np.stack([1 - v - w, v, w], 1)
    inside = (best >= 0).all(1)
    distance = np.where(inside, ((np.einsum("nk,nkc->nc", best, triangles) - points) ** 2).sum(1), np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        edge = triangles[:, j] - triangles[:, i]
        t = ((points - triangles[:, i]) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-30)
        t = np.clip(t, 0, 1)
        d = ((triangles[:, i] + t[:, None] * edge - points) ** 2).sum(1)
        closer = ~inside & (d < distance)
        on_edge = np.zeros_like(best)
        on_edge[:, i], on_edge[:, j] = 1 - t, t
        best[closer], distance[closer] = on_edge[closer], d[closer]
    return best, distance


def farthest_point_order(vertices, faces, allowed, count, seed=7):
    """`count` points on the allowed triangles, each the farthest from those before it.

    Returns triangle indices [count] and barycentric coordinates [count, 3].
    """
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero(allowed)
    corners = vertices[faces[pool]]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    picked = rng.choice(len(pool), CANDIDATES, p=area / area.sum())
    u, v = np.sqrt(rng.random(CANDIDATES)), rng.random(CANDIDATES)
    barycentric = np.stack([1 - u, u * (1 - v), u * v], 1)
    points = np.einsum("nk,nkc->nc", barycentric, corners[picked])
    order = _farthest(points, count)
    return pool[picked[order]].astype(np.int32), barycentric[order].astype(np.float32)


def _farthest(points, count):
    """Rows [count] of points [n, 3], from row 0 on each the farthest from those before it."""
    x, y, z = np.ascontiguousarray(points.T)
    best, order = np.full(len(points), np.inf), np.zeros(count, np.int64)
    for i in range(1, count):
        last = order[i - 1]
        np.minimum(best, (x - x[last]) ** 2 + (y - y[last]) ** 2 + (z - z[last]) ** 2, out=best)
        order[i] = best.argmax()
    return order
