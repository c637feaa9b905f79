# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin, eyes and mouth: colour from rest coordinates, so that a brow is as sharp as the pixel that sees
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from ..body.implicit.parameters import FaceParameters
from .beards import beard_masks
from .materials import Surface
from .noise import fbm, noise3, smoothstep
from .sites import Sites

HAIRLINE_AZIMUTH = np.array([0, 18, 36, 52, 66, 76, 84, 100, 118, 140, 180], np.float64)
HAIRLINE_HEIGHT = np.array([7.4, 7.5, 7.6, 6.0, 3.0, -1.5, 0.2, 1.2, -3.5, -6.0, -6.8], np.float64)

_FACE = FaceParameters()
_MOUTH, _EYE_X, _EYE_H, _TILT = (
    float(_FACE.mouth_width),
    float(_FACE.eye_x),
    float(_FACE.eye_height),
    float(_FACE.eye_tilt),
)
MOUTH_RED = (0.66, 0.27, 0.26)  # sRGB of the lining that lips meet inside
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
    hairline: np.ndarray  # [11] heights (head units) at HAIRLINE_AZIMUTH
    redness: float
    mottle: float
    freckles: float
    age: float
    lash: float
    liner: float
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
def bell3(x, y, z, cx, cy, cz, sx, sy, sz):
    a, b, c = (x - cx) / sx, (y - cy) / sy, (z - cz) / sz
    q = a * a + b * b + c * c
    return np.exp(-0.5 * q) if q < 18.0 else 0.0


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
def lip_mask(x, y, z):
    """1 on the red of the closed lips, soft over about half a millimetre."""
    if z < 7.0 or abs(x) > _MOUTH + 0.1:
        return 0.0
    t = min(abs(x) / _MOUTH, 1.0)
    ax = abs(x)
    top = (
        -6.27
        + 0.10 * np.exp(-(((ax - 0.55) / 0.4) ** 2))
        - 0.08 * np.exp(-((ax / 0.22) ** 2))
        - 0.72 * t**2.1
    )
    bottom = -7.98 + 0.86 * t**2.3
    return 1.0 / (1.0 + np.exp(-min(top - y, y - bottom) / 0.05))


@numba.njit(**_JIT)
def lid_edges(x):
    """Heights of the open upper and lower lid edge at x from the eye's centre (lateral +)."""
    t = min(max((x + 1.5) / 2.95, 0.0), 1.0)
    tilt = _TILT * (t - 0.42) * 2
    upper = 0.44 * _EYE_H * max(np.sin(np.pi * t**0.85), 0.0) ** 0.75
    lower = -0.47 * _EYE_H * max(np.sin(np.pi * t**1.15), 0.0) ** 0.8
    return upper + tilt, lower + tilt


@numba.njit(**_JIT)
def brow_mask(x, y, z, width, lift):
    """Density of the brow hairs."""
    if z < 4.5 or y < 0.6 or y > 4.0:
        return 0.0
    ax = abs(x)
    t = min(max((ax - 1.25) / 4.0, 0.0), 1.0)
    centre = 1.72 + lift * (0.4 + t) + 0.62 * np.sin(np.pi * 0.8 * t) - 0.30 * t**3
    half = 0.40 * width * (1.0 - 0.72 * t**1.5)
    ends = smoothstep(0.9, 1.5, ax) * smoothstep(5.35, 4.7, ax)
    # Hairs lean outwards: noise stretched along a slanted direction.
    stroke = noise3(ax * 3.0 + y * 2.4, (y - 0.55 * ax) * 13.0 + x, z * 1.5)
    return ends * smoothstep(1.15, 0.55, abs(y - centre) / half + 0.25 * stroke)


@numba.njit(**_JIT)
def _paint_lips(x, y, z, look, c):
    """Paint the lips into c [3]; returns their mask and how far behind the seam the point lies, each 0..1."""
    lips = lip_mask(x, y, z)
    if lips <= 0.01:
        return 0.0, 0.0
    # Closed lips touch over a centimetre of depth, all of it at the height of the seam.
    behind = 10.06 - 0.235 * x * x - z
    seam = np.exp(-(((y + 7.05) / 0.07) ** 2)) * smoothstep(_MOUTH, _MOUTH - 0.3, abs(x))
    inner = seam * smoothstep(0.0, 0.3, behind)
    part = seam * (1 - inner)
    lines = 1 - 0.10 * max(noise3(x * 9.0, y * 1.3, 0.0), 0.0)
    for i in range(3):
        red = look.lips[i] * lines * (1 - 0.45 * part) * (0.93 if y > -7.05 else 1.04)
        c[i] += 0.9 * lips * (red + inner * (MOUTH_RED[i] - red) - c[i])
    return lips, inner


