# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin and plain materials: colour from rest coordinates, so that a brow is as sharp as the pixel that sees
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from .face import head_colour, height, mottle
from .landmarks import Landmarks
from .materials import Surface
from .nails import paint_hand, paint_nails
from .noise import noise3

HAIRLINE_AZIMUTH = np.array([0, 18, 36, 52, 66, 76, 84, 100, 118, 140, 180], np.float64)
HAIRLINE_HEIGHT = np.array([7.4, 7.5, 7.6, 6.0, 3.0, -1.5, 0.2, 1.2, -3.5, -6.0, -6.8], np.float64)
_JIT = {"cache": True, "nogil": True}


class SkinLook(NamedTuple):
    """How one person's skin is coloured; colours are [3] float64 sRGB, the rest strengths in 0..1 unless
    said.
    """

    base: np.ndarray
    lips: np.ndarray
    brows: np.ndarray
    beard_colour: np.ndarray
    scalp_colour: np.ndarray
    nails: np.ndarray
    palm: np.ndarray
    eyeshadow: np.ndarray
    hairline: np.ndarray  # [11] heights (head units) at HAIRLINE_AZIMUTH
    redness: float
    mottle: float
    freckles: float
    spots: float  # of age
    mole: float  # where moles lie, any number
    age: float  # lines: 0 at twenty-five, 1 at eighty
    pores: float
    bags: float  # shade below the eyes
    lash: float
    liner: float
    blush: float
    polish: float  # 1 painted nails
    brow_width: float
    brow_lift: float  # head units
    brow_density: float
    shadow: float  # of a shaved beard
    beard: float  # density of hair on the chin and cheeks
    moustache: float
    goatee: float  # 1: beard on the chin only
    scalp: float  # tint under hair
    shine: float


@numba.njit(**_JIT)
def scalp_height(x, y, z, hairline):
    """How far above the hairline a head-local point lies (head units, negative below); ears count as
    below.
    """
    azimuth = abs(np.degrees(np.arctan2(x, z + 1.0)))
    i = 0
    while i < 9 and HAIRLINE_AZIMUTH[i + 1] < azimuth:
        i += 1
    t = (azimuth - HAIRLINE_AZIMUTH[i]) / (HAIRLINE_AZIMUTH[i + 1] - HAIRLINE_AZIMUTH[i])
    height = y - (hairline[i] * (1 - t) + hairline[i + 1] * t)
    if abs(x) > 7.62 and y < 0.7 and z < 1.0:
        return min(height, -0.5 - (abs(x) - 7.62))
    return height


@numba.njit(**_JIT)
def shade_skin(points, origin, scale, look, marks, nails, hand, albedo, roughness, specular):
    """Fill albedo [p, 3], roughness [p] and specular [p] for rest points [p, 3]."""
    c = np.empty(3)
    for n in range(len(points)):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        x, y, z = (px - origin[0]) / scale, (pz - origin[2]) / scale, -(py - origin[1]) / scale
        for i in range(3):
            c[i] = look.base[i]
        mottle(x, y, z, look, c)
        rough, spec = 0.55, 0.33 * look.shine
        if y > -17.0 and abs(x) < 10.5:
            rough, spec = head_colour(x, y, z, look, marks, scalp_height(x, y, z, look.hairline), c)
        elif abs(px) > hand[0, 0] - 0.03 and pz < hand[0, 2] + 0.06:
            paint_hand(abs(px), py, pz, look, hand, c)
            gloss = paint_nails(abs(px), py, pz, look, nails, c)
            rough, spec = rough - 0.25 * gloss, spec + 0.3 * gloss
        elif pz < 0.12:
            gloss = paint_nails(abs(px), py, pz, look, nails, c)
            rough, spec = rough - 0.2 * gloss, spec + 0.2 * gloss
        for i in range(3):
            albedo[n, i] = min(max(c[i], 0.0), 1.0)
        roughness[n] = rough
        specular[n] = spec


_STEP = 0.012  # head units between the points whose heights give a slope


@numba.njit(**_JIT)
def skin_slopes(points, origin, scale, look, marks, slopes):
    """Fill the gradients [p, 3] of the relief at rest points [p, 3]: metres per metre."""
    for n in range(len(points)):
        x = (points[n, 0] - origin[0]) / scale
        y, z = (points[n, 2] - origin[2]) / scale, -(points[n, 1] - origin[1]) / scale
        if y > -17.0 and abs(x) < 10.5:
            here = height(x, y, z, look, marks)
            dx = height(x + _STEP, y, z, look, marks) - here
            dy = height(x, y + _STEP, z, look, marks) - here
            dz = height(x, y, z + _STEP, look, marks) - here
        else:
            fine = 0.004 * look.pores
            here = noise3(x * 6.0, y * 6.0, z * 6.0)
            dx = fine * (noise3((x + _STEP) * 6.0, y * 6.0, z * 6.0) - here)
            dy = fine * (noise3(x * 6.0, (y + _STEP) * 6.0, z * 6.0) - here)
            dz = fine * (noise3(x * 6.0, y * 6.0, (z + _STEP) * 6.0) - here)
        slopes[n, 0], slopes[n, 1], slopes[n, 2] = dx / _STEP, -dz / _STEP, dy / _STEP


@dataclass(frozen=True)
class Skin:
    """Skin of one person."""

    look: SkinLook
    marks: Landmarks
    origin: np.ndarray  # [3] of the head's frame, metres
    scale: float
    nails: np.ndarray  # as from `nails.nail_frames`
    hand: np.ndarray  # as from `nails.hand_frame`

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        p = np.ascontiguousarray(rest_points, np.float32)
        out = Surface.empty(len(p))
        shade_skin(p, self.origin, self.scale, self.look, self.marks, self.nails, self.hand, *out)
        return out

    def slopes(self, rest_points: np.ndarray) -> np.ndarray:
        """Gradients [p, 3] of the relief (lines, pores) in rest space, metres per metre."""
        p = np.ascontiguousarray(rest_points, np.float32)
        out = np.empty((len(p), 3), np.float32)
        skin_slopes(p, self.origin, self.scale, self.look, self.marks, out)
        return out


@dataclass(frozen=True)
class Plain:
    """One colour, darker with depth into the head where `fade_from` (head units of z) is given."""

    colour: np.ndarray
    roughness: float = 0.5
    specular: float = 0.3
    origin_y: float = 0.0  # of the head's frame, metres
    scale: float = 0.01  # metres of a head unit
    fade_from: float | None = None

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        n = len(rest_points)
        albedo = np.tile(self.colour.astype(np.float32), (n, 1))
        if self.fade_from is not None:
            depth = -(rest_points[:, 1] - self.origin_y) / self.scale
            fade = np.clip(1 + (depth - self.fade_from) / 3.5, 0.15, 1).astype(np.float32)
            return Surface(
                albedo * fade[:, None],
                np.full(n, self.roughness, np.float32),
                # No window shines into a throat.
                self.specular * fade**3,
            )
        return Surface(albedo, np.full(n, self.roughness, np.float32), np.full(n, self.specular, np.float32))
