# SPDX-License-Identifier: GPL-3.0-or-later
"""Lashes, brows and beards: short hairs rooted in the skin, which follow its shape and its expressions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from scipy.spatial import cKDTree

from ...body.anchors import nearest_on_surface
from .beards import beard_masks
from .cloth import BodyShape, Piece
from .face import brow_mask
from .landmarks import Landmarks, interp, load_landmarks
from .materials import Surface
from .noise import lattice
from .sites import EYE, SKIN, Sites, from_head_axes, load_sites, to_head_axes
from .skin import SkinLook

UPPER_LASHES, LOWER_LASHES, BROW_HAIRS, BEARD_HAIRS = 62, 30, 950, 6500
_JIT = {"cache": True, "nogil": True}


class Roots(NamedTuple):
    """Where hairs leave the template: triangles [n], barycentric [n, 3], head-local points and outward
    normals [n, 3]."""

    triangles: np.ndarray
    barycentric: np.ndarray
    points: np.ndarray
    outward: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """Vertex values [Nv, c] at the roots [n, c]."""
        corners = load_sites().template.faces[self.triangles]
        return np.einsum("nk,nkc->nc", self.barycentric, values[corners])


def _roots_in(sites: Sites, triangles: np.ndarray, barycentric: np.ndarray, unit: bool = False) -> Roots:
    """Roots at barycentric coordinates [n, 3] in triangles [n]; their normals are interpolated, where `unit`
    at length one."""
    roots = Roots(triangles, barycentric, None, None)
    points, outward = roots.of(sites.template.vertices), roots.of(sites.template.normals)
    if unit:
        outward = outward / np.linalg.norm(outward, axis=1, keepdims=True)
    return roots._replace(points=sites.head_local(points), outward=to_head_axes(outward))


def _rooted(sites: Sites, points: np.ndarray) -> Roots:
    """Roots at the skin that is nearest to head-local points [n, 3], with unit normals."""
    places = sites.from_head_local(points).astype(np.float64)
    return _roots_in(sites, *nearest_on_surface(places, sites.template), unit=True)


@lru_cache(maxsize=1)
def _front_tree():
    """The face's skin seen from the front: a tree over (x, y) and z [n], head units."""
    sites = load_sites()
    local = sites.head_local(sites.template.vertices[sites.skin_vertices])
    front = local[(local[:, 2] > 4) & (np.abs(local[:, 1]) < 13)]
    return cKDTree(front[:, :2]), front[:, 2]


def _on_front(sites: Sites, x: np.ndarray, y: np.ndarray) -> Roots:
    """Roots at the foremost skin near x [n], y [n], head units."""
    tree, depth = _front_tree()
    _, near = tree.query(np.stack([x, y], 1), 4)
    return _rooted(sites, np.stack([x, y, depth[near].max(1)], 1))


def _lash_roots(rng: np.random.Generator, sites: Sites, marks: Landmarks, upper: bool):
    """Places 0..1 along the left eye's lid [n] and the roots of lashes there."""
    count = UPPER_LASHES if upper else LOWER_LASHES
    t = np.linspace(0.04, 0.98, count) + rng.normal(0, 0.006, count)
    x = marks.lid_span[0] + t * (marks.lid_span[1] - marks.lid_span[0])
    table = marks.lid_upper if upper else marks.lid_lower
    y = np.array([interp(table, v) for v in t]) + (0.03 if upper else -0.04)
    d = np.sqrt(np.maximum((marks.ball + 0.12) ** 2 - (x - marks.eye[0]) ** 2 - y**2, 0.1))
    return t, _rooted(sites, np.stack([x, y, marks.eye[2] + d], 1))


def _lashes(rng: np.random.Generator, sites: Sites, marks: Landmarks, upper: bool, length: float):
    """Hairs that leave the left eye's lid forwards and curl away from the eye."""
    t, roots = _lash_roots(rng, sites, marks, upper)
    n, out = len(t), 1.0 if upper else -1.0
    grown = length * (0.65 + 0.4 * t) * rng.uniform(0.75, 1.1, n) * (1.0 if upper else 0.5)
    side = 0.9 * (t - 0.45) + rng.normal(0, 0.08, n)
    start = np.stack([side, np.full(n, 0.05 * out), np.full(n, 0.95)], 1)
    end = np.stack([1.2 * side, np.full(n, 0.75 * out), np.full(n, 0.65)], 1)
    return roots, start, end, grown, 0.022 if upper else 0.014