@numba.njit(**_JIT)
def _head_colour(x, y, z, look, c):
    """Paint a head-local point into c [3]; returns (roughness, specular)."""
    ax = abs(x)
    rough, spec = 0.52, 0.42 * look.shine
    red = 0.5 * bell3(ax, y, z, 4.2, -3.2, 7.5, 1.6, 1.4, 3) + 0.55 * bell3(
        ax, y, z, 0, -3.9, 11, 1.2, 0.8, 2
    )
    red += 0.5 * bell3(ax, y, z, 7.9, -1, -1, 0.7, 3, 3) + 0.2 * bell3(ax, y, z, 0, -10.3, 9, 1.5, 1, 2)
    red *= look.redness
    c[0] *= 1 + 0.05 * red
    c[1] *= 1 - 0.15 * red
    c[2] *= 1 - 0.16 * red
    # Shade that a smooth light misses: sockets, under the brow and the lip, beside the nose, folds of age.
    dark = (
        0.40 * bell3(ax, y, z, _EYE_X, 0.1, 8, 1.7, 0.75, 2)
        + 0.25 * bell3(ax, y, z, 2.0, -0.9, 8.6, 0.8, 0.35, 1.5) * look.age
    )
    dark += 0.22 * bell3(ax, y, z, 0, -8.75, 9.5, 1.3, 0.22, 1) + 0.25 * bell3(
        ax, y, z, 1.9, -4.4, 9.2, 0.25, 0.5, 0.8
    )
    dark += 0.9 * bell3(ax, y, z, 0.66, -4.75, 9.9, 0.30, 0.22, 0.7)
    if look.age > 0.3 and z > 5:
        fold = (ax - 1.75) / 1.6
        if 0.0 < fold < 1.0:
            line = -3.9 - 3.0 * fold**1.3
            dark += 0.35 * (look.age - 0.3) * np.exp(-(((y - line) / 0.13) ** 2))
        if y > 3.0 and ax < 4.5:
            wave = y + 0.15 * noise3(x * 0.6, 3.1, 0.7)
            dark += (
                0.18
                * (look.age - 0.3)
                * max(np.cos(wave * 2 * np.pi / 0.95), 0.0) ** 6
                * smoothstep(4.5, 2.5, ax)
            )
    c[0] *= 1 - 0.42 * dark
    c[1] *= 1 - 0.56 * dark
    c[2] *= 1 - 0.56 * dark
    if look.freckles > 0 and z > 4:
        spots = smoothstep(0.35, 0.65, noise3(x * 5.0 + 5, y * 5.0, z * 5.0)) * look.freckles
        spots *= bell3(ax, y, z, 2.6, -2.4, 9, 2.6, 2.2, 3)
        c[0] *= 1 - 0.22 * spots
        c[1] *= 1 - 0.35 * spots
        c[2] *= 1 - 0.42 * spots
    # Hair that is painted: shaved beard, stubble, scalp, brows, lashes.
    jaw, moustache, chin = beard_masks(x, y, z)
    grain = 0.5 + 0.5 * noise3(x * 9.0, y * 5.0 + z * 3.0, z * 9.0)
    area = max(jaw, moustache)
    shave = look.shadow * area * (0.8 + 0.4 * grain)
    c[0] *= 1 - 0.30 * shave
    c[1] *= 1 - 0.24 * shave
    c[2] *= 1 - 0.18 * shave
    beard = max(look.beard * (chin if look.goatee > 0.5 else jaw), look.moustache * moustache)
    cover = smoothstep(0.15, 0.75, beard * (0.45 + 0.9 * grain)) if beard > 0.02 else 0.0
    for i in range(3):
        c[i] += cover * (look.beard_colour[i] * (0.7 + 0.6 * grain) - c[i])
    if y > -9.0:
        height = scalp_height(x, y, z, look.hairline) + 0.25 * noise3(x * 2.0, y * 2.0, z * 2.0)
        tint = look.scalp * smoothstep(-0.45, 0.7, height) * (0.75 + 0.35 * grain)
        tint = min(tint, 0.95)
        for i in range(3):
            c[i] += tint * (look.scalp_colour[i] - c[i])
    lips, inner = _paint_lips(x, y, z, look, c)
    rough -= 0.18 * lips * (1 - inner)
    spec = (spec + 0.12 * lips) * (1 - inner)
    if z > 5.5 and abs(y) < 1.6:
        dx = ax - _EYE_X
        upper, lower = lid_edges(dx)
        inside = smoothstep(1.72, 1.5, abs(dx))
        line = np.exp(-0.5 * ((y - upper) / 0.075) ** 2) * 0.85 + 0.35 * np.exp(
            -0.5 * ((y - lower) / 0.06) ** 2
        )
        line = inside * line * look.lash
        wing = look.liner * inside * smoothstep(0.75, 0.05, y - upper) * (1.0 if y > upper else 0.0)
        crease = 0.30 * inside * np.exp(-0.5 * ((y - upper - 0.32) / 0.07) ** 2)
        for i in range(3):
            c[i] *= (1 - min(0.82 * line + crease, 0.92)) * (1 - 0.5 * wing)
        c[2] *= 1 + 0.1 * wing
    brow = look.brow_density * brow_mask(x, y, z, look.brow_width, look.brow_lift)
    for i in range(3):
        c[i] += brow * (look.brows[i] - c[i])
    oily = bell3(ax, y, z, 0, 3.8, 9, 3, 1.6, 3) + bell3(ax, y, z, 0, -3, 10.5, 0.9, 1.6, 2)
    return rough - 0.1 * oily, spec * (1 - 0.7 * max(cover, brow))


