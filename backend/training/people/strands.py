# SPDX-License-Identifier: GPL-3.0-or-later
"""Strands of hair: grown on the mean head by comb, gravity and curl, kept out of the skin and off the
face.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from scipy.spatial import cKDTree

from .sites import Sites, load_sites, smooth_normals
from .skin import scalp_height

WHORL = np.array([0.6, 10.2, -4.5])  # head units: where hair turns on the crown
TIE = np.array([0.0, 3.5, -10.5])  # where tied hair meets


@dataclass(frozen=True)
class Style:
    """A haircut; lengths in head units (about cm)."""

    name: str
    thickness: float  # of the shell
    ribbons: int = 0
    segments: int = 5
    length: float = 0.0
    lift: float = 0.2  # 0 lies flat, 1 stands up
    gravity: float = 0.3
    width: float = 0.35
    curl: float = 0.0
    flow: str = "part"  # part, crown, back, forward, tie
    rough: float = 0.0  # bumps of the shell
    bun: float = 0.0  # radius
    tail: float = 0.0  # length of a pony tail


STYLES = {
    "bald": Style("bald", 0.0),
    "cropped": Style("cropped", 0.35, rough=0.05),
    "crew": Style("crew", 0.7, 1300, 3, 2.2, 0.55, 0.1, 0.28, flow="forward"),
    "short": Style("short", 0.9, 1150, 5, 5.0, 0.28, 0.3, 0.34, flow="part"),
    "swept": Style("swept", 1.0, 1050, 6, 6.5, 0.30, 0.15, 0.34, flow="back"),
    "messy": Style("messy", 1.0, 1150, 5, 5.5, 0.50, 0.2, 0.32, curl=0.35, flow="crown"),
    "bowl": Style("bowl", 1.0, 1000, 6, 9.0, 0.12, 0.5, 0.38, flow="crown"),
    "bob": Style("bob", 1.1, 820, 8, 15.0, 0.12, 0.45, 0.45, flow="part"),
    "long": Style("long", 1.0, 640, 11, 30.0, 0.08, 0.45, 0.55, flow="part"),
    "wavy": Style("wavy", 1.3, 640, 11, 27.0, 0.15, 0.4, 0.55, curl=0.30, flow="part"),
    "curly": Style("curly", 2.0, 1000, 9, 12.0, 0.40, 0.22, 0.36, curl=1.7, flow="crown", rough=0.5),
    "afro": Style("afro", 4.4, 1700, 6, 4.6, 0.5, 0.0, 0.34, curl=2.8, flow="crown", rough=0.5),
    "bun": Style("bun", 0.8, 560, 7, 13.0, 0.05, 0.0, 0.42, flow="tie", bun=3.0),
    "tail": Style("tail", 0.8, 560, 7, 13.0, 0.05, 0.0, 0.42, flow="tie", tail=24.0),
}


@numba.njit(cache=True, nogil=True)
def scalp_heights(points, hairline):
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        out[i] = scalp_height(points[i, 0], points[i, 1], points[i, 2], hairline)
    return out


class Head:
    """The mean head and shoulders as something that strands keep out of; head units."""

    def __init__(self, sites: Sites):
        template = sites.template
        outward = smooth_normals(template.vertices, sites, 2)
        local = sites.head_local(template.vertices)
        keep = sites.skin_vertices[local[sites.skin_vertices, 1] > -42]
        self.keep = keep
        self.points = local[keep].astype(np.float32)
        n = outward[keep]
        self.outward = np.stack([n[:, 0], n[:, 2], -n[:, 1]], 1)
        self.tree = cKDTree(self.points)
        self.local = local.astype(np.float32)
        self.faces = sites.skin_faces[(local[sites.skin_faces, 1] > -9).all(1)]

        self.average = sites.average
        self.cloth = np.zeros(len(keep), np.float32)

    def dressed(self, cloth: np.ndarray) -> Head:
        """The same in clothes that stand `cloth` [Nv] head units off the skin."""
        for _ in range(4):  # strands glide over the edge of a collar
            cloth = np.maximum(cloth, self.average @ cloth)
        out = copy(self)
        out.cloth = cloth[self.keep].astype(np.float32)
        return out

    def clearance(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance [p] to skin or cloth (nearest vertex's tangent plane) and the skin's normals
        [p, 3].
        """
        _, i = self.tree.query(points)
        n = self.outward[i]
        return ((points - self.points[i]) * n).sum(1) - self.cloth[i], n


