# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair: a mass over the scalp, wide locks over it and strands on top, grown on the mean head and carried to a
person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from .cloth import BodyShape, Piece, shell
from .haircuts import FLOWS, TIE, Style, sample_style
from .locks import braid_mesh, bun_mesh, ribbons
from .materials import Surface, hsv
from .noise import fbm_points, noise3, smoothstep
from .sites import Sites, from_head_axes
from .strands import Head, grow, head, scalp_heights, tail_strands, volume_at

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}
UNDER = 0.82  # brightness of the locks beneath the strands
MASS = 0.74  # and of the mass beneath these


class HairLook(NamedTuple):
    """Colours [3] float64 sRGB and how they change."""

    root: np.ndarray
    tip: np.ndarray
    grey: float  # share of grey strands
    streaks: float
    shine: float
    flow: int  # index into `FLOWS`
    tone: float = 1.0  # brightness of the layer


@numba.njit(**_JIT)
def shade_strands(points, look, albedo, roughness, specular):
    """Fill from strand coordinates [p, 3]: across (metres, with an offset per ribbon), along 0..1, ribbon
    number.
    """
    for n in range(len(points)):
        u, t, ribbon = points[n, 0], points[n, 1], np.round(points[n, 2])
        fibre = noise3(u * 2600.0, t * 2.0, ribbon) + 0.6 * noise3(u * 900.0, t * 1.3, ribbon + 7.0)
        tone = 1.0 + look.streaks * (0.16 * noise3(ribbon * 1.37, 0.5, 0.5) + 0.16 * fibre)
        # Roots lie in shadow.
        tone *= look.tone * (0.70 + 0.34 * smoothstep(0.0, 0.3, t))
        grey = look.grey * smoothstep(
            -0.7, 0.7, noise3(u * 1100.0, 0.3, ribbon * 0.7) + 2.0 * look.grey - 1.0
        )
        for i in range(3):
            c = look.root[i] + t * (look.tip[i] - look.root[i])
            c += grey * ((0.72, 0.71, 0.69)[i] - c)
            albedo[n, i] = min(max(c * tone, 0.0), 1.0)
        roughness[n] = 0.36 + 0.08 * fibre
        specular[n] = look.shine * look.tone


@numba.njit(**_JIT)
def shade_mass(points, look, albedo, roughness, specular):
    """Fill from head-local rest points [p, 3]: fibres that run as the hair is combed."""
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        if look.flow == 4:
            turn = np.arctan2(x - TIE[0], y - TIE[1])
            fine = noise3(turn * 9.0, z * 0.15, 1.0) + 0.8 * noise3(turn * 30.0, z * 0.3, 4.0)
        elif look.flow == 2 and z > -6.0:
            fine = noise3(x * 2.0, z * 0.2, y * 0.2) + 0.8 * noise3(x * 7.0, z * 0.4, y * 0.4)
        elif look.flow == 1 and z > -1.0:
            fine = noise3(x * 0.2, y * 0.2, z * 2.5) + 0.8 * noise3(x * 0.5, y * 0.5, z * 8.0)
        else:
            turn = np.arctan2(x - 0.6, z + 4.5)
            fine = noise3(turn * 14.0, y * 0.3, 2.0) + 0.8 * noise3(turn * 45.0, y * 0.5, 5.0)
        tone = look.tone * (1.0 + 0.22 * look.streaks * fine)
        for i in range(3):
            c = look.root[i] + 0.3 * (look.tip[i] - look.root[i])
            c += look.grey * 0.7 * ((0.70, 0.69, 0.67)[i] - c)
            albedo[n, i] = min(max(c * tone, 0.0), 1.0)
        roughness[n] = 0.5
        specular[n] = 0.5 * look.shine


def _filled(kernel, points, look) -> Surface:
    p = np.ascontiguousarray(points, np.float32)
    out = Surface.empty(len(p))
    kernel(p, look, *out)
    return out


@dataclass(frozen=True)
class Strands:
    """Ribbons; their rest points are (across, along, number)."""

    look: HairLook

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        return _filled(shade_strands, rest_points, self.look)


