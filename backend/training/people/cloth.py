# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloth over a body: shells that follow it, skirts that hang from it, and how both move with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
from scipy.sparse import identity
from scipy.spatial import cKDTree

from . import surface
from .folds import along_limbs
from .noise import fbm_points
from .sites import Sites, smooth_normals


@dataclass(frozen=True)
class BodyShape:
    """One person's body in their own canonical pose, on the template's topology."""

    vertices: np.ndarray  # [Nv, 3]
    outward: np.ndarray  # [Nv, 3] blurred unit normals
    sites: Sites
    scale: float = 1.0  # stature over the mean template's

    @classmethod
    def of(cls, vertices: np.ndarray, sites: Sites) -> BodyShape:
        mean = sites.template.vertices[sites.skin_vertices, 2]
        scale = float(np.ptp(vertices[sites.skin_vertices, 2]) / np.ptp(mean))
        return cls(vertices, smooth_normals(vertices, sites), sites, scale)

    def moved(self, by: np.ndarray) -> BodyShape:
        """The same body with its vertices moved by [Nv, 3], as clothes that hang loose see it."""
        vertices = (self.vertices + by).astype(np.float32)
        return replace(self, vertices=vertices, outward=smooth_normals(vertices, self.sites, 2))

    def _nearest(self, points: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
        """The mean template's skin vertices [p, neighbours] that are nearest to points [p, 3], and their
        shares, which fall with the square of the distance (metres) and sum to 1."""
        distance, index = self.sites.tree.query(points, neighbours)
        weight = 1 / (distance + 0.004) ** 2
        return self.sites.skin_vertices[index], weight / weight.sum(1, keepdims=True)

    def carry(self, points: np.ndarray, neighbours: int = 8, scale: float = 1.0) -> np.ndarray:
        """Points [p, 3] near the mean template -> the same places on this person, `scale` times as far off
        the skin (nearest displacements, blended).
        """
        (chosen, weight), mean = self._nearest(points, neighbours), self.sites.template.vertices
        skin = (self.vertices[chosen] * weight[..., None]).sum(1)
        return (skin + scale * (points - (mean[chosen] * weight[..., None]).sum(1))).astype(np.float32)

    def weights_near(self, points: np.ndarray, neighbours: int = 6) -> np.ndarray:
        """Dense skin weights [p, J] of the mean template's skin near points [p, 3]."""
        _, index = self.sites.tree.query(points, neighbours)
        return self.sites.dense_weights[self.sites.skin_vertices[index]].mean(1)

    def below(self, points: np.ndarray) -> np.ndarray:
        """The nearest vertex of the mean template's skin to each of the points [p, 3] -> [p, 3]."""
        _, index = self.sites.tree.query(points)
        return self.sites.template.vertices[self.sites.skin_vertices[index]]

    def carry_with_skin(self, points: np.ndarray, neighbours: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """`carry` and `below` in one search."""
        (chosen, weight), mean = self._nearest(points, neighbours), self.sites.template.vertices
        moved = ((self.vertices[chosen] - mean[chosen]) * weight[..., None]).sum(1)
        return (points + moved).astype(np.float32), mean[chosen[:, 0]]


@dataclass
class Piece:
    """A part of a person's mesh with its own materials; `material` [f] indexes `materials`."""

    vertices: np.ndarray
    faces: np.ndarray
    template_points: np.ndarray
    rest_points: np.ndarray
    weights: np.ndarray  # [n, J] dense
    material: np.ndarray
    materials: list
    expression: np.ndarray | None = None  # [52, n, 3] displacements, where expressions move it
    folds: np.ndarray | None = None  # [n, 5] as from `folds.along_limbs`, where it is cloth


@dataclass
class Folds:
    """Displacement of a shell, metres: soft folds all over and rings where a limb bends or cloth gathers."""

    depth: float = 0.003
    rings: float = 0.004
    seed: float = 0.0
    looseness: float = 1.0  # 0 clings to the body: a pose leaves no creases


def fold_height(
    rest: np.ndarray, sites: Sites, folds: Folds, gathers: list[tuple[float, float]]
) -> np.ndarray:
    """Fold displacement [n] at rest points; `gathers` are (height, spread) where trouser legs or a shirt
    bunch up.
    """
    shift = np.array([folds.seed, -folds.seed, 2 * folds.seed], np.float32)
    soft = fbm_points(rest * np.array([15, 15, 6.5], np.float32) + shift, 2)
    arm = sites.is_arm(rest)
    t, _ = sites.along_arm(rest)
    elbow = float(np.linalg.norm(sites.joint("forearm.L") - sites.shoulder))
    bend = np.where(arm, np.exp(-(((t - elbow) / 0.07) ** 2)), 0)
    along = np.where(arm, t, rest[:, 2])
    for height, spread in gathers:
        bend = np.maximum(bend, np.where(arm, 0, np.exp(-(((rest[:, 2] - height) / spread) ** 2))))
    round_limb = np.stack([rest[:, 0] * 9, rest[:, 1] * 9, along * 38], 1).astype(np.float32) + shift
    return folds.depth * soft + folds.rings * bend * fbm_points(round_limb, 2)


def shell(
    shape: BodyShape,
    outline: np.ndarray,
    offset: np.ndarray,
    materials: list,
    trims: list[tuple[np.ndarray, int]] = (),
    folds: Folds | None = None,
    gathers: list[tuple[float, float]] = (),
    rounds: int = 14,
    fine: bool = True,
    hem_depth: float = 0.004,
    tight: float = 0.75,
    hold: float = 0.016,
) -> Piece | None:
    """Cloth over the skin where `outline` > 0.

    Args: outline [Nv] metres inside the garment's edge; offset [Nv] metres from the skin; materials: the
    first is the
        cloth's; trims: (field [Nv], material) paints faces with field > 0 in another material along a clean
        line;
        gathers see `fold_height`; rounds of smoothing (more: hangs freer); fine: one subdivision; tight:
        share of
        the offset that smoothing must keep, up to `hold` metres.
    Returns None where nothing is left.
    """
    sites = shape.sites
    near = sites.skin_faces[(outline[sites.skin_faces] > 0).any(1)]
    if len(near) < 8:
        return None
    patch = surface.whole(len(outline), near)
    patch = surface.clip(patch, patch.carry(outline))
    if fine and len(patch.faces) < 3000:
        patch = surface.subdivide(patch)
    patch = surface.drop_small_pieces(patch)
    rest = patch.carry(sites.template.vertices)
    inner, off = patch.carry(shape.vertices), patch.carry(offset)
    outward = patch.carry(shape.outward)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
    average, edge_average = surface.shell_average(len(patch), patch.faces)
    start, clearance = inner + outward * off[:, None], np.minimum(tight * off, hold)
    vertices = surface.relax_outside(start, average, edge_average, inner, outward, clearance, rounds)
    # Smoothing slides vertices over the skin; the weave and the lines of the trims slide with them.
    weave = np.column_stack([rest, *(np.clip(patch.carry(field), -0.1, 0.1) for field, _ in trims)])
    for _ in range(rounds):
        weave = 0.5 * weave + 0.5 * (average @ weave)
    if folds is not None:
        at_edge = np.clip(patch.carry(outline) / 0.035, 0.2, 1)
        lift = np.maximum(fold_height(rest, sites, folds, gathers) * at_edge, -0.45 * off)
        vertices = vertices + outward * lift[:, None]
    near = np.unique(patch.blend.indices)
    joints = np.flatnonzero(sites.dense_weights[near].any(0))
    weights = patch.carry(sites.dense_weights[:, joints])
    for _ in range(3):
        weights = 0.4 * weights + 0.6 * (average @ weights)
    columns = np.column_stack([vertices, rest, weave, weights])
    columns, faces, material = _paint(columns, patch.faces, [index for _, index in trims])
    vertices, rest, weave, weights = np.split(columns, [3, 6, 9 + len(trims)], axis=1)
    dense = np.zeros((len(columns), sites.dense_weights.shape[1]), np.float32)
    dense[:, joints] = weights
    vertices, extra, source = surface.hem(vertices, faces, hem_depth)
    owner = np.zeros(len(columns), np.uint8)
    owner[faces] = material[:, None]
    every = np.concatenate([np.arange(len(columns)), source])
    return Piece(
        vertices=vertices,
        faces=np.concatenate([faces, extra]).astype(np.int32),
        template_points=rest[every],
        rest_points=weave[every, :3],
        weights=dense[every],
        material=np.concatenate([material, owner[extra[:, 0]]]),
        materials=materials,
        folds=None if folds is None else along_limbs(rest, sites, folds.looseness)[every],
    )


def _paint(columns: np.ndarray, faces: np.ndarray, inks: list[int]):
    """Cut along each trim's line and give its inside another material.

    Args: columns [n, c] vertex attributes, the trims' fields in columns 9, 10, ...; inks: a material per
    trim.
    Returns: the columns and faces with the cuts, and [f] materials.
    """
    patch = surface.Patch(identity(len(columns), np.float32, format="csr"), faces)
    material = np.zeros(len(faces), np.uint8)
    for i, ink in enumerate(inks):
        patch, inside, parent = surface.split(patch, patch.carry(columns[:, 9 + i]))
        material = np.where(inside, np.uint8(ink), material[parent])
    return patch.carry(columns), patch.faces, material


def hang(
    vertices: np.ndarray,
    sites: Sites,
    top: float,
    bottom: float,
    flare: float,
    ease: float,
    pleats: tuple[int, float, float],
    columns: int = 96,
    rows: int = 22,
) -> np.ndarray:
    """Rings of a skirt round a body: each the convex outline of the body at that height, never narrower
    downwards.

    Args: vertices [Nv, 3] a body on the template's topology; top, bottom: heights on the mean template,
    metres;
        flare: metres of radius gained per metre of length; ease: metres from the body at the waist;
        pleats: (count, depth in metres at the hem, phase).
    Returns [rows, columns, 3], column 0 at the subject's left, turning towards the back.
    """
    mean = sites.template.vertices
    chosen = sites.skin_vertices[np.abs(mean[sites.skin_vertices, 0]) < 0.27 * sites.k]
    chosen = chosen[(mean[chosen, 2] > bottom - 0.06) & (mean[chosen, 2] < top + 0.06)]
    chosen = chosen[~sites.is_arm(mean[chosen])]
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    out = np.stack([np.cos(angle), np.sin(angle)], 1)
    count, depth, phase = pleats
    rings, widest, middle = [], np.zeros(columns), None
    window = max(0.012, 0.6 * (top - bottom) / (rows - 1))
    for i, height in enumerate(np.linspace(top, bottom, rows)):
        slab = vertices[chosen[np.abs(mean[chosen, 2] - height) < window]]
        if middle is None:
            middle = np.array([0, 0.5 * (slab[:, 1].min() + slab[:, 1].max())])
        reach = hull_radius(out, slab[:, :2] - middle) + ease
        widest = np.maximum(widest, reach) if i else reach
        t = i / (rows - 1)
        level = slab[:, 2].mean()
        highest = max(level, rings[0][0, 2]) if rings else level
        length = highest - level
        wave = count * angle + phase + 0.6 * np.sin(2 * angle + phase) + 0.25 * np.sin(3 * t + 2 * phase)
        uneven = 1 + 0.45 * np.sin(2 * angle + 2 * phase) + 0.3 * np.sin(5 * angle - phase)
        radius = widest + flare * length + depth * t**1.1 * uneven * np.sin(wave)
        rings.append(np.column_stack([middle + out * radius[:, None], np.full(columns, level)]))
    return np.array(rings, np.float32)


@numba.njit(cache=True, nogil=True)
def hull_radius(directions: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Radius [c] of the convex hull of points [p, 2] round the origin in evenly spaced directions [c, 2]."""
    count = len(directions)
    support, out = np.zeros(count), np.full(count, np.inf)
    for c in range(count):
        for p in range(len(points)):
            reach = directions[c, 0] * points[p, 0] + directions[c, 1] * points[p, 1]
            support[c] = max(support[c], reach)
    for c in range(count):
        for d in range(count):
            cosine = directions[c, 0] * directions[d, 0] + directions[c, 1] * directions[d, 1]
            if cosine > 0.2:
                out[c] = min(out[c], support[d] / cosine)
    return out


def skirt(
    shape: BodyShape,
    top: float,
    bottom: float,
    materials: list,
    flare: float = 0.16,
    ease: float = 0.008,
    pleats: tuple[int, float, float] = (9, 0.015, 0.0),
    opening: float = 0.0,
) -> Piece:
    """A skirt from height `top` to `bottom` (mean template); `opening` is the angle in radians that stays
    open in front, as a coat does.
    """
    sites = shape.sites
    rest = hang(sites.template.vertices, sites, top, bottom, flare, ease, pleats)
    rows, columns = rest.shape[:2]
    vertices = hang(shape.vertices, sites, top, bottom, flare, ease, pleats)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = i * columns + j, i * columns + (j + 1) % columns
    c, d = a + columns, b + columns
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    turn = 2 * np.pi * np.arange(columns) / columns  # -Y, the front, is at 3 pi / 2
    shut = np.tile(np.abs(turn - 1.5 * np.pi) >= 0.5 * opening, rows)
    faces = (np.cumsum(shut) - 1)[faces[shut[faces].all(1)]]
    folds = _round_skirt(rest, turn, pleats)[shut]
    rest, vertices = rest.reshape(-1, 3)[shut], vertices.reshape(-1, 3)[shut]
    weights, below = skirt_weights(rest, sites)
    vertices, extra, source = surface.hem(vertices, faces.astype(np.int32), 0.004)
    every = np.concatenate([np.arange(len(rest)), source])
    faces = np.concatenate([faces, extra]).astype(np.int32)
    return Piece(
        vertices, faces, below[every], rest[every], weights[every], np.zeros(len(faces), np.uint8), materials,
        folds=folds[every],
    )  # fmt: skip


def _round_skirt(rest: np.ndarray, turn: np.ndarray, pleats: tuple[int, float, float]) -> np.ndarray:
    """Crease directions of a skirt's rings [rows, columns, 3]: round it, deeper towards the hem. [n, 5]."""
    rows, columns = rest.shape[:2]
    axis = np.broadcast_to(np.stack([-np.sin(turn), np.cos(turn), np.zeros(columns)], 1), rest.shape)
    radius = np.linalg.norm(rest[..., :2] - rest[..., :2].mean(1, keepdims=True), axis=2)
    along = turn * radius[0].mean() * 1.4  # pleats keep their number downwards
    down = np.linspace(0, 1, rows)[:, None] * np.ones(columns)
    slope = (0.12 + 8 * pleats[1]) * down**0.6
    parts = [0.6 * axis, np.broadcast_to(along, down.shape)[..., None], slope[..., None]]
    return np.concatenate(parts, 2).reshape(-1, 5).astype(np.float32)


def skirt_weights(rest: np.ndarray, sites: Sites) -> tuple[np.ndarray, np.ndarray]:
    """Skirt weights [n, J] at points rest [n, 3] round the mean template, and the skin below each [n, 3].

    A skirt follows the thighs as the skin below it does, so that no bend of a hip brings a leg through it;
    left and right share it smoothly.
    """
    names = list(sites.template.joint_names)
    skin = sites.skin_vertices[~sites.is_arm(sites.template.vertices[sites.skin_vertices])]
    places = sites.template.vertices[skin]
    _, near = cKDTree(places).query(rest, 12)
    leg = [i for i, name in enumerate(names) if name.startswith(("thigh", "shin", "foot", "toe"))]
    thigh = sites.dense_weights[:, leg].sum(1)[skin[near]].mean(1)
    knee, waist = sites.joint("shin.L")[2], sites.joint("spine1")[2]
    left = 0.5 + 0.5 * np.tanh(rest[:, 0] / (0.06 * sites.k))
    shin = 0.55 * np.clip((knee + 0.05 - rest[:, 2]) / 0.3, 0, 1)
    spine = np.clip((rest[:, 2] - waist + 0.03) / 0.10, 0, 1) * 0.6
    weights = np.zeros((len(rest), len(names)), np.float32)
    for side, share in (("L", left), ("R", 1 - left)):
        weights[:, names.index(f"thigh.{side}")] = thigh * share * (1 - shin)
        weights[:, names.index(f"shin.{side}")] = thigh * share * shin
    weights[:, names.index("spine1")] = (1 - thigh) * spine
    weights[:, names.index("pelvis")] = (1 - thigh) * (1 - spine)
    return weights, places[near[:, 0]]
