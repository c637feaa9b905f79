# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour and relief of the face at points of the mean head, by its landmarks."""

from __future__ import annotations

import numba
import numpy as np

from .beards import beard_masks
from .landmarks import interp
from .noise import fbm, lattice, noise3, smoothstep

_JIT = {"cache": True, "nogil": True}
MOUTH_RED = (0.60, 0.24, 0.23)  # sRGB of the lining that lips meet inside


@numba.njit(**_JIT)
def bell(x, y, z, centre, sx, sy, sz):
    """A Gaussian about a point of the left half; x counts from the middle of the face."""
    a, b, c = (x - centre[0]) / sx, (y - centre[1]) / sy, (z - centre[2]) / sz
    q = a * a + b * b + c * c
    return np.exp(-0.5 * q) if q < 18.0 else 0.0


@numba.njit(**_JIT)
def spots(x, y, z, share, small, large):
    """Soft round spots, at most one in each unit cube and in `share` of them, of radius small to large (at
    most 0.25): 0..1."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    if 0.5 + 0.5 * lattice(i, j, k) > share:
        return 0.0
    dx = x - i - 0.5 - 0.25 * lattice(i + 7, j, k)
    dy = y - j - 0.5 - 0.25 * lattice(i, j + 7, k)
    dz = z - k - 0.5 - 0.25 * lattice(i, j, k + 7)
    radius = small + (large - small) * (0.5 + 0.5 * lattice(i + 3, j + 5, k))
    return smoothstep(1.0, 0.55, np.sqrt(dx * dx + dy * dy + dz * dz) / radius)


@numba.njit(**_JIT)
def lip_mask(x, y, z, marks):
    """1 on the red of the lips, soft over about half a millimetre."""
    ax = abs(x)
    if ax > marks.mouth + 0.2 or z < marks.lip_front[-1] - 1.2 or abs(y - marks.lip_seam[0]) > 2.0:
        return 0.0
    t = ax / marks.mouth
    bow = 0.07 * np.exp(-(((ax - 0.5) / 0.3) ** 2)) - 0.07 * np.exp(-((ax / 0.22) ** 2))
    inside = min(interp(marks.lip_top, t) + bow - y, y - interp(marks.lip_bottom, t))
    return 1.0 / (1.0 + np.exp(-min(inside, 3.0 * (marks.mouth - ax) + 0.05) / 0.055))


@numba.njit(**_JIT)
def lid_edges(x, marks):
    """Heights of the open upper and lower lid edge at |x|, and whether x lies between the corners (0..1)."""
    first, last = marks.lid_span
    t = (x - first) / (last - first)
    between = smoothstep(-0.09, 0.0, t) * smoothstep(1.09, 1.0, t)
    return interp(marks.lid_upper, t), interp(marks.lid_lower, t), between


@numba.njit(**_JIT)
def brow_mask(x, y, z, marks, width, lift):
    """Where the hairs of a brow stand, 0..1; `lift` in head units raises its outer half most."""
    first, last = marks.brow_span
    t = (abs(x) - first) / (last - first)
    if t < -0.1 or t > 1.1 or z < 3.5:
        return 0.0
    centre = interp(marks.brow_line, t) - 0.22 + lift * (0.3 + t) - 0.35 * smoothstep(0.7, 1.1, t)
    half = 0.42 * width * (1.0 - 0.68 * max(t, 0.0) ** 1.4)
    ends = smoothstep(-0.08, 0.08, t) * smoothstep(1.08, 0.86, t)
    return ends * smoothstep(1.1, 0.45, abs(y - centre) / half)


@numba.njit(**_JIT)
def _valley(distance, width):
    return np.exp(-((distance / width) ** 2))


@numba.njit(**_JIT)
def wrinkles(x, y, z, marks):
    """Depth 0..1 of the lines that age draws."""
    if z < 2.0:
        # Rings of the neck.
        if y > -12.5 or z < -1.0:
            return 0.0
        ring = (y + 14.2 + 0.25 * noise3(x * 0.4, 0.3, z * 0.4)) / 2.2
        return 0.35 * _valley(ring - np.rint(ring), 0.12) * smoothstep(-12.5, -13.2, y)
    ax, out = abs(x), 0.0
    sway = 0.18 * noise3(x * 0.45, y * 0.7, 3.1) + 0.07 * noise3(x * 1.4, y * 1.4, 7.7)
    if y > 2.6 and ax < 5.0:  # the forehead
        row = (y + sway + 0.02 * ax * ax) / 0.85
        there = smoothstep(5.0, 2.5, ax) * smoothstep(2.6, 3.4, y) * smoothstep(8.0, 6.4, y)
        broken = smoothstep(-0.6, 0.2, noise3(x * 0.5 + 9.0, np.rint(row) * 3.0, 1.0))
        out = max(out, 0.8 * _valley(row - np.rint(row), 0.17) * there * broken)
    if ax < 1.3 and 0.6 < y < 3.4:  # between the brows
        there = smoothstep(0.6, 1.2, y) * smoothstep(3.4, 2.4, y)
        out = max(out, 0.8 * _valley(ax - 0.62 - 0.4 * sway - 0.06 * (y - 2.0), 0.11) * there)
    dx, dy = ax - marks.lid_span[1] - 0.1, y - interp(marks.lid_lower, 1.0)
    far = np.sqrt(dx * dx + dy * dy)
    if dx > 0 and far < 2.6:  # crow's feet
        fan = np.arctan2(dy, dx) * 3.4 + 0.6 * sway + 0.4
        there = smoothstep(0.25, 0.7, far) * smoothstep(2.5, 1.3, far)
        out = max(
            out, 0.8 * _valley(fan - np.rint(fan), 0.2) * there * smoothstep(1.1, 0.7, abs(dy / (dx + 0.3)))
        )
    if y < 0.2 and abs(ax - marks.eye[0]) < 2.2 and y > -3.0:  # below the eye
        _, lower, _ = lid_edges(ax, marks)
        drop = lower - y - 0.10 * (ax - marks.eye[0]) + 0.3 * sway
        there = smoothstep(2.1, 1.2, abs(ax - marks.eye[0] + 0.2))
        out = max(
            out,
            there
            * max(
                0.9 * _valley(drop - 0.45, 0.1),
                max(0.6 * _valley(drop - 0.8, 0.1), 0.8 * _valley(drop - 1.25, 0.16)),
            ),
        )
    # From the nose's wing round the mouth, and from the mouth's corner down.
    t = (marks.wing[1] + 0.5 - y) / (marks.wing[1] + 0.5 - marks.lip_seam[-1] + 1.0)
    if -0.1 < t < 1.15:
        line = marks.wing[0] + 0.15 + (marks.mouth + 0.95 - marks.wing[0]) * max(t, 0.0) ** 0.8
        there = smoothstep(-0.1, 0.1, t) * smoothstep(1.15, 0.75, t)
        out = max(out, 0.8 * there * _valley(ax - line - 0.3 * sway, 0.26))
    t = (marks.lip_seam[-1] - 0.1 - y) / 2.2
    if 0.0 < t < 1.0 and ax < 4.5:
        there = smoothstep(0.0, 0.2, t) * smoothstep(1.0, 0.5, t)
        out = max(out, 0.7 * there * _valley(ax - marks.mouth - 0.12 - 0.35 * t - 0.4 * sway, 0.1))
    above = y - interp(marks.lip_top, ax / marks.mouth)
    if 0.0 < above < 1.0 and ax < marks.mouth:  # upright ones over the lips
        fan = x * 2.6 + 0.8 * sway
        out = max(out, 0.25 * _valley(fan - np.rint(fan), 0.16) * smoothstep(1.0, 0.2, above))
    return out


@numba.njit(**_JIT)
def height(x, y, z, look, marks):
    """Relief of the skin of the head, head units outwards from the mesh: lines of age, pores, the lips'
    creases."""
    coarse = noise3(x * 7.0, y * 7.0, z * 7.0)
    fine = noise3(x * 17.0, y * 17.0, z * 17.0)
    out = look.pores * (0.0042 * coarse + 0.0032 * fine)
    if look.age > 0.02:
        out -= 0.06 * look.age * wrinkles(x, y, z, marks)
    lips = lip_mask(x, y, z, marks)
    if lips > 0.02:
        out *= 1 - 0.7 * lips
        line = noise3(x * 6.5 + 0.3 * noise3(x, y * 2.0, 0.0), y * 0.7, 0.0)
        out -= 0.012 * lips * max(line, 0.0) ** 2
    return out


@numba.njit(**_JIT)
def _flush(c, amount):
    """More blood in the skin: green and blue fall."""
    c[0] *= 1 + 0.03 * amount
    c[1] *= 1 - 0.16 * amount
    c[2] *= 1 - 0.13 * amount


@numba.njit(**_JIT)
def _darken(c, amount):
    """Shade in which light has passed through skin: redder than grey."""
    amount = min(amount, 1.6)
    c[0] *= 1 - 0.40 * amount
    c[1] *= 1 - 0.52 * amount
    c[2] *= 1 - 0.52 * amount


@numba.njit(**_JIT)
def _paint_lips(x, y, z, look, marks, c):
    """Paints the lips into c [3]; returns their mask and how far inside the mouth or deep between the
    lips the point lies, each 0..1."""
    lips = lip_mask(x, y, z, marks)
    t = abs(x) / marks.mouth
    behind = interp(marks.lip_front, t) - z
    seam = y - interp(marks.lip_seam, t)
    near = smoothstep(0.5, 0.2, abs(seam)) * smoothstep(1.03, 0.9, t)
    inner = smoothstep(0.12, 0.5, behind) * near if t < 1.1 else 0.0
    if lips <= 0.01 and inner <= 0.01:
        return 0.0, 0.0
    streak = 1 - 0.07 * max(noise3(x * 6.5, y * 0.7, 0.0), 0.0) + 0.05 * noise3(x * 2.0, y * 2.0, 4.0)
    part = np.exp(-((seam / 0.13) ** 2)) * (1 - inner)
    rim = smoothstep(0.95, 0.5, lips)
    for i in range(3):
        red = look.lips[i] * streak * (1 - 0.5 * part) * (0.94 if seam > 0 else 1.03)
        red += rim * 0.3 * (c[i] - red)
        c[i] += 0.92 * lips * (red - c[i])
        c[i] += inner * (MOUTH_RED[i] * (0.75 - 0.55 * smoothstep(0.3, 1.2, behind)) - c[i])
    return lips, max(inner, min(2.0 * part * lips, 1.0))


@numba.njit(**_JIT)
def _paint_eye(x, y, z, look, marks, c):
    """Lids, their moist margins, the line of the lashes, the corner's pink; returns how moist, 0..1."""
    ax = abs(x)
    if z < marks.eye[2] - 0.6 or y > 2.2 or y < -2.2 or abs(ax - marks.eye[0]) > 2.3:
        return 0.0
    upper, lower, between = lid_edges(ax, marks)
    # Shade of the socket, thin skin below the eye.
    socket = np.exp(-0.5 * (((ax - marks.eye[0] + 0.4) / 1.5) ** 2 + ((y - 0.75) / 0.5) ** 2))
    under = np.exp(-0.5 * (((ax - marks.eye[0] + 0.35) / 1.0) ** 2 + ((y - lower + 0.62) / 0.32) ** 2))
    _darken(c, 0.22 * socket + look.bags * under)
    _flush(c, 0.5 * under * look.redness + 0.25 * socket)
    rise, drop = y - upper, lower - y
    inside = min(-rise, -drop)  # inside the opening: margins that face the eye, and what lies behind them
    wet = between * smoothstep(-0.07, 0.0, inside)
    for i in range(3):
        pink = look.base[i] * (0.98, 0.74, 0.72)[i]
        c[i] += 0.75 * wet * (pink - c[i])
    corner = marks.lid_span[0] - 0.12
    tear = np.exp(-0.5 * (((ax - corner) / 0.13) ** 2 + ((y - 0.5 * (upper + lower)) / 0.16) ** 2))
    for i in range(3):
        c[i] += 0.85 * tear * ((0.78, 0.42, 0.40)[i] * (0.5 + 0.5 * look.base[0]) - c[i])
    lash = 0.8 * np.exp(-0.5 * ((rise - 0.02) / 0.055) ** 2) + 0.25 * np.exp(
        -0.5 * ((drop - 0.05) / 0.05) ** 2
    )
    lash *= between * look.lash
    wing = look.liner * between * smoothstep(0.42, 0.02, rise) if rise > 0 else 0.0
    shadow = look.liner * between * smoothstep(0.75, 0.3, rise) if rise > 0 else 0.0
    for i in range(3):
        c[i] += shadow * 0.5 * (look.eyeshadow[i] - c[i])
        c[i] *= (1 - min(lash, 0.9)) * (1 - 0.6 * wing)
    return max(wet, tear)


