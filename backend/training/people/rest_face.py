# SPDX-License-Identifier: GPL-3.0-or-later
"""The face at rest: lips that touch, whatever the shape made of them, and lids as far open as people's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...body.arkit import ARKIT_INDEX
from .landmarks import load_landmarks
from .sites import SKIN, TEETH, Sites, load_sites

OPENNESS = (0.15, 0.95)  # share of eyeWide in a face at rest: the template's lids hang low
SMILE = (0.0, 0.22)  # share of a smile in a face at rest: the template's looks sullen
OVERLAP = 0.0012  # metres that closed lips press into each other
TEETH_DROPS = (0.34, 0.46)  # head units, of the upper and the lower row
COLUMNS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # head units across the mouth


@lru_cache(maxsize=1)
def _lip_edges() -> list[tuple[np.ndarray, np.ndarray]]:
    """For columns across the mouth, the vertices of the upper lip that look down and of the lower that look
    up."""
    sites = load_sites()
    template, marks = sites.template, load_landmarks()
    local, up = sites.head_local(template.vertices), template.normals[:, 2]
    lips = (template.region("lips") > 0.55) & (template.part == SKIN)
    near = lips & (np.abs(local[:, 1] - marks.lip_seam[0]) < 0.5)
    column = lambda x: near & (np.abs(local[:, 0] - x) < 0.25)  # noqa: E731
    return [
        (np.flatnonzero(column(x) & (up < -0.5)), np.flatnonzero(column(x) & (up > 0.5))) for x in COLUMNS
    ]


@lru_cache(maxsize=1)
def _closing() -> tuple[np.ndarray, np.ndarray]:
    """Vertices [e] about the mouth and how far each goes along when the lips close, [e]: half of the gap up
    or down at the seam, less away from it."""
    sites, marks = load_sites(), load_landmarks()
    x, y, z = sites.head_local(sites.template.vertices).T
    across = np.linspace(0, marks.mouth, len(marks.lip_seam))
    above = y - np.interp(np.abs(x), across, marks.lip_seam)
    share = np.clip(1 - np.abs(above) / 1.1, 0, 1) * np.clip((marks.mouth - np.abs(x)) / 0.35, 0, 1)
    share *= (z > np.interp(np.abs(x), across, marks.lip_front) - 1.2) & (sites.template.part != TEETH)
    rows = np.flatnonzero(share > 0)
    return rows, -0.5 * np.sign(above[rows]) * share[rows]


def close_lips(vertices: np.ndarray, sites: Sites) -> np.ndarray:
    """A person's vertices [Nv, 3] with lips that meet where light would fall between."""
    gaps = [vertices[up, 2].min() - vertices[low, 2].max() + OVERLAP for up, low in _lip_edges()]
    rows, share = _closing()
    x = sites.head_local(sites.template.vertices[rows])[:, 0]
    out = vertices.copy()
    out[rows, 2] += np.interp(x, COLUMNS, np.clip(gaps, 0, 0.006)) * share
    return out


def lower_teeth(vertices: np.ndarray, sites: Sites, scale: float) -> np.ndarray:
    """A person's vertices [Nv, 3] with teeth that show where lips part: the upper row a little lower, the
    lower one just under it; `scale` of the person's head beside the mean one."""
    template = sites.template
    jaw = template.joint_names.index("jaw")
    below = (template.skin_weights * (template.skin_indices == jaw)).sum(1) > 0.5
    out, teeth = vertices.copy(), template.part == TEETH
    for row, drop in zip((teeth & ~below, teeth & below), TEETH_DROPS, strict=True):
        out[row, 2] -= np.float32(drop * scale * sites.head_scale)
    return out


def smile(vertices: np.ndarray, sites: Sites, share: float) -> np.ndarray:
    """A person's vertices [Nv, 3] with the corners of the mouth as after that share of a smile."""
    up = [sites.template.expression_deltas[ARKIT_INDEX[f"mouthSmile{side}"]] for side in ("Left", "Right")]
    return vertices + np.float32(share) * (up[0] + up[1])


def open_lids(vertices: np.ndarray, sites: Sites, share: float) -> np.ndarray:
    """A person's vertices [Nv, 3] with their lids raised by that share of eyeWide."""
    wide = [sites.template.expression_deltas[ARKIT_INDEX[f"eyeWide{side}"]] for side in ("Left", "Right")]
    return vertices + np.float32(share) * (wide[0] + wide[1])


def close_opened_lids(deltas: np.ndarray, rows: np.ndarray, sites: Sites, share: float) -> np.ndarray:
    """Expression deltas [52, e, 3] of the template's vertices `rows`, with blinks that close lids opened by
    `share`."""
    out = deltas.copy()
    for side in ("Left", "Right"):
        wide = sites.template.expression_deltas[ARKIT_INDEX[f"eyeWide{side}"], rows]
        out[ARKIT_INDEX[f"eyeBlink{side}"]] -= np.float32(share) * wide
    return out