@numba.njit(**_JIT)
def _hand_colour(px, py, pz, look, tips, hand, c):
    """Nails, palms and knuckles of the hand on the point's side (the point is already mirrored to x > 0)."""
    dx, dy, dz = px - hand[0, 0], py - hand[0, 1], pz - hand[0, 2]
    along = dx * hand[1, 0] + dy * hand[1, 1] + dz * hand[1, 2]
    if along < -0.02:
        return 0.0
    dorsal = dx * hand[2, 0] + dy * hand[2, 1] + dz * hand[2, 2]
    palm = smoothstep(0.002, -0.012, dorsal + 0.22 * max(along - 0.08, 0.0)) * smoothstep(-0.02, 0.02, along)
    for i in range(3):
        c[i] += 0.8 * palm * (look.palm[i] - c[i])
    gloss = 0.0
    for f in range(tips.shape[0]):
        ex, ey, ez = px - tips[f, 0, 0], py - tips[f, 0, 1], pz - tips[f, 0, 2]
        u = ex * tips[f, 1, 0] + ey * tips[f, 1, 1] + ez * tips[f, 1, 2]
        if u < -0.02 or u > 0.02:
            continue
        v = ex * tips[f, 2, 0] + ey * tips[f, 2, 1] + ez * tips[f, 2, 2]
        w = (
            ex * (tips[f, 1, 1] * tips[f, 2, 2] - tips[f, 1, 2] * tips[f, 2, 1])
            + ey * (tips[f, 1, 2] * tips[f, 2, 0] - tips[f, 1, 0] * tips[f, 2, 2])
            + ez * (tips[f, 1, 0] * tips[f, 2, 1] - tips[f, 1, 1] * tips[f, 2, 0])
        )
        if v > 0.0015:
            nail = smoothstep(1.0, 0.8, (u / 0.0072) ** 2 + (w / 0.0056) ** 2)
            for i in range(3):
                c[i] += nail * (look.nails[i] - c[i])
            gloss = max(gloss, nail)
    return gloss


@numba.njit(**_JIT)
def shade_skin(points, origin, scale, look, tips, hand, albedo, roughness, specular):
    """Fill albedo [p, 3], roughness [p] and specular [p] for rest points [p, 3]."""
    c = np.empty(3)
    for n in range(len(points)):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        x, y, z = (px - origin[0]) / scale, (pz - origin[2]) / scale, -(py - origin[1]) / scale
        tone = 1 + look.mottle * (
            0.06 * fbm(x * 0.28, y * 0.28, z * 0.28, 2) + 0.05 * fbm(x * 2.1, y * 2.1, z * 2.1, 2)
        )
        flush = 0.05 * look.redness * noise3(x * 0.45 + 9, y * 0.45, z * 0.45)
        c[0] = look.base[0] * tone * (1 + 0.3 * flush)
        c[1] = look.base[1] * tone * (1 - flush)
        c[2] = look.base[2] * tone * (1 - flush)
        rough, spec = 0.55, 0.35 * look.shine
        if y > -16.0 and abs(x) < 10.5:
            rough, spec = _head_colour(x, y, z, look, c)
        elif abs(px) > hand[0, 0] - 0.03 and pz < hand[0, 2] + 0.06:
            gloss = _hand_colour(abs(px), py, pz, look, tips, hand, c)
            rough, spec = rough - 0.25 * gloss, spec + 0.3 * gloss
        for i in range(3):
            albedo[n, i] = min(max(c[i], 0.0), 1.0)
        roughness[n] = rough
        specular[n] = spec


