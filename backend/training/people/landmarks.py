# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the features of the face lie on the mean template, measured from its mesh, regions and expressions.

Skin is coloured by the mean template's points, which every person's vertices carry: what is found here once
is right on every face. All lengths are head units (about centimetres: `Sites.head_local`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from scipy.ndimage import gaussian_filter1d

from ...raster.mesh_faces import rasterize_flat
from .sites import EYE, SKIN, Sites, load_sites, to_head_axes

COLUMNS = 33
_STEP = 0.02  # head units to a pixel of the picture that is measured
_LEFT, _RIGHT, _LOW, _HIGH = -0.5, 8.5, -13.0, 6.0


class Landmarks(NamedTuple):
    """The left half of the face. Tables hold `COLUMNS` heights at evenly spaced x."""

    eye: np.ndarray  # [3] centre of the eyeball
    ball: float  # its radius
    lid_span: np.ndarray  # [2] x where the eyeball shows
    lid_upper: np.ndarray  # [COLUMNS] edge of the upper lid over lid_span
    lid_lower: np.ndarray
    mouth: float  # x of the mouth's corner; the lips' tables run from 0 to there
    lip_top: np.ndarray
    lip_seam: np.ndarray
    lip_bottom: np.ndarray
    lip_front: np.ndarray  # z of the lips where they meet
    brow_span: np.ndarray  # [2] x of a brow's ends
    brow_line: np.ndarray
    nostril: np.ndarray  # [3]
    nose_tip: np.ndarray  # [3]
    wing: np.ndarray  # [3] the widest point of the nose
    cheek: np.ndarray  # [3] the middle of what a smile lifts
    chin: np.ndarray  # [3] the foremost point below the lips
    ear: np.ndarray  # [3] middle
    ear_size: np.ndarray  # [3] half extents


@numba.njit(cache=True, nogil=True)
def interp(table, t):
    """The value of a table at t, 0 at its first column and 1 at its last; held beyond them."""
    at = min(max(t, 0.0), 1.0) * (len(table) - 1)
    i = min(int(at), len(table) - 2)
    return table[i] + (at - i) * (table[i + 1] - table[i])


class _Front:
    """What is seen of the mean head from the front, orthographically: head-local points [h, w, 3], the part
    of the template [h, w] (-1 nothing) and one region's share [h, w]."""

    def __init__(self, sites: Sites):
        template = sites.template
        local = sites.head_local(template.vertices)
        head = local[template.faces][:, :, 1].min(1) > _LOW - 2
        faces = template.faces[head]
        width, height = round((_RIGHT - _LEFT) / _STEP), round((_HIGH - _LOW) / _STEP)
        pixels = np.stack([local[:, 0] - _LEFT, _HIGH - local[:, 1]], 1) / _STEP
        seen = rasterize_flat(pixels, 20 - local[:, 2], faces, width, height)
        lips = template.region("lips")[:, None]
        values = seen.interpolate(np.concatenate([local, lips], 1), faces)
        self.points, self.lips = values[..., :3], values[..., 3]
        part = template.part[faces].max(1)
        self.part = np.where(seen.face >= 0, part[seen.face], -1).astype(int)

    def edges(self, mask: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        """Highest and lowest y [COLUMNS] of a mask in columns from x = low to high."""
        points = self.points[mask]
        column = np.rint((points[:, 0] - low) / (high - low) * (COLUMNS - 1)).astype(int)
        top, bottom = np.full(COLUMNS, np.nan), np.full(COLUMNS, np.nan)
        for c in range(COLUMNS):
            y = points[column == c, 1]
            if len(y):
                top[c], bottom[c] = y.max(), y.min()
        return _smooth(top), _smooth(bottom)


def _smooth(values: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    at, known = np.arange(len(values)), np.isfinite(values)
    filled = np.interp(at, at[known], values[known])
    return gaussian_filter1d(filled, sigma, mode="nearest")


@lru_cache(maxsize=1)
def load_landmarks() -> Landmarks:
    """The landmarks of the built-in template, measured once per process."""
    return find_landmarks(load_sites())


def find_landmarks(sites: Sites) -> Landmarks:
    """Measures the mean head of `sites`."""
    template, front = sites.template, _Front(sites)
    local = sites.head_local(template.vertices).astype(np.float64)
    skin = (template.part == SKIN) & (local[:, 0] > -0.01)
    eye = sites.head_local(sites.joint("eye.L")).astype(np.float64)
    ball = np.linalg.norm(local[(template.part == EYE) & (local[:, 0] > 0)] - eye, axis=1).mean()
    open_eye = (front.part == EYE) & (front.points[..., 0] > 0)
    span = front.points[open_eye][:, 0]
    span = np.array([span.min(), span.max()], np.float64)
    upper, lower = front.edges(open_eye, *span)
    lips = (front.lips > 0.5) & (front.points[..., 2] > 8) & (front.points[..., 0] > -0.02)
    mouth = float(front.points[lips][:, 0].max())
    top, bottom = front.edges(lips, 0, mouth)
    seam, front_z = _seam(front, mouth, top, bottom)
    ear = local[(template.region("ears") > 0.5) & (local[:, 0] > 0)]
    nose = (
        skin & (np.abs(local[:, 0]) < 2.4) & (local[:, 1] > -5.5) & (local[:, 1] < -2) & (local[:, 2] > 8.5)
    )
    below = (
        skin & (np.abs(local[:, 0]) < 0.2) & (local[:, 1] < bottom[0] - 0.8) & (local[:, 1] > bottom[0] - 4)
    )
    span_brow = np.array([eye[0] - 1.75, eye[0] + 2.25])
    return Landmarks(
        eye, float(ball), span, upper, lower, mouth, top, seam, bottom, front_z,
        span_brow, _brow_line(sites, local, skin, span_brow),
        _nostril(sites, local, nose), local[nose][local[nose][:, 2].argmax()], _wing(local, nose),
        _moved_most(template, local, skin, "cheekSquintLeft"), local[below][local[below][:, 2].argmax()],
        0.5 * (ear.max(0) + ear.min(0)), 0.5 * np.ptp(ear, axis=0),
    )  # fmt: skip


def _seam(front: _Front, mouth, top, bottom):
    """Height [COLUMNS] where the lips meet and how far in front they are there: along the gap between them,
    or where the lips lie deepest."""
    x = np.linspace(0, mouth, COLUMNS)
    seam, depth = np.full(COLUMNS, np.nan), np.full(COLUMNS, np.nan)
    for c in range(COLUMNS):
        column = round((x[c] - _LEFT) / _STEP)
        points = front.points[:, column]
        part = front.part[:, column]
        between = (points[:, 1] < top[c] - 0.15) & (points[:, 1] > bottom[c] + 0.15) & (part >= 0)
        if between.sum() < 3:
            continue
        gap = between & (part > SKIN)
        rows = gap if gap.any() else between & (points[:, 2] <= points[between, 2].min() + 0.05)
        seam[c] = points[rows, 1].mean()
        around = between & (part == SKIN) & (np.abs(points[:, 1] - seam[c]) < 0.25)
        depth[c] = np.quantile(points[around, 2], 0.5) if around.any() else np.nan
    return _smooth(seam), _smooth(depth)


def _brow_line(sites: Sites, local, skin, span):
    """Heights along the brow: the middle of what a frown pulls down."""
    names = sites.template.expression_names
    strength = np.linalg.norm(sites.template.expression_deltas[names.index("browDownLeft")], axis=1) ** 2
    out = []
    for x in np.linspace(*span, COLUMNS):
        weight = strength * np.exp(-(((local[:, 0] - x) / 0.5) ** 2)) * skin * (local[:, 1] > 0.8)
        out.append((weight * local[:, 1]).sum() / weight.sum())
    return _smooth(np.array(out), 2.0)


def _nostril(sites: Sites, local, nose):
    """The middle of the hollow under the wing: vertices that lie deeper than their neighbours."""
    outward = to_head_axes(sites.template.normals)
    hollow = ((sites.average @ local - local) * outward).sum(1)
    x = local[:, 0]
    weight = np.where(nose & (x > 0.35) & (x < 1.4) & (outward[:, 1] < 0.2), np.maximum(hollow, 0), 0) ** 2
    return (local * weight[:, None]).sum(0) / weight.sum()


def _wing(local, nose):
    wide = nose & (local[:, 1] < -3.2) & (local[:, 2] > 9.2)
    return local[wide][local[wide][:, 0].argmax()]


def _moved_most(template, local, skin, name):
    strength = np.linalg.norm(template.expression_deltas[template.expression_names.index(name)], axis=1) ** 4
    weight = strength * skin
    return (local * weight[:, None]).sum(0) / weight.sum()