@dataclass(frozen=True)
class Mass:
    """The mass of hair under the ribbons."""

    look: HairLook
    sites: Sites

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        return _filled(shade_mass, self.sites.head_local(rest_points), self.look)


def scalp_mass(
    shape: BodyShape, style: Style, look: HairLook, hairline: np.ndarray, seed: float, below: float
) -> Piece | None:
    """The mass of hair on the scalp, inside the strands' volume and thin at its ragged edge."""
    local = head().local
    rough = fbm_points((local * np.float32(1.6) + np.float32(seed)).astype(np.float32), 2)
    heights = scalp_heights(local, hairline)
    volume = volume_at(style, local, heights)
    heights = np.minimum(heights - 0.45 + 0.35 * rough, below + 0.3 - local[:, 1])
    heights = np.where(local[:, 1] > -9, heights, -5).astype(np.float32)
    bumps = fbm_points((local * np.float32(0.55) + np.float32(seed)).astype(np.float32), 3)
    share = max(0.66, style.start + 0.1)
    unit = shape.sites.head_scale
    offset = unit * (0.05 + share * volume * (1 + style.rough * bumps))
    piece = shell(
        shape, heights * unit, offset.astype(np.float32), [Mass(look, shape.sites)],
        rounds=3, fine=style.rough > 0, hem_depth=0.002, tight=0.8, hold=1.0,
    )  # fmt: skip
    if piece is None:
        return None
    piece.weights[:] = 0
    piece.weights[:, shape.sites.template.joint_names.index("head")] = 1
    return piece


def make_hair(
    rng: np.random.Generator,
    shape: BodyShape,
    style: Style,
    look: HairLook,
    hairline: np.ndarray,
    roots_below: float | None,
    cloth: np.ndarray,
) -> list[Piece]:
    """All hair of a person. `roots_below`: under a hat only strands that start lower than this (head
    units) stay; `cloth` [Nv]: metres that clothes stand off the skin, on which long hair lies.
    """
    scalp = head().dressed(cloth / shape.sites.head_scale)
    seed, part = float(rng.uniform(0, 50)), float(rng.choice([-2.6, 0.0, 2.6]) + rng.normal(0, 0.3))
    look = look._replace(flow=FLOWS.index(style.flow))
    below = np.inf if roots_below is None else roots_below
    pieces = []
    if style.volume > 0:
        piece = scalp_mass(shape, style, look._replace(tone=MASS), hairline, seed, below)
        pieces += [piece] if piece else []
    share = 1.0 if roots_below is None else 0.55
    for count, layer, width, tone in (
        (style.locks, 0.8, 1.9, UNDER),
        (style.strands, 1.0, style.width, 1.0),
    ):
        if count:
            strands = grow(rng, scalp, style, int(share * count), hairline, part, below, layer)
            pieces.append(_ribbons(rng, shape, scalp, strands, width, look._replace(tone=tone)))
    return pieces + _tied(rng, shape, scalp, style, look, seed)


def _tied(rng, shape: BodyShape, scalp: Head, style: Style, look: HairLook, seed: float) -> list[Piece]:
    """What hangs or sits where hair is tied."""
    pieces = []
    if style.tail:
        length = style.tail * rng.uniform(0.7, 1.2)
        for count, width, tone, thick in ((40, 1.5, UNDER, 0.75), (190, 0.36, 1.0, 1.0)):
            tail = tail_strands(rng, scalp, length, count, thick=thick)
            pieces.append(_ribbons(rng, shape, scalp, tail, width, look._replace(tone=tone)))
    if style.braids:
        path = tail_strands(rng, scalp, 30.0 * rng.uniform(0.8, 1.2), 1, 72, thick=0.0)[0]
        path[:, 2] -= 0.6
        vertices, faces, coordinate = braid_mesh(path, 1.9)
        coordinate[:, 0] *= shape.sites.head_scale
        rest = shape.sites.from_head_local(vertices).astype(np.float32)
        pieces.append(_on_head(shape, rest, coordinate, faces, Strands(look)))
    if style.bun:
        centre = TIE + np.array([0, rng.uniform(-1, 5), -1.2])
        vertices, faces = bun_mesh(centre, style.bun * rng.uniform(0.8, 1.2), seed)
        rest = shape.sites.from_head_local(vertices).astype(np.float32)
        mass = Mass(look._replace(flow=0, tone=0.85), shape.sites)
        pieces.append(_on_head(shape, rest, rest, faces, mass))
    return pieces


