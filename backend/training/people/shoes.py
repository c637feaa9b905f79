# SPDX-License-Identifier: GPL-3.0-or-later
"""Shoes: grown from the mean template's foot, meshed once per kind and process, and fitted to a person's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from scipy import ndimage

from .cloth import BodyShape, Piece
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
SOLE = {"sneaker": 1.6, "loafer": 1.0, "ankle boot": 1.5, "tall boot": 1.4}  # thickness, cm
VOXEL = 0.42
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


def _voxels(points: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Cells of a grid inside the surface that points [p, 3] lie on densely, filled level by level."""
    grid = np.zeros([len(a) for a in axes], bool)
    index = [np.rint((points[:, i] - axes[i][0]) / VOXEL).astype(int) for i in range(3)]
    within = np.all([(i >= 0) & (i < n) for i, n in zip(index, grid.shape, strict=True)], 0)
    grid[tuple(i[within] for i in index)] = True
    grid = ndimage.binary_closing(grid)
    for level in range(grid.shape[1]):
        grid[:, level] = ndimage.binary_fill_holes(grid[:, level])
    return grid


def _outside(grid: np.ndarray) -> np.ndarray:
    """Signed distance from the boundary of filled cells, foot centimetres."""
    return VOXEL * (ndimage.distance_transform_edt(~grid) - ndimage.distance_transform_edt(grid))


def foot_points(sites: Sites, top: float) -> np.ndarray:
    """Points [p, 3] all over the skin of the left foot and shin up to `top` foot centimetres."""
    v = sites.template.vertices
    corners = v[sites.skin_faces]
    low = (corners[..., 2].max(1) < foot_axes(sites)[1] * (top + 3)) & (corners[..., 0].min(1) > 0)
    first, second, third = corners[low & ~sites.is_arm(corners.mean(1))].swapaxes(0, 1)
    steps = [(i / 6, j / 6) for i in range(7) for j in range(7 - i)]
    points = [first * a + second * b + third * (1 - a - b) for a, b in steps]
    return to_foot(np.concatenate(points), sites)


def volume(kind: str, sites: Sites) -> tuple[np.ndarray, list[np.ndarray]]:
    """Signed distance of the left shoe on a grid over foot centimetres, and the grid's axes.

    The foot is closed morphologically, which bridges toes and ankle bones, and grown by the upper's
    thickness; the sole is its outline pulled downwards.
    """
    top = OPENING[kind]
    axes = [np.arange(*span, VOXEL) for span in ((-9.0, 9.0), (-3.0, top + 3.0), (-9.5, 25.5))]
    foot = _voxels(foot_points(sites, top), axes)
    bridge = 2.4
    closed = _outside(_outside(foot) < bridge) + bridge
    x, y, z = np.meshgrid(*axes, indexing="ij")
    ahead = np.clip((z - 13.0) / 6.0, 0, 1)
    thick = {"sneaker": 0.55, "loafer": 0.3, "ankle boot": 0.45, "tall boot": 0.4}[kind]
    upper = closed - thick - 0.5 * ahead - 0.25 * np.clip((y - top + 2.5) / 2.0, 0, 1) * (kind == "sneaker")
    # Toe caps are round: as high above the small toes as above the big one.
    cap = np.sqrt(((x - 0.3) / 4.6) ** 2 + ((y - 0.6) / 3.2) ** 2 + ((z - 14.5) / 7.2) ** 2)
    upper = np.minimum(upper, (cap - 1) * 3.0)
    level = (axes[1] > -0.2) & (axes[1] < 3.5)
    print_ = np.broadcast_to(upper[:, level].min(1)[:, None], upper.shape)
    welt, rim = (0.3, 1.7) if kind == "sneaker" else (0.22, 0.7)
    sole = np.maximum(print_ - welt, y - rim)
    if kind != "sneaker":  # a heel
        arch = np.clip(1 - np.abs(z - 3.0) / 6.0, 0, 1)
        sole = np.maximum(sole, -(y + SOLE[kind] * (1 - 0.75 * arch)))
    f = np.minimum(np.maximum(upper, -y), sole)
    f = np.maximum(f, -(y + SOLE[kind]))
    slope = 0.16 if kind in ("sneaker", "loafer") else 0.04
    f = np.maximum(
        f, y - top - slope * np.maximum(-z, 0) + 0.25 * np.maximum(z - 1.5, 0) * (kind == "loafer")
    )
    return ndimage.gaussian_filter(f, 0.9), axes


@lru_cache(maxsize=len(KINDS))
def mesh(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Left shoe in foot centimetres: vertices [n, 3], faces [f, 3], outside outwards."""
    from skimage.measure import marching_cubes

    f, axes = volume(kind, load_sites())
    vertices, faces, _, _ = marching_cubes(f[::2, ::2, ::2], 0.0)
    vertices = vertices * (2 * VOXEL) + [a[0] for a in axes]
    p = vertices[faces]
    if np.einsum("fi,fi->", np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), p.mean(1) - vertices.mean(0)) < 0:
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
        out = Surface.empty(len(q))
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


def fitted(shape: BodyShape, rest: np.ndarray) -> np.ndarray:
    """Points [n, 3] round the mean template's left foot (right foot where x < 0) on a person's: the affine
    map that takes one foot to the other, widened by what it leaves over; shafts follow the calf."""
    sites, out = shape.sites, rest.copy()
    shaft = np.clip((rest[:, 2] / sites.k - 0.09) / 0.06, 0, 1)
    out[shaft > 0] = shape.carry(rest[shaft > 0], 8, shape.scale)
    mean, skin = sites.template.vertices, sites.skin_vertices
    for side in (1, -1):
        foot = skin[(mean[skin, 2] < 0.095 * sites.k) & (mean[skin, 0] * side > 0)]
        foot = foot[~sites.is_arm(mean[foot])]
        start, goal = mean[foot].mean(0), shape.vertices[foot].mean(0)
        a, b = (mean[foot] - start).astype(np.float64), (shape.vertices[foot] - goal).astype(np.float64)
        turn = np.linalg.solve(np.einsum("pi,pj->ij", a, a), np.einsum("pi,pj->ij", a, b))
        left = np.abs(b - np.einsum("pi,ij->pj", a, turn))
        half = 0.5 * np.ptp(b, axis=0)
        grow = 1 + np.quantile(left, 0.98, axis=0) / half * [1, 1, 0.5]
        mine = np.flatnonzero(rest[:, 0] * side > 0)
        on_foot = np.einsum("pi,ij->pj", rest[mine] - start, turn) * grow + goal
        out[mine] = on_foot + shaft[mine, None] * (out[mine] - on_foot)
    sole = rest[:, 2] < 0  # both lie flat on one floor
    out[sole, 2] = shape.scale * rest[sole, 2]
    return out


def make_shoes(shape: BodyShape, kind: str, look: ShoeLook) -> Piece:
    """A pair of shoes on a person."""
    rest, faces, below, weights = _pair(kind)
    return Piece(
        vertices=fitted(shape, rest),
        faces=faces,
        template_points=below,
        rest_points=rest,
        weights=weights,
        material=np.zeros(len(faces), np.uint8),
        materials=[ShoeMaterial(look, shape.sites)],
    )
