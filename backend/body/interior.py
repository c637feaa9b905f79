# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs, teeth and tongue: separate closed or open pieces inside the skin. Head-local centimetres, build
time only."""

import numpy as np

from .implicit.head import EYEBALL_RADIUS, eye_centre

IRIS_ANGLE = 0.50  # half-angle of the iris seen from the eye's centre, radians
PUPIL_ANGLE = 0.19


def _grid_faces(rows, columns, closed):
    a = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(a, -1, 1) if closed else a[:, 1:]
    left = a if closed else a[:, :-1]
    p, q, r, s = left[:-1], left[1:], right[1:], right[:-1]
    return np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)])


def _cap(points, faces, rings, columns):
    """Welds the first and the last ring of a closed grid, each one point, to single vertices."""
    index = np.concatenate([np.zeros(columns, int), np.arange((rings - 2) * columns) + 1,
                            np.full(columns, (rings - 2) * columns + 1)])  # fmt: skip
    faces = index[faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(1)
    return points.reshape(-1, 3)[np.r_[0, columns : (rings - 1) * columns, rings * columns - 1]], faces[whole]


def eyeball(face, rings=17, columns=28):
    """The left eyeball, its pole at the pupil: a sphere with the cornea's bulge. Rings crowd at the iris."""
    angle = np.pi * np.linspace(0, 1, rings) ** 1.5
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    t, p = np.meshgrid(angle, turn, indexing="ij")
    radius = EYEBALL_RADIUS + 0.05 * np.exp(-((t / 0.42) ** 4))
    points = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1) * radius[..., None]
    points, faces = _cap(points, _grid_faces(rings, columns, True), rings, columns)
    return points + eye_centre(face), faces


def teeth(face, lower, columns=41):
    """One dental arch as a strip with a narrow step at every gap between teeth."""
    x = np.linspace(-2.3, 2.3, columns) * face.mouth_width / 2.475
    z = 8.80 - 0.30 * x**2 - (0.15 if lower else 0)
    top, bottom = (-7.30, -8.0) if lower else (-6.3, -7.28)
    gap = 0.10 * np.abs(np.cos(np.pi * np.linspace(0, 8, columns))) ** 12
    rows = [(top, 0.15), ((top + bottom) / 2, 0.0), (bottom, 0.12), (bottom, 0.45)]
    if lower:
        rows = [(top, 0.45), (top, 0.12), ((top + bottom) / 2, 0.0), (bottom, 0.15)]
    points = np.concatenate([np.stack([x, np.full_like(x, y), z - back - gap], 1) for y, back in rows])
    return points, _grid_faces(len(rows), columns, False)


def tongue(rings=11, columns=16):
    """A flattened ellipsoid on the floor of the mouth, pole at the tip."""
    angle = np.linspace(0, np.pi, rings)
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    t, p = np.meshgrid(angle, turn, indexing="ij")
    points = np.stack([1.45 * np.sin(t) * np.cos(p), 0.38 * np.sin(t) * np.sin(p), 1.75 * np.cos(t)], -1)
    points, faces = _cap(points, _grid_faces(rings, columns, True), rings, columns)
    return points + np.array([0, -7.75, 6.35]), faces