def _brow(rng: np.random.Generator, sites: Sites, marks: Landmarks, look: SkinLook):
    """Hairs of the left brow: upright at its inner end, lying along it further out."""
    t, across = rng.random(BROW_HAIRS), rng.uniform(-1, 1, BROW_HAIRS)
    x = marks.brow_span[0] + t * np.ptp(marks.brow_span)
    y = np.array([interp(marks.brow_line, v) for v in t]) - 0.2 + look.brow_lift * (0.3 + t) + 0.6 * across
    roots = _on_front(sites, x, y)
    keep = rng.random(BROW_HAIRS) < look.brow_density * _brow_masks(
        roots.points, marks, look.brow_width, look.brow_lift
    )
    roots, t, across = Roots(*(part[keep] for part in roots)), t[keep], across[keep]
    n = len(t)
    up = 0.55 - 0.95 * t - 0.4 * across + rng.normal(0, 0.12, n)
    along = np.stack([0.6 + 0.5 * t + rng.normal(0, 0.08, n), up, -0.45 * t], 1)
    along -= 0.85 * (along * roots.outward).sum(1, keepdims=True) * roots.outward
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    start, end = along + 0.35 * roots.outward, along + 0.05 * roots.outward - np.array([0, 0.12, 0])
    return roots, start, end, rng.uniform(0.5, 0.85, n), 0.019


@numba.njit(**_JIT)
def _brow_masks(points, marks, width, lift):
    out = np.empty(len(points))
    for i in range(len(points)):
        out[i] = brow_mask(points[i, 0], points[i, 1], points[i, 2], marks, width, lift)
    return out


@numba.njit(**_JIT)
def _beard_masks(points, marks):
    out = np.empty((len(points), 3))
    for i in range(len(points)):
        out[i] = beard_masks(points[i, 0], points[i, 1], points[i, 2], marks)
    return out


@lru_cache(maxsize=1)
def _bearded():
    """Triangles [f] of the lower face's skin and their cumulated area [f], to a common factor."""
    sites = load_sites()
    marks, template = load_landmarks(), sites.template
    local = sites.head_local(template.vertices)
    p = local[template.faces]
    skin = (template.part[template.faces] == SKIN).all(1)
    low = (
        (p[..., 1].max(1) < marks.ear[1] + 2)
        & (p[..., 1].min(1) > marks.chin[1] - 5)
        & (p[..., 2].min(1) > -1.5)
    )
    faces = np.flatnonzero(skin & low)
    area = np.linalg.norm(np.cross(p[faces, 1] - p[faces, 0], p[faces, 2] - p[faces, 0]), axis=1)
    return faces, np.cumsum(area)


def _beard(rng: np.random.Generator, sites: Sites, marks: Landmarks, look: SkinLook):
    """Hairs of beard and moustache, which fall, and part under the nose."""
    faces, area = _bearded()
    place = (np.arange(BEARD_HAIRS) + rng.random(BEARD_HAIRS)) / BEARD_HAIRS * area[-1]
    triangles = faces[np.searchsorted(area, place).clip(0, len(faces) - 1)]
    barycentric = rng.dirichlet((1, 1, 1), BEARD_HAIRS)
    roots = _roots_in(sites, triangles, barycentric)
    jaw, moustache, chin = _beard_masks(roots.points, marks).T
    jaw = look.beard * (chin if look.goatee > 0.5 else jaw)
    moustache = look.moustache * moustache
    inside = np.maximum(jaw, moustache)
    keep = inside > rng.uniform(0.1, 0.9, BEARD_HAIRS)
    roots = Roots(*(part[keep] for part in roots))
    jaw, moustache, inside, n = jaw[keep], moustache[keep], inside[keep], int(keep.sum())
    x = roots.points[:, 0]
    above = (moustache > jaw)[:, None]
    fall = np.where(
        above, np.stack([1.1 * np.sign(x) * np.clip(np.abs(x), 0.25, 1), np.full(n, -1.0), np.zeros(n)], 1),
        np.stack([0.05 * x, np.full(n, -1.0), np.full(n, 0.35)], 1),
    )  # fmt: skip
    fall = fall + rng.normal(0, 0.22, (n, 3))
    fall -= 0.9 * (fall * roots.outward).sum(1, keepdims=True) * roots.outward
    fall /= np.linalg.norm(fall, axis=1, keepdims=True)
    long = np.where(above[:, 0], 0.75, 1.0) * rng.uniform(0.5, 1.1, n) * np.clip(inside * 1.2, 0.3, 1)
    return roots, fall + 0.4 * roots.outward, fall + np.array([0, -0.25, 0]), long, 0.038


@dataclass(frozen=True)
class Bristles:
    """Short hairs; their rest points are (number, 0 root to 1 tip, 0)."""

    colour: np.ndarray
    grey: float = 0.0  # share of them
    specular: float = 0.25

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        albedo = np.empty((len(rest_points), 3), np.float32)
        _shade_bristles(np.asarray(rest_points), self.colour, self.grey, albedo)
        rough = np.full(len(albedo), 0.5, np.float32)
        return Surface(albedo, rough, np.full(len(albedo), self.specular, np.float32))


