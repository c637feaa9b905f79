# SPDX-License-Identifier: GPL-3.0-or-later
"""Fabrics: colours, woven and printed patterns, logos, seams; evaluated per pixel in rest coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from .materials import Surface, hsv, luminance
from .noise import fbm, lattice, noise3, smoothstep
from .sites import Sites
from .tailoring import NO_CLOSURE, NO_POCKETS, details

PLAIN, BANDS, PINSTRIPE, CHECK, DOTS, BLOCKS, GRADIENT, CAMOUFLAGE, DIAGONAL, BLOSSOM, TARTAN = range(11)
SMOOTH, DENIM, KNIT, LEATHER, HEATHER = range(5)  # weaves
TOP, LEGS, SKIRT, OTHER = range(4)  # how cloth lies round the body
NO_MARK, DISC, RING, STAR, BAR, TRIANGLE, NUMBER, WORD, WAVES = range(9)  # what is printed on a chest
_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}
# Digits 0-9 on a 3 x 5 grid, rows from the top, most significant bit left.
_DIGITS = np.array([31599, 11415, 29671, 29647, 23497, 31183, 31215, 29257, 31727, 31695], np.int64)


class FabricLook(NamedTuple):
    """One fabric; colours are [3] float64 sRGB, lengths metres."""

    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    pattern: int
    weave: int
    lie: int
    period: float
    share: float  # of the period that the second colour takes
    phase: float
    sleeves_second: bool  # sleeves in the second colour
    mark: int
    mark_colour: np.ndarray
    mark_x: float
    mark_z: float
    mark_size: float
    mark_code: int  # digits or letters
    mark_back: bool
    closure: int  # see `tailoring`
    pockets: int
    pocket_z: float  # height of their middle
    thread: np.ndarray  # colour of stitches
    seams: float
    wear: float  # fading and stains
    crease: float  # painted depth of small folds
    top: float  # heights between which gradients and blocks run
    bottom: float


class Layout(NamedTuple):
    """Where sleeves and legs lie on the mean template; metres."""

    shoulder: np.ndarray
    arm: np.ndarray
    seam_x: float
    crotch: float
    leg: np.ndarray  # [3, 3] middle of the left leg at the crotch, knee and ankle


def layout(sites: Sites) -> Layout:
    """Sleeve and leg axes of the mean template."""
    hip, knee, ankle = sites.joint("thigh.L"), sites.joint("shin.L"), sites.joint("foot.L")
    crotch = float(hip[2] - 0.10 * sites.k)
    return Layout(
        sites.shoulder.astype(np.float64), sites.arm_axis.astype(np.float64),
        float(sites.shoulder[0] + 0.012),
        crotch, np.array([[hip[0], 0.0, crotch], knee, ankle], np.float64),
    )  # fmt: skip


@numba.njit(**_JIT)
def fabric_coordinates(x, y, z, lie, place):
    """(u, v, piece): metres round the limb, metres up, and which cut piece (0 trunk, 1 sleeve, 2 leg)."""
    if lie == TOP and abs(x) > place.seam_x:
        dx, dy, dz = abs(x) - place.shoulder[0], y - place.shoulder[1], z - place.shoulder[2]
        t = dx * place.arm[0] + dy * place.arm[1] + dz * place.arm[2]
        px, py, pz = dx - t * place.arm[0], dy - t * place.arm[1], dz - t * place.arm[2]
        turn = np.arctan2(py, px * -place.arm[2] + pz * place.arm[0])
        return turn * 0.065, place.shoulder[2] - t, 1
    if lie == LEGS and z < place.crotch:
        upper = 0 if z > place.leg[1, 2] else 1
        t = (z - place.leg[upper + 1, 2]) / (place.leg[upper, 2] - place.leg[upper + 1, 2])
        cx = place.leg[upper + 1, 0] + t * (place.leg[upper, 0] - place.leg[upper + 1, 0])
        cy = place.leg[upper + 1, 1] + t * (place.leg[upper, 1] - place.leg[upper + 1, 1])
        return np.arctan2(abs(x) - cx, cy - y) * 0.085, z, 2
    # Panels of a trunk: round the waist by the arc of an ellipse, flat over chest and shoulders.
    arc = np.arctan2(x / 0.16, abs(y + 0.035) / 0.105) * 0.16
    flat = smoothstep(place.shoulder[2] - 0.14, place.shoulder[2] - 0.05, z) if lie == TOP else 0.0
    return arc + flat * (x - arc), z, 0


@numba.njit(**_JIT)
def _edge(distance, softness=0.0012):
    """1 inside (distance < 0), 0 outside, soft over twice `softness` metres."""
    return smoothstep(softness, -softness, distance)


@numba.njit(**_JIT)
def _band(value, period, share, phase):
    """Soft stripes: 1 on `share` of every period."""
    t = (value / period + phase) % 1.0
    return _edge((abs(t - 0.5) - 0.5 * share) * period)


@numba.njit(**_JIT)
def pattern_mix(x, y, z, u, v, look):
    """(weight of the second colour, weight of the third over it)."""
    p, s, kind = look.period, look.share, look.pattern
    if kind == BANDS:
        return _band(v, p, s, look.phase), 0.0
    if kind == PINSTRIPE:
        return _band(u, p, s, look.phase), 0.0
    if kind == CHECK:
        a, b = _band(u, p, 0.5, look.phase), _band(v, p, 0.5, look.phase)
        return 0.5 * (a + b), 0.0
    if kind == TARTAN:
        a, b = _band(u, p, s, look.phase), _band(v, p, s, look.phase)
        fine = max(_band(u, p, 0.07, look.phase + 0.4), _band(v, p, 0.07, look.phase + 0.4))
        return 0.5 * (a + b), 0.7 * fine
    if kind == DOTS:
        row = np.floor(v / p)
        du = ((u / p + 0.5 * (row % 2)) % 1.0 - 0.5) * p
        dv = ((v / p) % 1.0 - 0.5) * p
        return _edge(np.sqrt(du * du + dv * dv) - 0.5 * s * p), 0.0
    if kind == BLOCKS:
        t = (v - look.bottom) / max(look.top - look.bottom, 0.05)
        return _edge((t - s) * 0.5), _edge((abs(t - s - 0.12) - 0.06) * 0.5)
    if kind == GRADIENT:
        return smoothstep(look.top, look.bottom, v), 0.0
    if kind == CAMOUFLAGE:
        q = 1.0 / p
        a = fbm(x * q + 3.0, y * q, z * q * 1.4 + look.phase * 20, 2)
        b = fbm(x * q - 9.0, y * q + 5.0, z * q * 1.4 + look.phase * 20, 2)
        return smoothstep(0.03, 0.09, a), smoothstep(0.15, 0.21, b)
    if kind == DIAGONAL:
        return _band(u + v, p, s, look.phase), 0.0
    if kind == BLOSSOM:
        iu, iv = np.floor(u / p), np.floor(v / p)
        code = int(iu) * 7 + 13 * int(look.phase * 97)
        du = u - (iu + 0.5 + 0.25 * lattice(code, int(iv), 1)) * p
        dv = v - (iv + 0.5 + 0.25 * lattice(code, int(iv), 2)) * p
        r = np.sqrt(du * du + dv * dv)
        petals = 0.5 * s * p * (1.0 + 0.35 * np.cos(5 * np.arctan2(dv, du) + 3 * lattice(code, int(iv), 3)))
        return _edge(r - petals), _edge(r - 0.16 * s * p)
    return 0.0, 0.0


@numba.njit(**_JIT)
def mark_mask(x, z, look):
    """Ink of the mark at chest coordinates."""
    a, b = (x - look.mark_x) / look.mark_size, (z - look.mark_z) / look.mark_size
    soft = 0.0012 / look.mark_size
    r = np.sqrt(a * a + b * b)
    if look.mark == DISC:
        return _edge(r - 0.5, soft)
    if look.mark == RING:
        return _edge(abs(r - 0.42) - 0.09, soft)
    if look.mark == STAR:
        turn = (np.arctan2(a, b) / (2 * np.pi) * 5) % 1.0
        return _edge(r - (0.5 - 0.56 * min(turn, 1 - turn)), soft)
    if look.mark == BAR:
        return _edge(max(abs(a) - 0.75, abs(b) - 0.22), soft)
    if look.mark == TRIANGLE:
        return _edge(max(-b - 0.3, 0.87 * abs(a) + 0.5 * b - 0.3), soft)
    if look.mark == WAVES:
        inside = _edge(max(abs(a) - 0.6, abs(b) - 0.45), soft)
        return inside * _edge(abs(((b + 0.12 * np.sin(9 * a)) * 5) % 1.0 - 0.5) - 0.27, 4 * soft)
    if look.mark == NUMBER:
        for place in range(2):
            column, row = (a - (0.36 if place else -0.36)) / 0.2 + 1.5, 2.5 - b / 0.2
            digit = look.mark_code % 10 if place else (look.mark_code // 10) % 10
            if 0 <= column < 3 and 0 <= row < 5:
                return float((_DIGITS[digit] >> (14 - 3 * int(row) - int(column))) & 1)
        return 0.0
    if look.mark == WORD:
        column, row = a / 0.055 + 14.0, 2.5 - b / 0.055
        if 0 <= column < 28 and 0 <= row < 5 and int(column) % 4 != 3:
            letter = look.mark_code + int(column) // 4
            return 1.0 if lattice(letter, int(row), int(column) % 4 if int(row) != 2 else 1) > -0.35 else 0.0
    return 0.0


@numba.njit(**_JIT)
def shade_fabric(points, look, place, albedo, roughness, specular):
    """Fill albedo [p, 3], roughness [p], specular [p] for rest points [p, 3]."""
    for n in range(len(points)):
        x, y, z = float(points[n, 0]), float(points[n, 1]), float(points[n, 2])
        u, v, piece = fabric_coordinates(x, y, z, look.lie, place)
        second, third = pattern_mix(x, y, z, u, v, look)
        if look.sleeves_second and piece == 1:
            second, third = 1.0 - second, 0.0
        ink = 0.0
        if look.mark != NO_MARK and piece == 0 and (y > -0.035) == look.mark_back:
            ink = mark_mask(-x if look.mark_back else x, z, look)
        # Small folds: dark where cloth runs in, along the limb on trunk and legs, round it on sleeves.
        fold = 1.3 * noise3(u * 16.0 + v * 7.0, v * 9.0 - u * 4.0, 2.7 + look.phase)
        light = 1.0 + look.crease * 0.06 * fold
        dark, thread, hard, metal = details(x, y, z, u, v, piece, look, place)
        rough, spec = 0.85, 0.12
        weave = 0.0
        if look.weave == DENIM:
            twill = (u * 700 + v * 420) % 1.0
            weave = (
                0.10 * smoothstep(0.0, 0.5, abs(twill - 0.5) * 2)
                - 0.05
                + 0.08 * noise3(u * 900, v * 130, 0.0)
            )
            worn = np.exp(-((u / 0.05) ** 2)) if piece == 2 else 0.0
            weave += look.wear * 0.35 * worn * (0.6 + 0.6 * noise3(u * 12, v * 4, 5.0))
        elif look.weave == KNIT:
            # Columns of stitches, each row a V.
            column = u / 0.0046
            wale = abs(column % 1.0 - 0.5) * 2
            row = (v / 0.0038 + 0.8 * wale) % 1.0
            weave = 0.16 * smoothstep(0.0, 0.5, abs(row - 0.5) * 2) - 0.12 * smoothstep(0.75, 1.0, wale)
            weave += 0.05 * noise3(u * 20, v * 20, 0.0) - 0.05
        elif look.weave == LEATHER:
            weave = 0.06 * noise3(x * 150, y * 150, z * 150) + 0.03 * noise3(x * 420, y * 420, z * 420)
            rough, spec = 0.42 + 0.08 * noise3(x * 60, y * 60, z * 60), 0.5
        elif look.weave == HEATHER:
            weave = 0.13 * noise3(u * 330, v * 190, 0.0) + 0.05 * noise3(u * 90, v * 40, 4.0)
        else:
            over = (np.floor(u / 0.0011) + np.floor(v / 0.0011)) % 2.0
            weave = 0.035 * over + 0.03 * noise3(u * 600, v * 600, 0.0) - 0.02
        weave += look.wear * 0.04 * noise3(x * 9, y * 9, z * 9)
        shade = light * (1.0 - 0.45 * dark)
        for i in range(3):
            c = look.first[i] + second * (look.second[i] - look.first[i])
            c += third * (look.third[i] - c)
            c += ink * (look.mark_colour[i] - c)
            c *= shade * (1.0 + weave)
            c += 0.75 * thread * (look.thread[i] - c)
            c += hard * (1 - dark) * ((0.62 if metal > 0 else 0.55 * look.third[i] + 0.25) - c)
            albedo[n, i] = min(max(c, 0.0), 1.0)
        if hard > 0.5:
            rough, spec = (0.3, 1.0) if metal > 0 else (0.35, 0.5)
        roughness[n] = rough
        specular[n] = spec


@dataclass(frozen=True)
class Fabric:
    """Cloth of one garment."""

    look: FabricLook
    place: Layout

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        p = np.ascontiguousarray(rest_points, np.float32)
        out = Surface.empty(len(p))
        shade_fabric(p, self.look, self.place, *out)
        return out


# Hue, saturation and value: navy, beige, brown, olive, wine, slate, rust, sand.
_CLOTHES = (
    (0.62, 0.55, 0.28), (0.10, 0.28, 0.78), (0.07, 0.45, 0.35), (0.19, 0.38, 0.36), (0.97, 0.6, 0.38),
    (0.58, 0.25, 0.45), (0.05, 0.6, 0.6), (0.11, 0.18, 0.88),
)  # fmt: skip


def palette(rng: np.random.Generator) -> list[np.ndarray]:
    """Six colours that go together: neutrals (black, white, greys, navy, beige, brown, olive) and one or two
    hues a fixed angle apart, seldom loud.
    """
    hue = rng.random()
    step = rng.choice([0.0, 0.08, 0.33, 0.5])
    colours = []
    for i in range(6):
        sort = rng.random()
        if sort < 0.36:
            value = rng.choice([0.07, 0.14, 0.26, 0.42, 0.62, 0.82, 0.93])
            colours.append(hsv(rng.choice([0.08, 0.6, hue]), rng.uniform(0, 0.12), value))
        elif sort < 0.6:
            hue_, saturation, value = _CLOTHES[rng.integers(len(_CLOTHES))]
            colours.append(hsv(hue_, saturation * rng.uniform(0.7, 1.2), value * rng.uniform(0.8, 1.15)))
        else:
            turn = hue + (step if i % 2 else 0.0) + rng.normal(0, 0.015)
            loud = rng.random() < 0.1
            saturation = rng.uniform(0.55, 0.85) if loud else rng.uniform(0.15, 0.55)
            colours.append(hsv(turn % 1.0, saturation, rng.uniform(0.2, 0.85)))
    return colours


def contrasting(colours: list[np.ndarray], to: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour of the palette that stands out from `to`, or white or black where none does."""
    far = [c for c in colours if abs(luminance(c) - luminance(to)) > 0.22]
    if far and rng.random() < 0.75:
        return far[rng.integers(len(far))]
    return np.full(3, 0.93 if luminance(to) < 0.5 else 0.08, np.float32)


