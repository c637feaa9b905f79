# SPDX-License-Identifier: GPL-3.0-or-later
"""Shortest-edge collapse towards a sizing field. Build time only.

The dense marching-cubes mesh has more triangles than an avatar needs and needs them unevenly: fine lids,
coarse back. Edges collapse in the order of length over wanted length until none is shorter than 0.8 of what
is wanted.
"""

import heapq

import numpy as np
from numba import njit

LOCKED_X = 1e-6


def collapse_edges(vertices, faces, size, ratio=0.8):
    """Simplifies; vertices with x = 0 only slide along that plane.

    vertices [n, 3] float64, faces [m, 3], size [n] wanted edge length at each vertex. Returns vertices,
    faces.
    """
    vertices = np.ascontiguousarray(vertices, np.float64).copy()
    faces = np.ascontiguousarray(faces, np.int32).copy()
    alive = _collapse(vertices, faces, np.ascontiguousarray(size, np.float64).copy(), ratio)
    faces = faces[alive]
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    index = np.cumsum(used) - 1
    return vertices[used], index[faces].astype(np.int32)


@njit(cache=False)
def _rank(v, size, a, b):
    d = 0.0
    for i in range(3):
        d += (v[a, i] - v[b, i]) ** 2
    return np.sqrt(d) / min(size[a], size[b])


@njit(cache=False)
def _normal(v, a, b, c):
    ux, uy, uz = v[b, 0] - v[a, 0], v[b, 1] - v[a, 1], v[b, 2] - v[a, 2]
    wx, wy, wz = v[c, 0] - v[a, 0], v[c, 1] - v[a, 1], v[c, 2] - v[a, 2]
    return uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx


@njit(cache=False)
def _ring(faces, alive, head, following, vertex, out):
    """Distinct neighbours of a vertex into `out`; returns how many."""
    count = 0
    slot = head[vertex]
    while slot >= 0:
        face = slot // 3
        if alive[face]:
            for k in range(3):
                other = faces[face, k]
                if other != vertex:
                    seen = False
                    for i in range(count):
                        if out[i] == other:
                            seen = True
                            break
                    if not seen and count < len(out):
                        out[count] = other
                        count += 1
        slot = following[slot]
    return count


@njit(cache=False)
def _would_flip(v, faces, alive, head, following, vertex, other, target):
    """True if moving `vertex` to `target` turns a triangle without `other` by more than about 75 degrees."""
    old = v[vertex].copy()
    bad = False
    slot = head[vertex]
    while slot >= 0 and not bad:
        face = slot // 3
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        if alive[face] and a != other and b != other and c != other:
            n0 = _normal(v, a, b, c)
            v[vertex] = target
            n1 = _normal(v, a, b, c)
            v[vertex] = old
            dot = n0[0] * n1[0] + n0[1] * n1[1] + n0[2] * n1[2]
            l0 = n0[0] ** 2 + n0[1] ** 2 + n0[2] ** 2
            l1 = n1[0] ** 2 + n1[1] ** 2 + n1[2] ** 2
            bad = dot < 0.25 * np.sqrt(l0 * l1)
        slot = following[slot]
    return bad


@njit(cache=False)
def _collapse(v, faces, size, ratio):
    n, m = len(v), len(faces)
    alive = np.ones(m, np.bool_)
    head = np.full(n, -1, np.int64)
    tail = np.full(n, -1, np.int64)
    following = np.full(3 * m, -1, np.int64)
    for slot in range(3 * m):
        vertex = faces[slot // 3, slot % 3]
        if head[vertex] < 0:
            head[vertex] = slot
        else:
            following[tail[vertex]] = slot
        tail[vertex] = slot
    removed = np.zeros(n, np.bool_)
    stamp = np.zeros(n, np.int64)
    heap = [(0.0, 0, 0, 0)]
    heap.clear()
    for face in range(m):
        for k in range(3):
            a, b = faces[face, k], faces[face, (k + 1) % 3]
            if a < b or v[a, 0] < LOCKED_X:
                rank = _rank(v, size, a, b)
                if rank < ratio:
                    heap.append((rank, a, b, 0))
    heapq.heapify(heap)
    ring_a, ring_b = np.empty(128, np.int64), np.empty(128, np.int64)
    while len(heap) > 0:
        rank, a, b, mark = heapq.heappop(heap)
        if removed[a] or removed[b] or mark != stamp[a] + stamp[b]:
            continue
        lock_a, lock_b = v[a, 0] < LOCKED_X, v[b, 0] < LOCKED_X
        if lock_b and not lock_a:
            a, b, lock_a, lock_b = b, a, lock_b, lock_a
        count_a = _ring(faces, alive, head, following, a, ring_a)
        count_b = _ring(faces, alive, head, following, b, ring_b)
        shared = 0
        for i in range(count_a):
            for j in range(count_b):
                if ring_a[i] == ring_b[j]:
                    shared += 1
        on_border = 0  # triangles on the edge: the link condition wants as many shared neighbours
        slot = head[a]
        while slot >= 0:
            face = slot // 3
            if alive[face] and (faces[face, 0] == b or faces[face, 1] == b or faces[face, 2] == b):
                on_border += 1
            slot = following[slot]
        if on_border == 0 or shared != on_border or count_a + count_b > 24:
            continue
        if lock_a and lock_b and on_border != 1:
            continue
        target = 0.5 * (v[a] + v[b])
        if lock_a and not lock_b:
            target = v[a].copy()
        if _would_flip(v, faces, alive, head, following, a, b, target) or _would_flip(
            v, faces, alive, head, following, b, a, target
        ):
            continue
        v[a] = target
        size[a] = 0.5 * (size[a] + size[b])
        removed[b] = True
        slot = head[b]
        while slot >= 0:
            face = slot // 3
            if alive[face]:
                if faces[face, 0] == a or faces[face, 1] == a or faces[face, 2] == a:
                    alive[face] = False
                else:
                    faces[face, slot % 3] = a
            slot = following[slot]
        following[tail[a]] = head[b]
        tail[a] = tail[b]
        stamp[a] += stamp[b] + 1
        count_a = _ring(faces, alive, head, following, a, ring_a)
        for i in range(count_a):
            other = ring_a[i]
            rank = _rank(v, size, a, other)
            if rank < ratio:
                heapq.heappush(heap, (rank, a, other, stamp[a] + stamp[other]))
    return alive
