# SPDX-License-Identifier: GPL-3.0-or-later
"""From the signed distance to a symmetric triangle mesh of chosen density. Needs scikit-image; build time
only.

Only the half x >= 0 is meshed; vertices with x = 0 stay there and the mirror image is welded to them, so the
template is exactly symmetric.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .implicit.operators import gradient


def graded_axis(start, segments):
    """Grid lines from `start` through segments (end, spacing)."""
    lines = [start]
    for end, spacing in segments:
        count = max(1, round((end - lines[-1]) / spacing))
        lines += list(np.linspace(lines[-1], end, count + 1)[1:])
    return np.array(lines)


def body_axes(frame):
    """Graded x, y, z lines of the half body: fine at the face, the hands and the toes."""
    wrist, eyes = frame.joints["hand"], frame.head_centre[1]
    top = eyes + 17
    x = graded_axis(0, [(8.6, 0.15), (12, 0.30), (wrist[0] - 3, 0.55), (wrist[0] + 17, 0.22)])
    y = graded_axis(-1.2, [
        (3, 0.35), (wrist[1] - 17, 0.55), (wrist[1] + 4, 0.25), (eyes - 13, 0.55), (eyes - 11.5, 0.30),
        (eyes + 3, 0.15), (top, 0.35),
    ])  # fmt: skip
    z = graded_axis(-19, [(-9, 0.5), (-4, 0.3), (14.5, 0.19), (24, 0.4)])
    return x, y, z


def marching_cubes(distance, axes, coarse=4):
    """Iso-surface 0 of `distance` on a tensor grid; fine samples are taken only near the surface.

    Returns vertices [n, 3] and outward-facing triangles [m, 3].
    """
    from skimage.measure import marching_cubes as skimage_marching_cubes

    axes = [_padded(axis, coarse) for axis in axes]
    cells = [(len(axis) - 1) // coarse for axis in axes]
    corners = [axis[::coarse] for axis in axes]
    grid = np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, 3)
    rough = distance(grid).reshape([n + 1 for n in cells])
    steps = np.meshgrid(*[np.diff(c) for c in corners], indexing="ij")
    reach = 0.84 * np.sqrt(sum(step**2 for step in steps))
    near = np.zeros(cells, bool)
    for offset in np.ndindex(2, 2, 2):
        part = tuple(slice(o, o + n) for o, n in zip(offset, cells, strict=True))
        near |= np.abs(rough[part]) < reach
    shape = [n * coarse + 1 for n in cells]
    volume = np.sign(rough)
    for axis, size in enumerate(shape):
        volume = np.repeat(volume, coarse, axis).take(range(size), axis)
    volume = volume.astype(np.float32)
    wanted = np.zeros(shape, bool)
    for i, j, k in np.argwhere(near) * coarse:
        wanted[i : i + coarse + 1, j : j + coarse + 1, k : k + coarse + 1] = True
    index = np.argwhere(wanted)
    volume[wanted] = distance(np.stack([axes[d][index[:, d]] for d in range(3)], 1))
    at, faces, _, _ = skimage_marching_cubes(volume, 0.0)
    lines = [np.arange(n) for n in shape]
    vertices = np.stack([np.interp(at[:, d], lines[d], axes[d]) for d in range(3)], 1)
    return vertices, faces.astype(np.int32)


def _padded(axis, multiple):
    extra = -(len(axis) - 1) % multiple
    return np.concatenate([axis, axis[-1] + np.arange(1, extra + 1) * (axis[-1] - axis[-2])])


def largest_component(vertices, faces):
    links = coo_matrix(
        (np.ones(2 * len(faces)), (faces[:, :2].T.ravel(), faces[:, 1:].T.ravel())), (len(vertices),) * 2
    )
    _, label = connected_components(links, directed=False)
    return keep_vertices(vertices, faces, label == np.bincount(label).argmax())


def keep_vertices(vertices, faces, keep):
    """Drops vertices and the triangles that used them."""
    index = np.full(len(vertices), -1, np.int64)
    index[keep] = np.arange(keep.sum())
    faces = index[faces]
    return vertices[keep], faces[(faces >= 0).all(1)].astype(np.int32)


def adjacency(count, faces):
    """Sparse [count, count] matrix of ones between neighbours."""
    i = faces[:, [0, 1, 2, 1, 2, 0]].T.ravel()
    j = faces[:, [1, 2, 0, 0, 1, 2]].T.ravel()
    matrix = coo_matrix((np.ones(len(i), np.float32), (i, j)), (count, count)).tocsr()
    matrix.data[:] = 1
    return matrix


def vertex_normals(vertices, faces):
    """Area-weighted unit normals [n, 3]."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    out = np.zeros_like(vertices)
    for i in range(3):
        for axis in range(3):
            out[:, axis] += np.bincount(faces[:, i], across[:, axis], len(vertices))
    return out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-12)


def project(vertices, distance, steps=2, damping=0.8, limit=0.3, step=0.03, fixed_plane=True):
    """Newton steps v -= f g / |g|^2 onto the surface, each at most `limit` long."""
    vertices = vertices.astype(np.float32).copy()
    on_plane = np.abs(vertices[:, 0]) < 1e-6
    for _ in range(steps):
        g, f = gradient(distance, vertices, step)
        if fixed_plane:
            g[on_plane, 0] = 0
        move = np.clip(f / np.maximum((g * g).sum(1), 0.25), -limit, limit)
        vertices -= damping * move[:, None] * g
    return vertices


def relax(vertices, faces, distance, rounds=3):
    """Evens the triangles: half a Laplacian step in the tangent plane, then back onto the surface."""
    links = adjacency(len(vertices), faces)
    degree = np.asarray(links.sum(1)).ravel()[:, None]
    on_plane = np.abs(vertices[:, 0]) < 1e-6
    vertices = vertices.astype(np.float32)
    for _ in range(rounds):
        normals = vertex_normals(vertices, faces)
        pull = links @ vertices / degree - vertices
        pull -= normals * (pull * normals).sum(1, keepdims=True)
        pull[on_plane] = 0
        vertices = project(vertices + 0.5 * pull.astype(np.float32), distance, steps=1)
    return vertices


def mirror(vertices, faces):
    """Adds the half x < 0. Returns vertices, faces and the index [n] of every vertex's mirror image."""
    count = len(vertices)
    off = np.flatnonzero(np.abs(vertices[:, 0]) > 1e-6)
    twin = np.arange(count)
    twin[off] = count + np.arange(len(off))
    both = np.concatenate([vertices, vertices[off] * np.array([-1, 1, 1], vertices.dtype)])
    flipped = twin[faces][:, ::-1]
    image = np.concatenate([twin, off])
    return both, np.concatenate([faces, flipped]).astype(np.int32), image