@numba.njit(**_JIT)
def _blemishes(x, y, z, look, marks, c):
    """Freckles over nose and cheeks, spots of age, moles."""
    ax = abs(x)
    if look.freckles > 0 and z > 3:
        where = 0.25 + 0.75 * np.exp(-0.5 * (((ax - 2.2) / 2.6) ** 2 + ((y + 2.4) / 1.8) ** 2))
        size = spots(x * 4.5, y * 4.5, z * 4.5, 0.75 * look.freckles * where, 0.10, 0.25)
        size = max(size, spots(x * 2.7 + 4, y * 2.7, z * 2.7, 0.35 * look.freckles * where, 0.08, 0.2))
        strength = 0.55 * size * where
        c[0] *= 1 - 0.22 * strength
        c[1] *= 1 - 0.36 * strength
        c[2] *= 1 - 0.46 * strength
    if look.spots > 0:
        dark = 0.5 * look.spots * spots(x * 1.1 + 3, y * 1.1, z * 1.1, 0.3 * look.spots, 0.1, 0.25)
        c[0] *= 1 - 0.24 * dark
        c[1] *= 1 - 0.36 * dark
        c[2] *= 1 - 0.44 * dark
    mole = spots(x * 0.55 + look.mole, y * 0.55, z * 0.55 - look.mole, 0.10, 0.035, 0.075)
    _darken(c, 0.8 * mole)


