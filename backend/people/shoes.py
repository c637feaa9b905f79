# SPDX-License-Identifier: GPL-3.0-or-later
"""Shoes: small implicit shapes round the mean template's foot, meshed once per kind and process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np

from .cloth import BodyShape, Piece
from .distances import chain, ellipsoid, smooth_max, smooth_min
from .materials import Surface, hsv
from .noise import noise3, smoothstep
from .sites import Sites, load_sites

KINDS = ("sneaker", "loafer", "ankle boot", "tall boot")
OPENING = {
    "sneaker": 9.5,
    "loafer": 7.4,
    "ankle boot": 15.0,
    "tall boot": 30.0,
}  # height of the upper edge, cm
TOES_OUT = np.deg2rad(7.0)
_JIT = {"cache": True, "nogil": True}


class ShoeLook(NamedTuple):
    """Colours [3] float64 sRGB and the lines between them (foot centimetres)."""

    upper: np.ndarray
    sole: np.ndarray
    accent: np.ndarray
    sole_height: float
    laces: bool
    stripe: int  # 0 none, 1 bars on the side, 2 a swoop, 3 toe cap
    leather: bool


def foot_axes(sites: Sites) -> tuple[np.ndarray, float]:
    """Left ankle on the ground [3] and metres per foot centimetre of the mean template."""
    ankle = sites.joint("foot.L")
    return np.array([ankle[0], ankle[1], 0.0]), 0.0095


def to_foot(points: np.ndarray, sites: Sites) -> np.ndarray:
    """Points [p, 3] -> foot centimetres (x outwards, y up, z towards the toes), both feet alike."""
    origin, scale = foot_axes(sites)
    d = np.stack([np.abs(points[:, 0]), points[:, 1], points[:, 2]], 1) - origin
    x, y, z = d[:, 0] / scale, d[:, 2] / scale, -d[:, 1] / scale
    c, s = np.cos(TOES_OUT), np.sin(TOES_OUT)
    return np.stack([x * c - z * s, y, x * s + z * c], 1).astype(np.float32)


def from_foot(points: np.ndarray, sites: Sites) -> np.ndarray:
    """The inverse of `to_foot` for the left foot."""
    origin, scale = foot_axes(sites)
    c, s = np.cos(TOES_OUT), np.sin(TOES_OUT)
    x, z = points[:, 0] * c + points[:, 2] * s, -points[:, 0] * s + points[:, 2] * c
    return np.stack([x, -z, points[:, 1]], 1) * scale + origin


def distance(kind: str, q: np.ndarray) -> np.ndarray:
    """Signed distance [p] of a shoe in foot centimetres."""
    f = ellipsoid(q, (0, 3.6, -2.2), (3.8, 4.6, 4.2))
    f = smooth_min(
        f,
        chain(
            q,
            [(0, 6.3, -0.8), (0.1, 5.4, 4.0), (-0.3, 3.8, 9.0), (-0.2, 2.7, 14.5)],
            np.array([4.2, 3.9, 3.8, 3.1]),
        ),
        2.5,
    )
    toe = 2.9 if kind != "loafer" else 2.5
    f = smooth_min(f, ellipsoid(q, (0.5, 2.1, 13.0), (5.1, toe, 7.3)), 2.0)
    f = smooth_min(
        f, chain(q, [(0, 1.5, -2.5), (1.2, 1.5, 6), (0.8, 1.5, 13)], np.array([3.8, 4.2, 4.6])), 1.2
    )
    top = OPENING[kind]
    if kind == "tall boot":  # round the calf
        shaft = [(0, 6.5, -0.6), (0, 18, 0.1), (0, top + 3, 0.25)]
        f = smooth_min(f, chain(q, shaft, np.array([4.7, 5.0, 7.0])), 1.5)
    elif kind != "loafer":
        radii = {"sneaker": (4.7, 5.0), "ankle boot": (4.6, 4.9)}[kind]
        f = smooth_min(f, chain(q, [(0, 6.5, -0.6), (0.2, top + 3, -1.2)], np.array(radii)), 1.5)
    if kind == "sneaker":  # a rubber sole that stands out
        f = smooth_min(f, smooth_max(f - 0.45, q[:, 1] - 2.0, 0.3), 0.15)
    else:
        f = smooth_min(f, smooth_max(f - 0.25, q[:, 1] - 0.9, 0.2), 0.1)
    f = smooth_max(f, -(q[:, 1] + 0.9), 0.4)
    slope = 0.12 if kind in ("sneaker", "loafer") else 0.05
    return smooth_max(f, q[:, 1] - top - slope * np.maximum(-q[:, 2], 0), 0.3)


@lru_cache(maxsize=len(KINDS))
def mesh(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Left shoe in foot centimetres: vertices [n, 3], faces [f, 3], outside outwards."""
    from skimage.measure import marching_cubes

    step = np.array([0.75, 0.55, 0.95]) if kind != "tall boot" else np.array([0.95, 1.0, 1.1])
    low, high = np.array([-7.0, -2.0, -9.0]), np.array([8.0, OPENING[kind] + 2.0, 23.0])
    axes = [np.arange(a, b, s) for a, b, s in zip(low, high, step, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    volume = distance(kind, grid.reshape(-1, 3).astype(np.float32)).reshape(grid.shape[:3])
    vertices, faces, _, _ = marching_cubes(volume, 0.0)
    vertices = vertices * step + low
    centre = vertices[faces].mean(1)
    flat = np.cross(
        vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]]
    )
    if (flat * (centre - vertices.mean(0))).sum() < 0:
        faces = faces[:, ::-1]
    return vertices.astype(np.float32), faces.astype(np.int32)


