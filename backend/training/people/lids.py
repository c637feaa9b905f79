# SPDX-License-Identifier: GPL-3.0-or-later
"""The margins of the eyelids and the lashes: finer than the template's triangles, seen in every close-up."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...body.arkit import ARKIT_NAMES
from ...body.face_fields import FaceField, expression_fields
from ...body.implicit.head import eye_centre, lid_curves
from ...body.implicit.parameters import FaceParameters
from .cloth import BodyShape, Piece
from .skin import Plain

_COLUMNS, _REACH = 33, 1.30  # of a margin; half its width in head units
_LASHES = 46


def _on_ball(x, y, radius):
    """Points at (x, y) from the eye's centre, `radius` away from it, in front."""
    return np.stack([x, y, np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0.02))], -1)


def _margin(upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """A band from just under the lid's skin over its edge and in behind the eyeball's surface, about the
    centre of the left eye.
    """
    x = np.linspace(-_REACH, _REACH, _COLUMNS)
    edge = lid_curves(x, FaceParameters())[0 if upper else 1]
    out = 1.0 if upper else -1.0
    rows = [(0.17, 1.35), (0.08, 1.362), (0.01, 1.37), (-0.03, 1.35), (-0.03, 1.26), (0.0, 1.12)]
    points = np.stack([_on_ball(x, edge + out * rise, radius) for rise, radius in rows])
    i, j = np.meshgrid(np.arange(len(rows) - 1), np.arange(_COLUMNS - 1), indexing="ij")
    a = i * _COLUMNS + j
    b, c, d = a + 1, a + _COLUMNS, a + _COLUMNS + 1
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return points.reshape(-1, 3), faces if upper else faces[:, ::-1]


def _lashes(rng: np.random.Generator, upper: bool, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Slender triangles that leave the lid's edge forwards and curl away from the eye."""
    count = _LASHES if upper else _LASHES // 2
    x = np.linspace(-1.12, 1.27, count) + rng.normal(0, 0.012, count)
    edge = lid_curves(x, FaceParameters())[0 if upper else 1]
    out = 1.0 if upper else -1.0
    root = _on_ball(x, edge - out * 0.01, 1.37)
    grown = length * (0.7 + 0.3 * (x + 1.2) / 2.4) * rng.uniform(0.75, 1.1, count) * (1.0 if upper else 0.5)
    away = np.stack(
        [0.25 * x + rng.normal(0, 0.07, count), np.full(count, 0.55 * out), np.full(count, 0.8)], -1
    )
    middle = root + grown[:, None] * 0.55 * away * (1, 0.35, 1)
    tip = root + grown[:, None] * away
    across = np.array([0.022 if upper else 0.014, 0, 0])
    points = np.stack([root - across, root + across, middle - 0.6 * across, middle + 0.6 * across, tip], 1)
    start = 5 * np.arange(count)[:, None, None]
    faces = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4]]) + start
    return points.reshape(-1, 3), faces.reshape(-1, 3)


def _deltas(local: np.ndarray, head_scale: float) -> np.ndarray:
    """What the expressions do at points [n, 3] (head units) of the lids -> [52, n, 3] metres."""
    nothing = np.zeros(len(local))
    fields = expression_fields(FaceField(local, local, FaceParameters(), nothing, nothing.astype(bool)))
    moved = np.stack([fields[name] for name in ARKIT_NAMES]) * head_scale
    return np.stack([moved[..., 0], -moved[..., 2], moved[..., 1]], -1).astype(np.float32)


def _both_eyes(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left = points + eye_centre(FaceParameters())
    right = left * np.array([-1, 1, 1])
    return np.concatenate([left, right]), np.concatenate([faces, faces[:, ::-1] + len(left)]).astype(np.int32)


@lru_cache(maxsize=1)
def _margins(head_scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head-local points, faces and expression deltas of all four margins."""
    (up, up_faces), (low, low_faces) = _margin(True), _margin(False)
    points, faces = _both_eyes(np.concatenate([up, low]), np.concatenate([up_faces, low_faces + len(up)]))
    return points, faces, _deltas(points, head_scale)


def make_lids(rng: np.random.Generator, shape: BodyShape, skin_material, colour: np.ndarray, length: float):
    """Margins in the person's skin, lashes [3] sRGB of about `length` head units -> two pieces."""
    scale = shape.sites.head_scale
    points, faces, deltas = _margins(scale)
    (up, up_faces), (low, low_faces) = _lashes(rng, True, length), _lashes(rng, False, length)
    hairs, hair_faces = _both_eyes(np.concatenate([up, low]), np.concatenate([up_faces, low_faces + len(up)]))
    lash = Plain(np.asarray(colour, np.float32), 0.5, 0.2)
    return [
        _piece(shape, points, faces, deltas, skin_material),
        _piece(shape, hairs, hair_faces, _deltas(hairs, scale), lash),
    ]


def _piece(shape: BodyShape, local, faces, deltas, material) -> Piece:
    sites = shape.sites
    rest = sites.from_head_local(local).astype(np.float32)
    weights = np.zeros((len(rest), len(sites.template.joint_names)), np.float32)
    weights[:, sites.template.joint_names.index("head")] = 1
    return Piece(
        vertices=shape.carry(rest, 24),
        faces=faces,
        template_points=rest,
        rest_points=rest,
        weights=weights,
        material=np.zeros(len(faces), np.uint8),
        materials=[material],
        expression=deltas,
    )