@lru_cache(maxsize=1)
def head() -> Head:
    """The mean head, once per process."""
    return Head(load_sites())


def _unit(v: np.ndarray) -> np.ndarray:
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9)


def roots(
    rng: np.random.Generator, scalp: Head, hairline: np.ndarray, count: int, below: float
) -> tuple[np.ndarray, np.ndarray]:
    """`count` points spread evenly over the hairy scalp lower than `below`, and the skin's normals there."""
    heights = np.minimum(scalp_heights(scalp.local, hairline), below - scalp.local[:, 1])
    faces = scalp.faces[(heights[scalp.faces] > 0).all(1)]
    p = scalp.local[faces]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
    # Systematic sampling along the cumulated area: no clots, no bare spots bigger than a few faces.
    place = (np.arange(count) + rng.random(count)) / count * area.sum()
    chosen = np.searchsorted(np.cumsum(area), place).clip(0, len(faces) - 1)
    b = rng.dirichlet((1, 1, 1), count)[..., None]
    points = (p[chosen] * b).sum(1)
    return points, scalp.clearance(points)[1]


def flow_at(points: np.ndarray, outward: np.ndarray, style: Style, part: float) -> np.ndarray:
    """Direction along the scalp in which hair is combed, unit [n, 3]."""
    radial = _unit(points - WHORL)
    if style.flow == "part":
        side = np.sign(points[:, 0] - part)
        swept = np.stack([side, np.full(len(points), -0.15), 0.05 * (points[:, 2] + 4)], 1)
        mix = np.clip((points[:, 2] + 5) / 3, 0, 1)[:, None]
        flow = mix * _unit(swept) + (1 - mix) * radial
    elif style.flow == "back":
        flow = np.stack([0.08 * points[:, 0], np.full(len(points), 0.1), np.full(len(points), -1.0)], 1)
    elif style.flow == "forward":
        flow = np.stack([0.05 * points[:, 0], np.full(len(points), -0.35), np.full(len(points), 0.7)], 1)
    elif style.flow == "tie":
        flow = _unit(TIE - points)
    else:
        flow = radial
    flow = flow - outward * (flow * outward).sum(1, keepdims=True)
    return _unit(flow)


def out_of_face(points: np.ndarray, side: np.ndarray, start: float = 7.0) -> np.ndarray:
    """Moves points [n, 3] that hang before the face out to its side (`side` is -1 or 1)."""
    x, y, z = points.T
    need = (
        (start - 0.9 * np.clip((z - 4) / 6, 0, 1))
        * np.clip((z - 3.0) / 2.5, 0, 1)
        * np.clip((6.4 - y) / 2.2, 0, 1)
    )
    need = need * (y > -20)
    out = points.copy()
    out[:, 0] = np.where(need > 0.01, np.maximum(x * side, need) * side, x)
    out[:, 2] -= 0.3 * np.clip(need - x * side, 0, 2)
    return out


def lengths(rng: np.random.Generator, style: Style, root: np.ndarray, hairline: np.ndarray) -> np.ndarray:
    """Length [n] of the strands that start at root [n, 3], head units."""
    length = style.length * rng.uniform(0.75, 1.2, len(root))
    edge = np.clip(0.4 + scalp_heights(root.astype(np.float32), hairline) / 3.0, 0.25, 1)
    if style.flow == "tie":
        length = np.minimum(length, np.linalg.norm(TIE - root, axis=1) * 1.25)
    elif style.length < 12:
        length = length * edge
    if style.name in ("short", "swept", "crew"):  # clippers at the sides
        length = length * (0.35 + 0.65 * np.clip((root[:, 1] - 1.5) / 4.5, 0, 1))
    return length


