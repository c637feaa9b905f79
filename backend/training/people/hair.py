# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair: a shell over the scalp and ribbons of strands over the shell, grown on the mean head and carried
to a person's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numba
import numpy as np

from .cloth import BodyShape, Piece, shell
from .materials import Surface, hsv
from .noise import fbm_points, noise3, smoothstep
from .sites import Sites
from .strands import STYLES, TIE, Style, bun_mesh, grow, head, ribbons, scalp_heights, tail_strands

_JIT = {"cache": True, "nogil": True}


class HairLook(NamedTuple):
    """Colours [3] float64 sRGB and how they change."""

    root: np.ndarray
    tip: np.ndarray
    grey: float  # share of grey strands
    streaks: float
    shine: float
    sideways: bool  # combed from a parting rather than from the crown


@numba.njit(**_JIT)
def shade_strands(points, look, albedo, roughness, specular):
    """Fill from strand coordinates [p, 3]: across (metres, with an offset per ribbon), along 0..1, ribbon
    number.
    """
    for n in range(len(points)):
        u, t, ribbon = points[n, 0], points[n, 1], np.round(points[n, 2])
        fibre = noise3(u * 2600.0, t * 2.0, ribbon)
        tone = 1.0 + look.streaks * (0.35 * noise3(ribbon * 1.37, 0.5, 0.5) + 0.30 * fibre)
        # Roots lie in shadow, middles catch the light.
        tone *= 0.62 + 0.45 * smoothstep(0.0, 0.35, t)
        grey = look.grey * smoothstep(
            -0.2, 0.3, noise3(u * 1500.0, 0.3, ribbon * 0.7) + 2.0 * look.grey - 1.0
        )
        for i in range(3):
            c = look.root[i] + t * (look.tip[i] - look.root[i])
            c += grey * ((0.72, 0.71, 0.69)[i] - c)
            albedo[n, i] = min(max(c * tone, 0.0), 1.0)
        roughness[n] = 0.42
        specular[n] = look.shine


@numba.njit(**_JIT)
def shade_shell(points, look, albedo, roughness, specular):
    """Fill from head-local rest points [p, 3]: locks that run from the whorl."""
    for n in range(len(points)):
        x, y, z = points[n, 0] - 0.6, points[n, 1], points[n, 2] + 4.5
        azimuth = np.arctan2(x, z)
        if look.sideways and z > -1.0:
            fine = noise3(x * 0.4, y * 0.4, z * 7.0) + 0.6 * noise3(x * 1.1, y * 1.1, z * 13.0)
        else:
            fine = noise3(azimuth * 22.0, y * 0.5, 2.0) + 0.6 * noise3(azimuth * 45.0, y, 5.0)
        tone = 0.72 + 0.22 * look.streaks * fine
        for i in range(3):
            c = look.root[i] + 0.3 * (look.tip[i] - look.root[i])
            c += look.grey * 0.6 * ((0.70, 0.69, 0.67)[i] - c)
            albedo[n, i] = min(max(c * tone, 0.0), 1.0)
        roughness[n] = 0.6
        specular[n] = 0.5 * look.shine


def _filled(kernel, points, look) -> Surface:
    p = np.ascontiguousarray(points, np.float32)
    out = Surface(
        np.empty((len(p), 3), np.float32), np.empty(len(p), np.float32), np.empty(len(p), np.float32)
    )
    kernel(p, look, *out)
    return out


@dataclass(frozen=True)
class Strands:
    """Ribbons; their rest points are (across, along, number)."""

    look: HairLook

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        return _filled(shade_strands, rest_points, self.look)


@dataclass(frozen=True)
class Shell:
    """The mass of hair under the ribbons."""

    look: HairLook
    sites: Sites

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        return _filled(shade_shell, self.sites.head_local(rest_points), self.look)


