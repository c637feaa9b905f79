# SPDX-License-Identifier: GPL-3.0-or-later
"""Strands of hair: grown over the mean head by comb and gravity, at the height of the haircut's volume, kept
out of skin and clothes and off the face. Lengths are in head units (about a centimetre).
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache

import numba
import numpy as np
from scipy.spatial import cKDTree

from .haircuts import TIE, WHORL, Style
from .sites import Sites, load_sites, smooth_normals, to_head_axes
from .skin import scalp_height

BROWS = 1.9  # no fringe hangs lower than this


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
        outward = smooth_normals(template.vertices, sites, 8)
        local = sites.head_local(template.vertices)
        skin = sites.skin_vertices
        keep = skin[(local[skin, 1] > -60) & (np.abs(local[skin, 0]) < 26)]
        self.keep = keep
        self.points = local[keep].astype(np.float32)
        self.outward = to_head_axes(outward[keep])
        self.tree = cKDTree(self.points)
        self.local = local.astype(np.float32)
        ears = template.region("ears") > 0.3
        faces = sites.skin_faces
        self.faces = faces[(local[faces, 1] > -9).all(1) & ~ears[faces].any(1)]
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


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] at length one."""
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9)


def volume_at(style: Style, points: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """How far the haircut stands off the skull [n] at points [n, 3] that lie `heights` [n] above the
    hairline."""
    rise = np.clip(heights / style.edge, 0, 1) ** 0.6
    sides = style.sides + (1 - style.sides) * np.clip((points[:, 1] - 1.0) / 6.0, 0, 1)
    return style.volume * rise * sides


def roots(
    rng: np.random.Generator, scalp: Head, hairline: np.ndarray, count: int, below: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` points spread over the hairy scalp lower than `below`, denser along the hairline; the skin's
    normals there and the heights above the hairline.
    """
    heights = np.minimum(scalp_heights(scalp.local, hairline), below - scalp.local[:, 1])
    faces = scalp.faces[(heights[scalp.faces] > 0).all(1)]
    p = scalp.local[faces]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
    area = area * (1 + 1.2 * (heights[faces].mean(1) < 1.0))
    # Systematic sampling along the cumulated area: no clots, no bare spots bigger than a few faces.
    place = (np.arange(count) + rng.random(count)) / count * area.sum()
    chosen = np.searchsorted(np.cumsum(area), place).clip(0, len(faces) - 1)
    b = rng.dirichlet((1, 1, 1), count)
    points = (p[chosen] * b[..., None]).sum(1)
    return points, scalp.clearance(points)[1], (heights[faces[chosen]] * b).sum(1)


def flow_at(points: np.ndarray, outward: np.ndarray, style: Style, part: float) -> np.ndarray:
    """Direction along the scalp in which hair is combed, unit [n, 3]."""
    x, y, z = points.T
    nothing = np.zeros(len(points))
    radial = unit(points - WHORL)
    if style.flow == "part":
        down = np.clip((8.5 - y) / 5, 0, 1)  # from the parting to the side, then down and a little back
        swept = np.stack(
            [np.sign(x - part) * (1 - 0.8 * down), -0.15 - down, 0.05 * (z + 4) - 0.35 * down], 1
        )
        mix = np.clip((z + 5) / 3, 0, 1)[:, None]
        flow = mix * unit(swept) + (1 - mix) * radial
    elif style.flow == "back":
        flow = np.stack([0.06 * x, nothing + 0.1, nothing - 1.0], 1)
        flow[:, 1] -= np.clip((2 - z) / 6, 0, 1.2)
    elif style.flow == "forward":
        flow = np.stack([0.05 * x, nothing - 0.35, nothing + 0.7], 1)
        back = np.clip((-3 - z) / 3, 0, 1)[:, None]
        flow = unit(flow) * (1 - back) + radial * back
    elif style.flow == "tie":
        flow = unit(TIE - points)
    else:
        flow = radial
    return unit(flow - outward * (flow * outward).sum(1, keepdims=True))


def off_the_face(points: np.ndarray, side: np.ndarray, start: float = 6.9) -> np.ndarray:
    """Moves points [n, 3] that hang before the face out to its side (`side` is -1 or 1)."""
    x, y, z = points.T
    before = np.clip((z - 2.5) / 2.5, 0, 1) * np.clip((7.0 - y) / 2.2, 0, 1) * (y > -20)
    need = (start - 0.9 * np.clip((z - 4) / 6, 0, 1)) * before
    out = points.copy()
    out[:, 0] = np.where(need > 0.01, np.maximum(x * side, need) * side, x)
    out[:, 2] -= 0.3 * np.clip(need - x * side, 0, 2)
    return out


def lengths(
    rng: np.random.Generator, style: Style, root: np.ndarray, heights: np.ndarray, fringe: np.ndarray
) -> np.ndarray:
    """Length [n] of the strands that start at root [n, 3]."""
    length = style.length * rng.uniform(0.8, 1.1, len(root))
    if style.flow == "tie":
        return np.minimum(length, np.linalg.norm(TIE - root, axis=1) * 1.25)
    if style.length < 12:
        length = length * np.clip(0.5 + heights / 4.0, 0.4, 1)
        length = length * (style.sides + (1 - style.sides) * np.clip((root[:, 1] - 1.5) / 4.5, 0, 1))
    return np.where(fringe, np.clip(1.35 * (root[:, 1] - BROWS), 2, 11), length)


def grow(
    rng: np.random.Generator,
    scalp: Head,
    style: Style,
    count: int,
    hairline: np.ndarray,
    part: float,
    below: float = np.inf,
    layer: float = 1.0,
) -> np.ndarray:
    """Strands [count, segments + 1, 3] from roots lower than `below`, at `layer` times the haircut's
    volume."""
    root, normal, heights = roots(rng, scalp, hairline, count, below)
    fringe = (root[:, 2] > 2.5) & (heights < 3.5) & (np.abs(root[:, 0]) < 5.5) & (style.fringe > 0)
    flow = flow_at(root, normal, style, part)
    step = lengths(rng, style, root, heights, fringe) / style.segments
    stand = np.maximum(layer * volume_at(style, root, heights) * rng.uniform(0.85, 1.12, count), 0.1)
    forward = unit(np.stack([0.06 * root[:, 0], np.full(count, -0.5), np.full(count, 0.6)], 1))
    flow = np.where(fringe[:, None], forward, flow)
    direction = unit(flow + style.lift * normal + style.wild * rng.normal(size=(count, 3)))
    side = np.where(root[:, 0] > part, 1.0, -1.0)
    hangs = style.length > 8 and style.flow != "tie"
    x = root + normal * (style.start * volume_at(style, root, heights))[:, None]
    gone, strand = np.zeros(count), [x - normal * 0.1]
    for _ in range(style.segments):
        gone = gone + step
        x = x + direction * step[:, None]
        distance, out = scalp.clearance(x)
        x, pushed = _at_height(x, distance, out, stand, gone, style, hangs)
        on_skull = np.clip((x[:, 1] + 1) / 4, 0, 1)[:, None]
        comb = np.where(fringe[:, None], forward, flow_at(x, out, style, part)) * on_skull
        direction = unit(
            direction + 0.5 * style.comb * comb + np.array([0, -style.gravity, 0]) * step[:, None]
        )
        if hangs:
            x = np.where(fringe[:, None], x, off_the_face(x, side))
            direction = direction - on_skull * out * (direction * out).sum(1, keepdims=True)
            direction = unit(direction + (1 - on_skull) * np.array([0, -0.8, 0]))
            direction = off_shoulders(direction, x, out * pushed[:, None])
        strand.append(above_brows(x))
    strands = np.stack(strand, 1)
    strands = curled(rng, clumped(rng, strands, style), scalp, style)
    return settled(scalp, strands, np.where(fringe, 0.0, side)) if hangs else strands


def _at_height(x, distance, out, stand, gone, style, hangs):
    """Points x [n, 3] moved to the height at which strands of length `gone` lie; which were pushed out."""
    want = np.maximum(stand * np.minimum(1, (gone + 0.3) / (1.3 * stand + 0.3)), 0.25)
    if hangs:
        want = np.maximum(want * np.clip((x[:, 1] + 14) / 8, 0.35, 1), 0.4)
    # On the skull the hair keeps its volume; below it only keeps out, drawn in a little.
    hold = style.hold * (np.clip((x[:, 1] + 2) / 3, 0, 1) if hangs else 1.0)
    hold = hold + (0.3 * np.clip((-2 - x[:, 1]) / 4, 0, 1) * (distance < 5) if hangs else 0)
    move = np.where(distance < want, want - distance, hold * (want - distance))
    return x + out * move[:, None], distance < want


def above_brows(points: np.ndarray) -> np.ndarray:
    """Points [n, 3] before the forehead lifted over the brows, so that no fringe covers the eyes."""
    out = points.copy()
    low = (points[:, 2] > 4.5) & (np.abs(points[:, 0]) < 5.6) & (points[:, 1] > -6)
    out[:, 1] = np.where(
        low, np.maximum(points[:, 1], BROWS + 0.7 * np.sin(23 * points[:, 0]) ** 2), points[:, 1]
    )
    return out


def clumped(rng: np.random.Generator, strands: np.ndarray, style: Style) -> np.ndarray:
    """Strands [n, m, 3] drawn together towards their tips into locks of different widths."""
    n, m = strands.shape[:2]
    if not style.clump or n < 8:
        return strands
    guides = rng.choice(n, max(n // 11, 1), replace=False)
    middle = strands[:, m // 2] + 0.9 * rng.normal(size=(n, 3))
    _, guide = cKDTree(strands[guides, m // 2]).query(middle)
    strength = rng.uniform(0.2, 1.0, len(guides))[guide]
    guide = guides[guide]
    t = np.linspace(0, 1, m)[None, :, None]
    pull = style.clump * strength[:, None, None] * t**1.3
    return strands + pull * (strands[guide] + 0.35 * (strands[:, :1] - strands[guide, :1]) - strands)


def curled(rng: np.random.Generator, strands: np.ndarray, scalp: Head, style: Style) -> np.ndarray:
    """Strands [n, m, 3] wound into waves or curls; neighbours wave together."""
    if not style.curl:
        return strands
    n, m = strands.shape[:2]
    along = unit(np.gradient(strands, axis=1))
    _, out = scalp.clearance(strands[:, m // 2])
    across = unit(np.cross(along, out[:, None]))
    up = np.cross(across, along)
    length = np.linalg.norm(np.diff(strands, axis=1), axis=2).cumsum(1)
    length = np.concatenate([np.zeros((n, 1)), length], 1)[..., None]
    # The phase is a smooth function of the root, so that locks keep together.
    root = strands[:, 0]
    phase = 2.2 * np.sin(0.55 * root[:, 0] + 0.9 * root[:, 2]) + 1.5 * np.sin(0.8 * root[:, 1] + root[:, 0])
    phase = phase * style.together + (1 - style.together) * 6.3 * rng.random(n)
    turn = phase[:, None, None] + 2 * np.pi * length / (style.wave * rng.uniform(0.85, 1.2, (n, 1, 1)))
    radius = style.curl * np.minimum(length / (1.2 * style.wave), 1) * rng.uniform(0.6, 1.25, (n, 1, 1))
    return strands + radius * (np.sin(turn) * across + style.coil * np.cos(turn) * up)


def off_shoulders(direction: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Hair that touches the shoulders slides to the front or the back, not outwards.

    Args: direction [n, 3] in which it grows on; points [n, 3] its ends; normals [n, 3] of what it touches,
        zero where it hangs free.
    """
    lying = np.clip(1.6 * normals[:, 1], 0, 1) * np.clip((-11 - points[:, 1]) / 3, 0, 1)
    out = direction.copy()
    out[:, 0] *= 1 - lying
    out[:, 2] += 1.5 * lying * np.where(points[:, 2] > -3, 1.0, -1.0)
    return unit(out - normals * np.minimum((out * normals).sum(1, keepdims=True), 0))


def settled(scalp: Head, strands: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Long strands [n, m, 3] smoothed, off the face (`side` [n] is -1 or 1, 0 for a fringe), and on the
    clothes, not in them.
    """
    s, (n, m) = strands.copy(), strands.shape[:2]
    moved = off_the_face(s[:, 2:].reshape(-1, 3), np.repeat(side, m - 2)).reshape(n, -1, 3)
    s[:, 2:] = np.where((side != 0)[:, None, None], moved, s[:, 2:])
    s[:, 1:-1] = 0.5 * s[:, 1:-1] + 0.25 * (s[:, :-2] + s[:, 2:])
    return lie_on(scalp, s)


def lie_on(scalp: Head, strands: np.ndarray, gap: float = 0.35) -> np.ndarray:
    """Lifts what hangs below the chin [n, m, 3] to `gap` head units over skin and clothes."""
    flat = strands.reshape(-1, 3)
    low = np.flatnonzero(flat[:, 1] < -9)
    if not len(low):
        return strands
    flat = flat.copy()
    for _ in range(2):
        distance, out = scalp.clearance(flat[low])
        share = np.clip((-9 - flat[low, 1]) / 2, 0, 1)
        flat[low] += out * (share * np.maximum(gap - distance, 0))[:, None]
    return flat.reshape(strands.shape)


def tail_strands(
    rng: np.random.Generator, scalp: Head, length: float, count: int, segments: int = 9, thick: float = 1.0
) -> np.ndarray:
    """A pony tail from the tie point: [count, segments + 1, 3]."""
    t = np.linspace(0, 1, segments + 1)
    belly = 0.5 + 1.6 * np.sin(np.pi * np.minimum(0.1 + t * 0.75, 1)) * t**0.4
    spread = thick * rng.normal(size=(count, 1, 2)) * belly[None, :, None]
    back = 2.6 * np.sin(np.pi * np.minimum(t * 1.3, 0.6))
    reach = length * rng.uniform(0.82, 1.05, (count, 1))
    s = np.stack([
        spread[..., 0], TIE[1] + 0.4 - reach * t**1.25,
        TIE[2] - 0.9 - back + 0.7 * spread[..., 1] + 1.2 * t,
    ], -1)  # fmt: skip
    flat = s.reshape(-1, 3)
    distance, out = scalp.clearance(flat)
    flat = flat + out * np.maximum(0.8 - distance + 0.5 * (flat[:, 1] < -14), 0)[:, None]
    return flat.reshape(s.shape)