_PATTERNS = {  # kind: (chance on a top, chance on legs, chance on a skirt, period range, share range)
    PLAIN: (0.36, 0.74, 0.40, (0.1, 0.1), (0.5, 0.5)),
    BANDS: (0.16, 0.01, 0.08, (0.02, 0.11), (0.25, 0.6)),
    PINSTRIPE: (0.06, 0.06, 0.08, (0.018, 0.06), (0.12, 0.5)),
    CHECK: (0.06, 0.03, 0.06, (0.025, 0.07), (0.5, 0.5)),
    TARTAN: (0.06, 0.02, 0.08, (0.05, 0.12), (0.3, 0.5)),
    DOTS: (0.05, 0.01, 0.08, (0.025, 0.07), (0.3, 0.65)),
    BLOCKS: (0.08, 0.02, 0.04, (0.1, 0.1), (0.3, 0.7)),
    GRADIENT: (0.04, 0.02, 0.06, (0.1, 0.1), (0.5, 0.5)),
    CAMOUFLAGE: (0.04, 0.06, 0.02, (0.05, 0.12), (0.5, 0.5)),
    DIAGONAL: (0.04, 0.0, 0.03, (0.025, 0.09), (0.3, 0.5)),
    BLOSSOM: (0.05, 0.03, 0.12, (0.04, 0.10), (0.4, 0.75)),
}