@numba.njit(**_JIT)
def shade_shoe(q, look, albedo, roughness, specular):
    """Fill from foot centimetres q [p, 3]."""
    for n in range(len(q)):
        x, y, z = q[n, 0], q[n, 1], q[n, 2]
        sole = smoothstep(look.sole_height + 0.15, look.sole_height - 0.05, y)
        grain = 1 + 0.05 * noise3(x * 6, y * 6, z * 6) + 0.05 * noise3(x, y, z)
        accent = 0.0
        if look.stripe == 1 and abs(x) > 1.5:
            accent = (
                1.0 if (1.0 < z < 8.0 and y > look.sole_height and ((z + 0.4 * y) / 1.4) % 1.0 < 0.5) else 0.0
            )
        elif look.stripe == 2 and abs(x) > 1.5:
            accent = (
                smoothstep(0.75, 0.6, abs(y - 3.0 - 0.035 * (z - 6.0) ** 2) / 1.0) if -3 < z < 11 else 0.0
            )
        elif look.stripe == 3:
            accent = smoothstep(13.8, 14.2, z)
        lace = 0.0
        if look.laces and abs(x) < 1.5 and 2.5 < z < 11.0 and y > 4.0:
            lace = 1.0 if abs(((z + 0.35 * abs(x)) / 1.25) % 1.0 - 0.5) < 0.2 else 0.0
            grain *= 0.88
        line = 0.25 * smoothstep(0.12, 0.02, abs(y - look.sole_height - 0.15))
        for i in range(3):
            c = look.upper[i] + accent * (look.accent[i] - look.upper[i])
            c += lace * (0.6 * look.sole[i] + 0.4 * look.accent[i] - c)
            c += sole * (look.sole[i] * (0.72 if y < 0 else 1.0) - c)
            albedo[n, i] = min(max(c * grain * (1 - line), 0.0), 1.0)
        roughness[n] = 0.35 if (look.leather and sole < 0.5) else 0.75
        specular[n] = 0.5 if look.leather else 0.15


@dataclass(frozen=True)
class ShoeMaterial:
    """Upper, sole, laces and trim of a pair."""

    look: ShoeLook
    sites: Sites

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        q = to_foot(np.asarray(rest_points, np.float32), self.sites)
        out = Surface(
            np.empty((len(q), 3), np.float32), np.empty(len(q), np.float32), np.empty(len(q), np.float32)
        )
        shade_shoe(q, self.look, *out)
        return out


def sample_look(rng: np.random.Generator, kind: str, colours: list[np.ndarray]) -> ShoeLook:
    """Random colours: sneakers of any colour, the rest mostly black and brown."""
    leather = kind != "sneaker"
    if leather:
        upper = hsv(rng.uniform(0.03, 0.09), rng.uniform(0.2, 0.65), rng.choice([0.08, 0.15, 0.3, 0.45, 0.6]))
        sole = upper * 0.5
    else:
        upper = [np.full(3, 0.93), np.full(3, 0.1), colours[rng.integers(len(colours))], np.full(3, 0.5)][
            rng.integers(4)
        ]
        sole = np.full(3, rng.choice([0.92, 0.88, 0.15, 0.7]))
    return ShoeLook(
        upper=np.asarray(upper, np.float64), sole=np.asarray(sole, np.float64),
        accent=np.asarray(colours[rng.integers(len(colours))], np.float64),
        sole_height=1.5 if kind == "sneaker" else 0.4,
        laces=bool(kind != "loafer" and kind != "tall boot" and rng.random() < 0.8),
        stripe=int(rng.integers(0, 4)) if kind == "sneaker" else 0, leather=bool(leather),
    )  # fmt: skip


@lru_cache(maxsize=len(KINDS))
def _pair(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both shoes on the mean template: rest vertices [n, 3], faces [f, 3], skin points below [n, 3],
    weights [n, J].
    """
    sites = load_sites()
    vertices, faces = mesh(kind)
    left = from_foot(vertices, sites)
    rest = np.concatenate([left, left * np.array([-1, 1, 1])]).astype(np.float32)
    # Mirroring turns triangles inside out.
    faces = np.concatenate([faces, faces[:, ::-1] + len(left)]).astype(np.int32)
    mean = BodyShape.of(sites.template.vertices, sites)
    return rest, faces, mean.below(rest), mean.weights_near(rest, 12)


def make_shoes(shape: BodyShape, kind: str, look: ShoeLook) -> Piece:
    """A pair of shoes on a person."""
    rest, faces, below, weights = _pair(kind)
    return Piece(
        vertices=shape.carry(rest, 12),
        faces=faces,
        template_points=below,
        rest_points=rest,
        weights=weights,
        material=np.zeros(len(faces), np.uint8),
        materials=[ShoeMaterial(look, shape.sites)],
    )