def _hung(shape: BodyShape, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rest points [p, 3] on the person [p, 3], their skin weights [p, J] and the skin below each [p, 3].

    Hair moves with the head; what hangs below the chin is taken along by neck and chest more and more.
    """
    names = shape.sites.template.joint_names
    places, below = shape.carry_with_skin(rest)
    down = np.clip((-9 - shape.sites.head_local(rest)[:, 1]) / 16, 0, 0.8).astype(np.float32)
    low = np.flatnonzero(down)
    weights = np.zeros((len(rest), len(names)), np.float32)
    if len(low):
        weights[low] = down[low, None] * shape.weights_near(rest[low])
    weights[:, names.index("head")] += 1 - down
    return places, weights, below


def _ribbons(rng, shape: BodyShape, scalp: Head, strands, width: float, look: HairLook) -> Piece:
    n, m = strands.shape[:2]
    _, out = scalp.clearance(strands.reshape(-1, 3))
    outward = from_head_axes(out).reshape(strands.shape)
    rest = shape.sites.from_head_local(strands.reshape(-1, 3)).astype(np.float32)
    places, weights, below = _hung(shape, rest)
    vertices, faces, coordinate = ribbons(
        rng, places.reshape(n, m, 3), outward, width * shape.sites.head_scale, ridge=width > 1
    )
    each = np.repeat(np.arange(n * m), len(vertices) // (n * m))
    return Piece(
        vertices.astype(np.float32), faces, below[each], coordinate, weights[each],
        np.zeros(len(faces), np.uint8), [Strands(look)],
    )  # fmt: skip


def _on_head(shape: BodyShape, rest, coordinate, faces, material) -> Piece:
    places, weights, below = _hung(shape, rest)
    return Piece(places, faces, below, coordinate, weights, np.zeros(len(faces), np.uint8), [material])


_NATURAL = (  # sRGB, chance
    ((0.055, 0.045, 0.045), 0.30), ((0.11, 0.075, 0.055), 0.22), ((0.20, 0.13, 0.085), 0.16),
    ((0.33, 0.22, 0.14), 0.10),
    ((0.58, 0.44, 0.27), 0.08), ((0.78, 0.66, 0.45), 0.06), ((0.45, 0.20, 0.10), 0.04),
)  # fmt: skip


def sample_hair(
    rng: np.random.Generator, masculine: float, age: float, place: float
) -> tuple[Style, HairLook]:
    """Random cut and colour. age: 0 at eighteen to 1 at eighty years; place: of the skin on the Monk scale,
    0..9: light hair goes with light skin unless it is dyed.
    """
    chance = np.array([c for _, c in _NATURAL])
    chance[3:] *= np.clip(1.5 - place / 3, 0.03, 1)
    colour = np.array(_NATURAL[rng.choice(len(_NATURAL), p=chance / chance.sum())][0])
    colour = np.clip(colour * rng.uniform(0.8, 1.25) + rng.normal(0, 0.008, 3), 0.02, 0.95)
    grey = float(np.clip((age - 0.5) * 2.2 + rng.normal(0, 0.2), 0, 1))
    dyed = rng.random() < 0.06
    root = (
        hsv(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.8)).astype(np.float64) if dyed else colour
    )
    lighter = rng.uniform(1.0, 1.45) if rng.random() < 0.7 else rng.uniform(1.4, 2.2)
    look = HairLook(
        root=root.astype(np.float64), tip=np.clip(root * lighter, 0, 0.95).astype(np.float64),
        grey=0.0 if dyed else grey,
        streaks=float(rng.uniform(0.5, 1.2)), shine=float(rng.uniform(0.45, 0.85)), flow=0,
    )  # fmt: skip
    return sample_style(rng, masculine, place), look