def grow(
    rng: np.random.Generator,
    scalp: Head,
    style: Style,
    hairline: np.ndarray,
    part: float,
    below: float = np.inf,
) -> np.ndarray:
    """Strands [n, segments + 1, 3] in head units, from roots lower than `below`."""
    root, normal = roots(rng, scalp, hairline, style.ribbons, below)
    n = len(root)
    flow = flow_at(root, normal, style, part)
    step = lengths(rng, style, root, hairline) / style.segments
    lift = style.lift * (0.6 + 0.8 * rng.random(n))[:, None]
    direction = _unit(normal * lift + flow * (1 - lift) + 0.10 * rng.normal(size=(n, 3)))
    phase = 6.28 * rng.random(n)
    guides = rng.choice(n, max(n // 14, 1), replace=False)
    _, guide = cKDTree(root[guides]).query(root)
    guide = guides[guide]
    phase = 0.8 * phase[guide] + 0.2 * phase
    side = np.where(root[:, 0] > part, 1.0, -1.0)
    x, strand = root + normal * 0.05, [root - normal * 0.15]
    long = style.length > 8 and style.flow != "tie"
    for i in range(style.segments):
        direction = direction + np.array([0, -style.gravity, 0]) * np.minimum(step, 2.0)[:, None] * (
            0.45 if long else 0.25
        )
        if style.flow == "tie":
            toward = _unit(TIE - x)
            direction = 0.5 * direction + toward
        else:
            direction = direction + (0.1 if i < 2 or not long else 0.0) * flow
        if style.curl:
            cross = np.cross(direction, normal)
            turn = phase + (2.0 if style.curl > 1 else 1.5) * i
            direction = direction + style.curl * (
                np.cos(turn)[:, None] * normal + np.sin(turn)[:, None] * cross
            )
        direction = _unit(direction)
        x = x + direction * step[:, None]
        distance, out = scalp.clearance(x)
        over = style.thickness * (0.8 if style.flow == "tie" else 0.95) * min(1.0, (i + 1.5) / 2)
        need = over + 0.35 * rng.random(n) + 0.5 * np.clip((-15 - x[:, 1]) / 4, 0, 1)
        push = np.maximum(need - distance, 0)[:, None]
        x = x + out * push
        if long:  # hair falls together instead of standing out like a tent
            x = (
                x
                - out
                * (0.45 * np.maximum(distance - need - 0.6, 0) * np.clip((x[:, 1] + 14) / 6, 0, 1))[:, None]
            )
        direction = direction - out * np.minimum((direction * out).sum(1, keepdims=True), 0) * (push > 0)
        if long:
            x = out_of_face(x, side)
            direction = off_shoulders(direction, x, out * (push > 0))
        strand.append(x)
    s = np.stack(strand, 1)
    t = np.linspace(0, 1, style.segments + 1)[None, :, None]
    if style.flow != "tie":
        clump = 0.45 * t**1.4
        s = s + clump * (s[guide] + 0.45 * (s[:, :1] - s[guide][:, :1]) - s)
    return fallen(scalp, s, side) if long else s


def off_shoulders(direction: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Hair that touches the shoulders slides to the front or the back, not outwards.

    Args: direction [n, 3] in which it grows on; points [n, 3] its ends; normals [n, 3] of what it touches,
        zero where it hangs free.
    """
    lying = np.clip(1.6 * normals[:, 1], 0, 1) * np.clip((-11 - points[:, 1]) / 3, 0, 1)
    out = direction.copy()
    out[:, 0] *= 1 - lying
    out[:, 2] += 1.5 * lying * np.where(points[:, 2] > -3, 1.0, -1.0)
    return out


def fallen(scalp: Head, strands: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Long strands [n, m, 3] smoothed, off the face (`side` [n] is -1 or 1), and on the clothes, not in
    them.
    """
    s, (n, m) = strands.copy(), strands.shape[:2]
    s[:, 2:] = out_of_face(s[:, 2:].reshape(-1, 3), np.repeat(side, m - 2)).reshape(n, -1, 3)
    s[:, 1:-1] = 0.5 * s[:, 1:-1] + 0.25 * (s[:, :-2] + s[:, 2:])
    return lie_on(scalp, s)


def lie_on(scalp: Head, strands: np.ndarray, gap: float = 0.4) -> np.ndarray:
    """Lifts what hangs below the chin [n, m, 3] to `gap` head units over skin and clothes."""
    flat = strands.reshape(-1, 3)
    distance, out = scalp.clearance(flat)
    low = np.clip((-10 - flat[:, 1]) / 3, 0, 1)
    return (flat + out * (low * np.maximum(gap - distance, 0))[:, None]).reshape(strands.shape)


def tail_strands(
    rng: np.random.Generator, scalp: Head, length: float, count: int = 150, segments: int = 9
) -> np.ndarray:
    """A pony tail from the tie point: [count, segments + 1, 3] head units."""
    t = np.linspace(0, 1, segments + 1)
    spread = rng.normal(size=(count, 1, 2)) * (0.55 + 1.3 * np.sin(np.pi * t * 0.8))[None, :, None]
    back = 2.4 * np.sin(np.pi * np.minimum(t * 1.2, 0.6))
    reach = length * rng.uniform(0.8, 1.05, (count, 1))
    s = np.stack([
        spread[..., 0], TIE[1] + 0.6 - reach * t**1.25,
        TIE[2] - 0.3 - back - 0.7 * np.abs(spread[..., 1]) + t,
    ], -1)  # fmt: skip
    flat = s.reshape(-1, 3)
    distance, out = scalp.clearance(flat)
    flat = flat + out * np.maximum(1.2 - distance + 0.5 * (flat[:, 1] < -14), 0)[:, None]
    return flat.reshape(s.shape)


def ribbons(strands: np.ndarray, outward: np.ndarray, width: float, rng: np.random.Generator):
    """Strands [n, m, 3] -> ribbon vertices [n m 2, 3], faces and strand coordinates; flat side towards
    `outward`.
    """
    n, m = strands.shape[:2]
    along = _unit(np.gradient(strands, axis=1))
    across = _unit(np.cross(along, outward))
    tilt = 0.35 * rng.normal(size=(n, 1, 1))
    across = across * np.cos(tilt) + np.cross(along, across) * np.sin(tilt)
    t = np.linspace(0, 1, m)[None, :, None]
    half = 0.5 * width * (1 - 0.85 * t**2) * rng.uniform(0.6, 1.4, (n, 1, 1))
    vertices = np.stack([strands - across * half, strands + across * half], 2).reshape(-1, 3)
    start = (np.arange(n)[:, None] * m + np.arange(m - 1)).ravel() * 2
    faces = np.concatenate(
        [np.stack([start, start + 1, start + 2], 1), np.stack([start + 1, start + 3, start + 2], 1)]
    )
    shift = rng.random((n, 1, 1)) * 3
    u = np.stack([-half, half], 2) / 100 + shift[:, None] * 0.01
    coordinate = np.stack(
        [
            u[..., 0].reshape(n, m, 2),
            np.broadcast_to(t, (n, m, 2)),
            np.broadcast_to(np.arange(n)[:, None, None], (n, m, 2)),
        ],
        -1,
    )
    return vertices, faces.astype(np.int32), coordinate.reshape(-1, 3).astype(np.float32)


def bun_mesh(centre: np.ndarray, radius: float, phase: float) -> tuple[np.ndarray, np.ndarray]:
    """A knot of hair as a grooved ball: vertices [n, 3] head units, faces."""
    rows, columns = 14, 24
    a = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    b = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    r = radius * (1 + 0.07 * np.sin(3 * b + 5 * a + phase) + 0.04 * np.sin(7 * a - 4 * b))
    points = np.stack(
        [r * np.sin(a) * np.cos(b), r * np.sin(a) * np.sin(b) * 0.95, r * np.cos(a) * np.ones_like(b) * 0.8],
        -1,
    )
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    p, q = i * columns + j, i * columns + (j + 1) % columns
    faces = np.concatenate(
        [
            np.stack([p, p + columns, q], -1).reshape(-1, 3),
            np.stack([q, p + columns, q + columns], -1).reshape(-1, 3),
        ]
    )
    return points.reshape(-1, 3) + centre, faces.astype(np.int32)
