# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture coordinates for the whole template: MakeHuman's for the skin, and charts of their own, in the
layout's free corner, for eyes, teeth and tongue, which MakeHuman's layout leaves at one point.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..body.template import EYEBALL, TEETH, Template, load_template
from .parts import components

# Boxes (low u, low v, high u, high v) of the free corner.
EYES = {"L": (0.615, 0.9, 0.7, 0.985), "R": (0.71, 0.9, 0.795, 0.985)}
TEETH_BOXES = tuple((0.8, low, 0.985, low + 0.025) for low in (0.96, 0.928, 0.896, 0.864))
TONGUE_BOXES = ((0.8, 0.832, 0.86, 0.857), (0.88, 0.832, 0.94, 0.857))
TORN = 0.4  # of a chart's side: a longer edge crosses the chart


@dataclass(frozen=True, eq=False)
class Atlas:
    """uvs [n,2] with v upwards; face_uvs [Nf,3] int32, the coordinate of every corner."""

    uvs: np.ndarray
    face_uvs: np.ndarray


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The atlas of the built-in template."""
    template, (label, skin) = load_template(), components()
    uvs, face_uvs = [template.uvs.astype(np.float64)], template.face_uvs.copy()
    teeth = iter(TEETH_BOXES)
    for number in range(label.max() + 1):
        part = template.part[label == number]
        faces = np.flatnonzero(label[template.faces[:, 0]] == number)
        if number == skin or not _collapsed(template, faces):
            continue
        if (part == EYEBALL).all():
            side = "L" if template.vertices[label == number, 0].mean() > 0 else "R"
            charts = [(faces, *_sphere(template, faces), EYES[side])]
        elif (part == TEETH).all():
            charts = [(*chart, next(teeth)) for chart in _arch(template, faces)]
        else:
            charts = [(*chart, box) for chart, box in zip(_slab(template, faces), TONGUE_BOXES, strict=True)]
        for own, used, flat, box in charts:
            start = sum(map(len, uvs))
            corners = np.searchsorted(used, template.faces[own]) + start
            inside = _fitted(flat, box)
            uvs.append(inside)
            long = np.ptp(inside[corners - start], axis=1).max(1) > TORN * (box[2] - box[0])
            corners[long] = corners[long, :1]  # behind an eye: nothing sees it
            face_uvs[own] = corners
    return Atlas(np.concatenate(uvs).astype(np.float32), face_uvs.astype(np.int32))


def _collapsed(template: Template, faces: np.ndarray) -> bool:
    return len(np.unique(template.face_uvs[faces])) == 1


def _sphere(template: Template, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuthal equidistant projection about the direction ahead: vertices [n] and coordinates [n,2]."""
    used = np.unique(template.faces[faces])
    points = template.vertices[used].astype(np.float64)
    points = points - (points.max(0) + points.min(0)) / 2
    across = points[:, [0, 2]]
    away = np.arctan2(np.linalg.norm(across, axis=1), -points[:, 1])
    return used, across * (away / np.maximum(np.linalg.norm(across, axis=1), 1e-9))[:, None]


def _arch(template: Template, faces: np.ndarray):
    """A row of teeth as two strips, its outside and its inside: (faces, vertices, coordinates) of each."""
    points = template.vertices[np.unique(template.faces[faces])]
    middle = np.array([0, points[:, 1].max(), 0])
    radial = (template.vertices[template.faces[faces]].mean(1) - middle) * (1, 1, 0)
    outside = (_face_normals(template, faces) * radial).sum(1) > 0
    for own in (faces[outside], faces[~outside]):
        used = np.unique(template.faces[own])
        away = template.vertices[used] - middle
        yield own, used, np.stack([np.arctan2(away[:, 0], -away[:, 1]), away[:, 2]], 1)


def _slab(template: Template, faces: np.ndarray):
    """The tongue from above and from below: (faces, vertices, coordinates) of each."""
    above = _face_normals(template, faces)[:, 2] > 0
    for own in (faces[above], faces[~above]):
        used = np.unique(template.faces[own])
        yield own, used, template.vertices[used][:, [1, 0]].astype(np.float64)


def _face_normals(template: Template, faces: np.ndarray) -> np.ndarray:
    a, b, c = (template.vertices[template.faces[faces, k]].astype(np.float64) for k in range(3))
    return np.cross(b - a, c - a)


def _fitted(flat: np.ndarray, box: tuple) -> np.ndarray:
    """Coordinates [n,2] stretched to fill a box."""
    low, size = flat.min(0), np.maximum(np.ptp(flat, axis=0), 1e-12)
    return np.array(box[:2]) + (flat - low) / size * np.subtract(box[2:], box[:2])
