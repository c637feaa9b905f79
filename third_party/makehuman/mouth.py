# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs, teeth and tongue: pieces of our own, placed by MakeHuman's helper meshes and carried along by
them."""

from typing import NamedTuple

import numpy as np
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import EYEBALL, MOUTH, TEETH
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from .archive import COUNT, MakeHuman

CARRIERS = 4  # vertices of the helper that carry a vertex along
OVERBITE = 0.002  # metres that the upper front teeth cover of the lower ones
BEHIND = 0.007  # metres of the tongue's tip behind the front of the lower teeth
CROWN, THICK = 0.0105, 0.004  # metres: height of a front tooth that shows; its thickness
ARCH, GAPS = 0.027, 8  # metres: half width of the dental arch; gaps between teeth
TONGUE = (0.0155, 0.021, 0.0045)  # metres: half axes of the tongue


class Piece(NamedTuple):
    """points [n,3] canonical metres; faces [f,3]; carriers [n, 19158]: rows that follow the base mesh;
    joint; part."""

    points: np.ndarray
    faces: np.ndarray
    carriers: csr_matrix
    joint: int
    part: int


def pieces(data: MakeHuman, canonical: np.ndarray) -> list[Piece]:
    """Both eyeballs, both rows of teeth and the tongue, for the base mesh [19158,3] in the canonical pose."""
    found = []
    for side in "lr":
        rows = np.unique(data.quads(f"helper-{side}-eye")[..., 0])
        points, faces = eyeball(canonical[rows])
        found.append(_piece(points, faces, canonical, rows, f"eye.{side.upper()}", EYEBALL))
    upper, lower, tongue_rows = (
        np.unique(data.quads(f"helper-{name}")[..., 0]) for name in ("upper-teeth", "lower-teeth", "tongue")
    )
    edge = canonical[upper, 2].min()
    for rows, joint in ((upper, "head"), (lower, "jaw")):
        points, faces = teeth(canonical[rows], edge, rows is lower)
        found.append(_piece(points, faces, canonical, rows, joint, TEETH))
    points, faces = tongue(canonical[tongue_rows], points[:, 1].min() + BEHIND)
    found.append(_piece(points, faces, canonical, tongue_rows, "jaw", MOUTH))
    return found


def _piece(points, faces, canonical, rows, joint, part) -> Piece:
    distance, near = cKDTree(canonical[rows]).query(points, k=CARRIERS)
    weight = 1 / np.maximum(distance, 1e-4)
    weight /= weight.sum(1, keepdims=True)
    at = np.repeat(np.arange(len(points)), CARRIERS)
    carriers = csr_matrix((weight.ravel(), (at, rows[near].ravel())), (len(points), COUNT))
    return Piece(points, faces, carriers, INDEX[joint], part)


def _grid_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    a = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(a, -1, 1) if closed else a[:, 1:]
    left = a if closed else a[:, :-1]
    p, q, r, s = left[:-1], left[1:], right[1:], right[:-1]
    return np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)])


def _ball(rings: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere about -Y: points [n,3] and faces; `rings` are angles from the pole, 0 and pi included."""
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    t, p = np.meshgrid(rings, turn, indexing="ij")
    points = np.stack([np.sin(t) * np.cos(p), -np.cos(t), np.sin(t) * np.sin(p)], -1)
    index = np.concatenate(
        [np.zeros(columns, int), np.arange((len(rings) - 2) * columns) + 1,
         np.full(columns, (len(rings) - 2) * columns + 1)]
    )  # fmt: skip
    faces = index[_grid_faces(len(rings), columns, True)]
    whole = (faces != np.roll(faces, 1, axis=1)).all(1)
    rows = np.r_[0, columns : (len(rings) - 1) * columns, len(rings) * columns - 1]
    return points.reshape(-1, 3)[rows], faces[whole]


def eyeball(helper: np.ndarray, rings: int = 17, columns: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """A sphere with the cornea's bulge in the place of the helper's ball [n,3]; rings crowd at the iris."""
    centre = (helper.min(0) + helper.max(0)) / 2
    radius = np.median(np.linalg.norm(helper - centre, axis=1))
    angle = np.pi * np.linspace(0, 1, rings) ** 1.5
    points, faces = _ball(angle, columns)
    tilt = np.arccos(np.clip(-points[:, 1], -1, 1))
    return centre + points * (radius + 0.0005 * np.exp(-((tilt / 0.36) ** 4)))[:, None], faces


def teeth(helper: np.ndarray, edge: float, lower: bool, columns: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """One dental arch along the helper's [n,3]: a strip with a narrow step at every gap between teeth; the
    upper teeth end at the height `edge`."""
    bend = np.polynomial.polynomial.polyfit(helper[:, 0] ** 2, helper[:, 1], 1)
    x = np.linspace(-ARCH, ARCH, columns)
    y = helper[:, 1].min() + bend[1] * x**2
    gap = 0.001 * np.abs(np.cos(np.pi * np.linspace(0, GAPS, columns))) ** 12
    if lower:
        y, edge, root = y + THICK, edge + OVERBITE, edge + OVERBITE - CROWN
    else:
        root = edge + CROWN
    rows = [(root, 0.0015), ((root + edge) / 2, 0.0), (edge, 0.0012), (edge, THICK)]
    rows = rows if not lower else rows[::-1]
    points = np.concatenate([np.stack([x, y + back + gap, np.full_like(x, z)], 1) for z, back in rows])
    return points, _grid_faces(len(rows), columns, False)


def tongue(helper: np.ndarray, front: float) -> tuple[np.ndarray, np.ndarray]:
    """A flattened ellipsoid on the floor of the mouth, its pole, the tip, at y = `front`."""
    points, faces = _ball(np.linspace(0, np.pi, 11), 16)
    low, high = helper.min(0), helper.max(0)
    centre = np.array([0, front + TONGUE[1], low[2] + 0.4 * (high[2] - low[2])])
    return centre + points * TONGUE, faces