def _head_weights(shape: BodyShape, local: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Hair moves with the head; what hangs below the chin is taken along by neck and chest more and more."""
    names = list(shape.sites.template.joint_names)
    down = np.clip((-9 - local[:, 1]) / 16, 0, 0.75)[:, None].astype(np.float32)
    weights = down * shape.weights_near(rest)
    weights[:, names.index("head")] += 1 - down[:, 0]
    return weights


def scalp_shell(
    shape: BodyShape, style: Style, look: HairLook, hairline: np.ndarray, seed: float, below: float
) -> Piece | None:
    """The mass of hair on the scalp, thin at the hairline."""
    heights = scalp_heights(head().local, hairline)
    heights = np.minimum(heights, below + 1.0 - head().local[:, 1])
    heights = np.where(head().local[:, 1] > -9, heights, -5).astype(np.float32)
    unit = shape.sites.head_scale
    rise = np.clip(heights / 2.2, 0, 1) ** 0.7
    bumps = fbm_points((head().local * np.float32(0.55) + np.float32(seed)).astype(np.float32), 3)
    thickness = style.thickness * (0.55 if style.ribbons else 1.0)
    offset = unit * (0.06 + thickness * rise * (1 + 0.5 * style.rough * bumps))
    piece = shell(
        shape, heights * unit, offset.astype(np.float32), [Shell(look, shape.sites)],
        rounds=2, fine=False, hem_depth=0.002, tight=0.9,
    )  # fmt: skip
    if piece is None:
        return None
    names = list(shape.sites.template.joint_names)
    piece.weights[:] = 0
    piece.weights[:, names.index("head")] = 1
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
    sites = shape.sites
    scalp = head().dressed(cloth / sites.head_scale)
    seed, part = float(rng.uniform(0, 50)), float(rng.choice([-2.6, 0.0, 2.6]) + rng.normal(0, 0.3))
    pieces = []
    below = np.inf if roots_below is None else roots_below
    if style.thickness > 0:
        piece = scalp_shell(shape, style, look, hairline, seed, below)
        pieces += [piece] if piece else []
    if style.ribbons:
        count = style.ribbons if roots_below is None else int(0.55 * style.ribbons)
        strands = grow(rng, scalp, replace(style, ribbons=count), hairline, part, below)
        if style.tail:
            pieces.append(_ribbon_piece(rng, shape, tail_strands(rng, scalp, style.tail), 0.6, look))
        if len(strands):
            pieces.append(_ribbon_piece(rng, shape, strands, style.width, look))
    if style.bun:
        vertices, faces = bun_mesh(
            TIE + np.array([0, rng.uniform(-1, 5), -1.2]), style.bun * rng.uniform(0.8, 1.2), seed
        )
        rest = sites.from_head_local(vertices).astype(np.float32)
        pieces.append(_on_head(shape, rest, rest, faces, vertices, Shell(look, sites)))
    return pieces


def _ribbon_piece(rng, shape: BodyShape, strands: np.ndarray, width: float, look: HairLook) -> Piece:
    _, outward = head().clearance(strands.reshape(-1, 3))
    vertices, faces, coordinate = ribbons(strands, outward.reshape(strands.shape), width, rng)
    rest = shape.sites.from_head_local(vertices).astype(np.float32)
    return _on_head(shape, rest, coordinate, faces, vertices, Strands(look))


def _on_head(shape: BodyShape, rest, coordinate, faces, local, material) -> Piece:
    return Piece(
        vertices=shape.carry(rest),
        faces=faces,
        template_points=shape.below(rest),
        rest_points=coordinate,
        weights=_head_weights(shape, local, rest),
        material=np.zeros(len(faces), np.uint8),
        materials=[material],
    )


_NATURAL = (  # sRGB, chance
    ((0.055, 0.045, 0.045), 0.30), ((0.11, 0.075, 0.055), 0.22), ((0.20, 0.13, 0.085), 0.16),
    ((0.33, 0.22, 0.14), 0.10),
    ((0.58, 0.44, 0.27), 0.08), ((0.78, 0.66, 0.45), 0.06), ((0.45, 0.20, 0.10), 0.04),
)  # fmt: skip


def sample_hair(
    rng: np.random.Generator, masculine: float, age: float, place: float
) -> tuple[Style, HairLook, np.ndarray]:
    """Random cut and colour; also the colour [3] that brows and beard share. `place` of the skin on the Monk
    scale, 0..9: light hair goes with light skin unless it is dyed.
    """
    chance = np.array([c for _, c in _NATURAL])
    chance[3:] *= np.clip(1.5 - place / 3, 0.03, 1)
    colour = np.array(_NATURAL[rng.choice(len(_NATURAL), p=chance / chance.sum())][0])
    colour = np.clip(colour * rng.uniform(0.8, 1.25) + rng.normal(0, 0.008, 3), 0.02, 0.95)
    grey = float(np.clip((age - 0.5) * 2.2 + rng.normal(0, 0.2), 0, 1))
    natural = colour * (1 - grey) + 0.66 * grey
    dyed = rng.random() < 0.06
    root = (
        hsv(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.8)).astype(np.float64) if dyed else colour
    )
    lighter = rng.uniform(1.0, 1.45) if rng.random() < 0.7 else rng.uniform(1.4, 2.2)
    look = HairLook(
        root=root.astype(np.float64), tip=np.clip(root * lighter, 0, 0.95).astype(np.float64),
        grey=0.0 if dyed else grey,
        streaks=float(rng.uniform(0.5, 1.2)), shine=float(rng.uniform(0.3, 0.6)), sideways=False,
    )  # fmt: skip
    names = list(STYLES)
    male = {
        "bald": 9,
        "cropped": 14,
        "crew": 16,
        "short": 22,
        "swept": 12,
        "messy": 9,
        "bowl": 3,
        "bob": 2,
        "long": 2,
        "wavy": 2,
        "curly": 7,
        "afro": 3,
        "bun": 3,
        "tail": 2,
    }
    female = {
        "bald": 1,
        "cropped": 3,
        "crew": 1,
        "short": 5,
        "swept": 4,
        "messy": 3,
        "bowl": 4,
        "bob": 16,
        "long": 18,
        "wavy": 15,
        "curly": 9,
        "afro": 6,
        "bun": 10,
        "tail": 12,
    }
    weight = np.array([masculine * male[n] + (1 - masculine) * female[n] for n in names], float)
    weight[names.index("afro")] *= np.clip((place - 3.5) / 2, 0, 2)
    style = STYLES[names[rng.choice(len(names), p=weight / weight.sum())]]
    return style, look._replace(sideways=style.flow == "part"), natural