@numba.njit(**_JIT)
def _zones(x, y, z, look, marks, c):
    """Blood: cheeks, nose, ears, chin, knuckles of the face; shade: nostrils, folds, below the lip."""
    ax = abs(x)
    blotch = 0.75 + 0.5 * noise3(x * 0.9, y * 0.9, z * 0.9)
    red = 0.4 * bell(ax, y, z, marks.cheek, 1.7, 1.5, 2.5)
    red += 0.25 * bell(ax, y, z, marks.chin, 1.5, 1.0, 2.0)
    red += 0.75 * bell(ax, y, z, marks.nose_tip, 1.2, 0.9, 1.4) + 0.5 * bell(
        ax, y, z, marks.wing, 0.5, 0.6, 1.0
    )
    _flush(c, red * look.redness * blotch)
    ear = marks.ear
    if ax > ear[0] - 1.2 and abs(y - ear[1]) < 3.6 and abs(z - ear[2]) < 2.6:
        outer = smoothstep(ear[0] - 1.0, ear[0] + 0.3, ax)
        _flush(c, 0.8 * outer * (0.4 + 0.6 * look.redness))
        hollow = bell(ax, y, z, (ear[0] - 0.4, ear[1] - 0.1, ear[2] + 0.7), 0.35, 0.55, 0.4)
        _darken(c, 0.9 * hollow)
    if look.blush > 0:
        where = look.blush * bell(
            ax, y, z, (marks.cheek[0], marks.cheek[1] + 0.9, marks.cheek[2]), 1.5, 1.0, 2.5
        )
        for i in range(3):
            c[i] += 0.2 * where * ((0.86, 0.42, 0.42)[i] * (0.4 + 0.6 * look.base[0]) - c[i])
    n = marks.nostril
    hole = bell(ax, y, z, (n[0], n[1] + 0.05, n[2] + 0.1), 0.26, 0.2, 0.42)
    fold = 0.35 * bell(ax, y, z, (marks.wing[0] + 0.05, marks.wing[1], marks.wing[2] - 0.1), 0.14, 0.5, 0.4)
    sulcus = 0.14 * bell(ax, y, z, (0.0, marks.lip_bottom[0] - 0.25, marks.lip_front[0] - 0.4), 1.3, 0.2, 0.8)
    _darken(c, 1.5 * hole + fold + sulcus)