@dataclass(frozen=True)
class Skin:
    """Skin of one person."""

    look: SkinLook
    origin: np.ndarray
    scale: float
    tips: np.ndarray  # [5, 3, 3] nail centre, direction of the finger, direction out of the nail (left hand)
    hand: np.ndarray  # [3, 3] wrist, direction of the fingers, dorsal direction (left hand)

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        p = np.ascontiguousarray(rest_points, np.float32)
        out = Surface(
            np.empty((len(p), 3), np.float32), np.empty(len(p), np.float32), np.empty(len(p), np.float32)
        )
        shade_skin(p, self.origin, self.scale, self.look, self.tips, self.hand, *out)
        return out


@numba.njit(**_JIT)
def shade_eye(points, centre, scale, iris, sclera, albedo, roughness):
    """Iris, limbus and pupil by the angle to the rest gaze (-Y); pink towards the corners."""
    for n in range(len(points)):
        x = (abs(points[n, 0]) - centre[0]) / scale
        y, z = (points[n, 2] - centre[2]) / scale, -(points[n, 1] - centre[1]) / scale
        across = np.sqrt(x * x + y * y)
        angle = np.arctan2(across, z)
        turn = np.arctan2(y, x)
        fibres = 0.75 + 0.35 * noise3(turn * 9.0 + (3.0 if points[n, 0] > 0 else -3.0), angle * 6.0, 0.3)
        ring = smoothstep(0.19, 0.30, angle)
        limbus = smoothstep(0.40, 0.49, angle)
        white = smoothstep(0.485, 0.525, angle)
        pupil = smoothstep(0.205, 0.18, angle)
        pink = smoothstep(0.75, 1.25, angle)
        for i in range(3):
            colour = iris[i] * fibres * (0.75 + 0.45 * ring) * (1 - 0.65 * limbus)
            colour *= 1 - 0.97 * pupil
            ball = sclera[i] * (1 - pink * (0.10, 0.30, 0.30)[i])
            albedo[n, i] = min(max(colour + white * (ball - colour), 0.0), 1.0)
        # The upper lid and its lashes keep light off the top of the ball.
        lid = 1.0 - 0.35 * smoothstep(0.15, 0.55, y)
        for i in range(3):
            albedo[n, i] *= lid
        roughness[n] = 0.08


@dataclass(frozen=True)
class Eye:
    """Both eyeballs; colours [3]."""

    iris: np.ndarray
    sclera: np.ndarray
    centre: np.ndarray  # [3] of the left ball
    scale: float

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        p = np.ascontiguousarray(rest_points, np.float32)
        albedo, roughness = np.empty((len(p), 3), np.float32), np.empty(len(p), np.float32)
        shade_eye(p, self.centre, self.scale, self.iris, self.sclera, albedo, roughness)
        return Surface(albedo, roughness, np.full(len(p), 1.0, np.float32))


@dataclass(frozen=True)
class Plain:
    """One colour, darker with depth into the head where `fade_from` (head units of z) is given."""

    colour: np.ndarray
    roughness: float = 0.5
    specular: float = 0.3
    sites_origin: float = 0.0  # Y of the head's origin, metres
    scale: float = 0.01
    fade_from: float | None = None

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        n = len(rest_points)
        albedo = np.tile(self.colour.astype(np.float32), (n, 1))
        if self.fade_from is not None:
            depth = -(rest_points[:, 1] - self.sites_origin) / self.scale
            fade = np.clip(1 + (depth - self.fade_from) / 3.5, 0.15, 1).astype(np.float32)
            return Surface(
                albedo * fade[:, None],
                np.full(n, self.roughness, np.float32),
                # No window shines into a throat.
                self.specular * fade**3,
            )
        return Surface(albedo, np.full(n, self.roughness, np.float32), np.full(n, self.specular, np.float32))


def nail_frames(sites: Sites) -> tuple[np.ndarray, np.ndarray]:
    """`tips` and `hand` of `Skin` from the mean template's left hand."""
    template = sites.template
    names = list(template.joint_names)
    wrist, middle, index, pinky = (sites.joint(n) for n in ("hand.L", "middle1.L", "index1.L", "pinky1.L"))
    along = middle - wrist
    along = along / np.linalg.norm(along)
    dorsal = np.cross(along, index - pinky)
    dorsal = dorsal / np.linalg.norm(dorsal)
    if dorsal[0] + dorsal[2] < 0:
        dorsal = -dorsal
    tips = []
    for finger in ("thumb", "index", "middle", "ring", "pinky"):
        j = names.index(f"{finger}3.L")
        head, tail = template.joint_heads[j], template.joint_tails[j]
        d = (tail - head) / np.linalg.norm(tail - head)
        out = dorsal if finger != "thumb" else dorsal * 0.8 + (index - pinky) * 2
        out = out - d * (out @ d)
        tips.append([tail - d * 0.001, d, out / np.linalg.norm(out)])
    return np.array(tips, np.float64), np.array([wrist, along, dorsal], np.float64)