def sample_fabric(
    rng: np.random.Generator,
    sites: Sites,
    lie: int,
    colours: list[np.ndarray],
    top: float,
    bottom: float,
    weave: int | None = None,
    plain: bool = False,
    mark: bool = False,
    closure: int = NO_CLOSURE,
    pockets: int = NO_POCKETS,
    pocket_z: float = 0.0,
) -> Fabric:
    """A random fabric in the given colours for a garment between the heights `bottom` and `top` (mean
    template).
    """
    chances = np.array([row[min(lie, 2)] for row in _PATTERNS.values()])
    pattern = PLAIN if plain or lie == OTHER else int(rng.choice(len(chances), p=chances / chances.sum()))
    *_, periods, shares = _PATTERNS[pattern]
    first = colours[rng.integers(len(colours))]
    second = contrasting(colours, first, rng)
    third = contrasting(colours, second, rng)
    if weave is None:
        weave = int(rng.choice([SMOOTH, KNIT, HEATHER], p=[0.7, 0.12, 0.18]))
    if weave == DENIM:
        first = hsv(rng.uniform(0.57, 0.63), rng.uniform(0.2, 0.65), rng.uniform(0.18, 0.72))
        pattern = PLAIN
    printed = mark and rng.random() < (0.6 if pattern in (PLAIN, GRADIENT, BLOCKS) else 0.12)
    kind = int(rng.integers(DISC, WAVES + 1)) if printed else NO_MARK
    small = rng.random() < 0.3 and kind != WORD
    thread = np.array([0.72, 0.5, 0.24]) if weave == DENIM and rng.random() < 0.7 else 0.8 * first + 0.08
    chest = float(sites.joint("spine3")[2]) + 0.03 * sites.k
    return Fabric(
        FabricLook(
            first=first.astype(np.float64), second=second.astype(np.float64), third=third.astype(np.float64),
            pattern=pattern, weave=weave, lie=lie,
            period=float(rng.uniform(*periods)), share=float(rng.uniform(*shares)), phase=float(rng.random()),
            sleeves_second=bool(lie == TOP and rng.random() < 0.12),
            mark=kind, mark_colour=contrasting(colours, first, rng).astype(np.float64),
            mark_x=0.075 if small else 0.0, mark_z=chest + (0.04 if small else rng.uniform(-0.06, 0.02)),
            mark_size=float(rng.uniform(0.035, 0.06) if small else rng.uniform(0.11, 0.22)),
            mark_code=int(rng.integers(1, 99)), mark_back=bool(kind == NUMBER and rng.random() < 0.35),
            closure=closure, pockets=pockets, pocket_z=float(pocket_z), thread=thread.astype(np.float64),
            seams=float(rng.uniform(0.3, 1.0)),
            wear=float(rng.uniform(0, 1)), crease=float(rng.uniform(0.3, 1.1)),
            top=float(top), bottom=float(bottom),
        ),
        layout(sites),
    )  # fmt: skip