@numba.njit(**_JIT)
def _paint_beard(x, y, z, look, marks, grain, dots, c):
    """The shade of a shaved beard and the ground of a full one; returns how much the latter covers."""
    jaw, moustache, chin = beard_masks(x, y, z, marks)
    shave = look.shadow * max(jaw, moustache) * (0.65 + 0.35 * grain + 0.35 * dots)
    c[0] *= 1 - 0.26 * shave
    c[1] *= 1 - 0.21 * shave
    c[2] *= 1 - 0.15 * shave
    beard = max(look.beard * (chin if look.goatee > 0.5 else jaw), look.moustache * moustache)
    cover = smoothstep(0.1, 0.9, beard * (0.35 + 0.5 * grain + 0.5 * dots)) if beard > 0.02 else 0.0
    for i in range(3):
        c[i] += 0.85 * cover * (look.beard_colour[i] * (0.7 + 0.5 * grain) - c[i])
    return cover


@numba.njit(**_JIT)
def head_colour(x, y, z, look, marks, scalp, c):
    """Paints a head-local point into c [3], which holds the plain skin; `scalp` is the height above the
    hairline. Returns (roughness, specular)."""
    _zones(x, y, z, look, marks, c)
    _blemishes(x, y, z, look, marks, c)
    if look.age > 0.02:
        _darken(c, 0.16 * look.age * wrinkles(x, y, z, marks))
    cover, tint = 0.0, 0.0
    bearded = y < 0.0 and max(look.shadow, max(look.beard, look.moustache)) > 0
    rooted = y > -9.0 and scalp > -1.0
    if bearded or rooted:
        grain = 0.5 + 0.5 * noise3(x * 9.0, y * 5.0 + z * 3.0, z * 9.0)
        dots = spots(x * 8.0, y * 8.0, z * 8.0, 0.85, 0.12, 0.24)
        if bearded:
            cover = _paint_beard(x, y, z, look, marks, grain, dots, c)
        if rooted:
            line = scalp + 0.35 * noise3(x * 2.0, y * 2.0, z * 2.0)
            tint = min(look.scalp * smoothstep(-0.6, 0.9, line) * (0.55 + 0.3 * grain + 0.25 * dots), 0.95)
    brow = look.brow_density * brow_mask(x, y, z, marks, look.brow_width, look.brow_lift)
    if brow > 0:
        brow *= 0.6 + 0.3 * noise3(abs(x) * 3.0 + y * 2.4, (y - 0.55 * abs(x)) * 13.0, z * 1.5)
    for i in range(3):
        c[i] += tint * (look.scalp_colour[i] - c[i])
        c[i] += brow * (look.brows[i] - c[i])
    lips, inner = _paint_lips(x, y, z, look, marks, c)
    moist = _paint_eye(x, y, z, look, marks, c)
    oily = bell(abs(x), y, z, (0.0, 4.5, 9.5), 3.0, 1.8, 3.0) + bell(
        abs(x), y, z, marks.nose_tip, 1.0, 1.8, 2.0
    )
    rough = 0.50 - 0.09 * min(oily, 1.0) - 0.14 * lips * (1 - inner) - 0.3 * moist
    rough += 0.06 * noise3(x * 5.0, y * 5.0, z * 5.0)
    spec = (0.37 * look.shine + 0.1 * lips + 0.4 * moist) * (1 - inner) * (1 - 0.6 * max(cover, tint))
    spec *= 1 - min(1.0, 1.2 * bell(abs(x), y, z, marks.nostril, 0.3, 0.3, 0.5))
    return max(rough, 0.12), spec


@numba.njit(**_JIT)
def mottle(x, y, z, look, c):
    """Uneven melanin and blood over the whole body: colours c [3] in place."""
    brown = look.mottle * (
        0.05 * fbm(x * 0.3, y * 0.3, z * 0.3, 2) + 0.05 * fbm(x * 2.3, y * 2.3, z * 2.3, 2)
    )
    blood = look.redness * (
        0.35 * noise3(x * 0.5 + 9, y * 0.5, z * 0.5) + 0.38 * fbm(x * 3.1, y * 3.1, z * 3.1, 2)
    )
    c[0] *= 1 - 0.6 * brown
    c[1] *= 1 - 1.0 * brown
    c[2] *= 1 - 1.25 * brown
    _flush(c, 0.28 * look.mottle * blood)