@numba.njit(**_JIT)
def _shade_bristles(points, colour, grey, albedo):
    for n in range(len(points)):
        number = int(np.rint(points[n, 0]))
        tone = (0.85 + 0.25 * lattice(number, 1, 0)) * (0.8 + 0.3 * points[n, 1])
        white = 1.0 if 0.5 + 0.5 * lattice(number, 2, 0) < grey else 0.0
        for i in range(3):
            c = colour[i] + white * ((0.66, 0.65, 0.63)[i] - colour[i])
            albedo[n, i] = min(max(c * tone, 0.0), 1.0)


def _hairs(shape: BodyShape, grown: list, material, spin: bool) -> Piece:
    """Slender triangles of (roots, first direction, last direction, length, width) in head units, the same
    on the person's scale. `spin`: they turn with lids about the eyeball."""
    sites, marks = shape.sites, load_landmarks()
    eye = (sites.template.part == EYE) & (sites.template.vertices[:, 0] > 0)
    scale = float(shape.vertices[eye, 0].mean() / sites.template.vertices[eye, 0].mean())
    roots = Roots(*(np.concatenate(parts) for parts in zip(*(g[0] for g in grown), strict=True)))
    start, end, length = (np.concatenate([g[i] for g in grown]) for i in (1, 2, 3))
    width = np.concatenate([np.full(len(g[3]), g[4]) for g in grown])
    across = np.cross(start, roots.outward + np.array([0, 0.3, 0.1]))
    across *= (width / (np.linalg.norm(across, axis=1) + 1e-9))[:, None]
    middle, tip = 0.5 * length[:, None] * start, length[:, None] * (0.5 * start + 0.5 * end)
    sunk = -0.04 * roots.outward
    offsets = np.stack([sunk - across, sunk + across, middle - 0.7 * across, middle + 0.7 * across, tip], 1)
    n = len(length)
    metres = from_head_axes(offsets) * sites.head_scale
    at, on_mean = roots.of(shape.vertices), roots.of(sites.template.vertices)
    deltas = np.stack([roots.of(delta) for delta in sites.template.expression_deltas])
    deltas = np.repeat(deltas[:, :, None], 5, 2)
    if spin:
        side = np.where(roots.points[:, :1] > 0, 1.0, -1.0)
        centre = sites.from_head_local(marks.eye * np.concatenate([side, np.ones((n, 2))], 1))
        arm = on_mean - centre
        turn = np.cross(arm, deltas[:, :, 0]) / (arm**2).sum(1)[:, None]
        deltas = deltas + np.cross(turn[:, :, None], metres)
    number = np.repeat(np.arange(n, dtype=np.float32), 5)
    along = np.tile(np.array([0, 0, 0.5, 0.5, 1], np.float32), n)
    faces = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4]]) + 5 * np.arange(n)[:, None, None]
    return Piece(
        vertices=(at[:, None] + scale * metres).reshape(-1, 3).astype(np.float32),
        faces=faces.reshape(-1, 3).astype(np.int32),
        template_points=np.repeat(on_mean, 5, 0).astype(np.float32),
        rest_points=np.stack([number, along, np.zeros_like(along)], 1),
        weights=np.repeat(roots.of(sites.dense_weights), 5, 0).astype(np.float32),
        material=np.zeros(3 * n, np.uint8),
        materials=[material],
        expression=deltas.reshape(len(deltas), -1, 3).astype(np.float32),
    )


def _mirrored(sites: Sites, hair):
    """The same hairs on the right side."""
    roots, start, end, length, width = hair
    flip = np.array([-1, 1, 1])
    return _rooted(sites, roots.points * flip), start * flip, end * flip, length, width


def make_facial_hair(rng: np.random.Generator, shape: BodyShape, look: SkinLook, grey: float) -> list[Piece]:
    """Lashes, brows and, where the look has one, a beard; `grey`: share of grey hairs in brow and beard."""
    sites, marks = shape.sites, load_landmarks()
    length = 0.42 + 0.5 * look.lash * rng.uniform(0.6, 1.0)
    lashes = [_lashes(rng, sites, marks, upper, length) for upper in (True, False)]
    lashes += [_mirrored(sites, hair) for hair in lashes]
    brows = [_brow(rng, sites, marks, look)]
    brows.append(_mirrored(sites, _brow(rng, sites, marks, look)))
    dark = np.clip(0.3 * look.brows + 0.01, 0, 0.22)
    pieces = [
        _hairs(shape, lashes, Bristles(dark), True),
        _hairs(shape, brows, Bristles(look.brows, 0.6 * grey), False),
    ]
    if max(look.beard, look.moustache) > 0.6:
        pieces.append(
            _hairs(shape, [_beard(rng, sites, marks, look)], Bristles(look.beard_colour, grey), False)
        )
    return pieces
