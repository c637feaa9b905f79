# SPDX-License-Identifier: GPL-3.0-or-later
"""Glasses and hats, modelled on the mean head and carried to a person's."""

from __future__ import annotations

import numpy as np

from . import prints
from .cloth import BodyShape, Piece, shell
from .skin import Plain
from .strands import head
from .surface import border_edges


def tube(path: np.ndarray, radius: float, closed: bool, sides: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A round rod along a path [m, 3] -> vertices [m sides, 3], faces."""
    m = len(path)
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    up = np.where(np.abs(along[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    a = np.cross(along, up)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(along, a)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(turn)[None, :, None] * a[:, None] + np.sin(turn)[None, :, None] * b[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(m if closed else m - 1), np.arange(sides), indexing="ij")
    p, q = i * sides + j, i * sides + (j + 1) % sides
    r, s = (i + 1) % m * sides + j, (i + 1) % m * sides + (j + 1) % sides
    faces = np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([q, s, r], -1).reshape(-1, 3)])
    return vertices, faces.astype(np.int32)


def _rigid(shape: BodyShape, local: np.ndarray, faces: np.ndarray, material) -> Piece:
    """Something that goes with the head as one; `local` in head units of the mean head."""
    sites = shape.sites
    rest = sites.from_head_local(local).astype(np.float32)
    weights = np.zeros((len(rest), len(sites.template.joint_names)), np.float32)
    weights[:, sites.template.joint_names.index("head")] = 1
    return Piece(
        shape.carry(rest, 16),
        faces,
        shape.below(rest),
        rest,
        weights,
        np.zeros(len(faces), np.uint8),
        [material],
    )


BRIDGE, EAR = np.array([0.0, 0.2, 9.6]), np.array([7.7, 0.3, -0.8])  # of the mean head, head units


def _worn_glasses(shape: BodyShape, local: np.ndarray, faces: np.ndarray, material) -> Piece:
    """A part of a pair of glasses, `local` in head units of the mean head: wide and deep enough to lie on a
    person's ears and nose, otherwise rigid."""
    sites = shape.sites
    piece = _rigid(shape, local, faces, material)
    anchors = np.array([BRIDGE, EAR, EAR * [-1, 1, 1]])
    bridge, left, right = sites.head_local(shape.carry(sites.from_head_local(anchors).astype(np.float32)))
    ears = 0.5 * (left + right)
    wide, deep = (left[0] - right[0]) / (2 * EAR[0]), (bridge[2] - ears[2]) / (BRIDGE[2] - EAR[2])
    t = (local[:, 2] - EAR[2]) / (BRIDGE[2] - EAR[2])
    placed = np.stack([
        bridge[0] + wide * local[:, 0],
        ears[1] + t * (bridge[1] - ears[1]) + wide * (local[:, 1] - EAR[1] - t * (BRIDGE[1] - EAR[1])),
        ears[2] + deep * (local[:, 2] - EAR[2]),
    ], 1)  # fmt: skip
    piece.vertices = sites.from_head_local(placed).astype(np.float32)
    return piece


def make_glasses(rng: np.random.Generator, shape: BodyShape) -> list[Piece]:
    """Frames (with dark lenses in a quarter of cases) resting on nose and ears."""
    half_width, half_height = rng.uniform(2.3, 2.75), rng.uniform(1.55, 2.25)
    power, radius = rng.choice([2.0, 2.6, 4.0]), rng.uniform(0.08, 0.2)
    dark = rng.random() < 0.7
    colour = np.full(3, rng.uniform(0.03, 0.15)) if dark else rng.uniform(0.2, 0.8, 3)
    frame = Plain(colour.astype(np.float32), 0.3, 0.6)
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    x = 3.25 + half_width * np.sign(c) * np.abs(c) ** (2 / power)
    y = -0.45 + half_height * np.sign(s) * np.abs(s) ** (2 / power)
    rim = np.stack([x, y, 10.15 - 0.055 * x**2 + 0.10 * (y + 0.4)], 1)
    mirror = np.array([-1, 1, 1])
    reach = 3.25 + half_width
    hinge = np.array([reach, 0.2, 10.15 - 0.055 * reach**2])
    arm = np.array([hinge, [7.6, 0.4, 5.5], [8.1, 0.35, 1.5], [8.05, 0.2, -1.0], [7.85, -1.3, -2.6]])
    arm = np.stack([np.interp(np.linspace(0, 4, 17), np.arange(5), arm[:, i]) for i in range(3)], 1)
    inner = 3.25 - half_width
    bridge = np.stack(
        [np.linspace(-inner, inner, 7), 0.15 + 0.25 * np.cos(np.linspace(-1.5, 1.5, 7)), np.full(7, 10.2)], 1
    )
    pieces = []
    for path, closed in (
        (rim, True),
        (rim * mirror, True),
        (arm, False),
        (arm * mirror, False),
        (bridge, False),
    ):
        pieces.append(_worn_glasses(shape, *tube(path, radius, closed), frame))
    if rng.random() < 0.25:
        lens = Plain(np.full(3, rng.uniform(0.03, 0.12), np.float32), 0.05, 1.0)
        for side in (rim, rim * mirror):
            fan = np.stack([np.full(36, 36), np.arange(36), (np.arange(36) + 1) % 36], 1).astype(np.int32)
            pieces.append(
                _worn_glasses(shape, np.vstack([side, side.mean(0) + np.array([0, 0, 0.15])]), fan, lens)
            )
    return pieces


def make_hat(rng: np.random.Generator, shape: BodyShape) -> tuple[list[Piece], float]:
    """A knitted beanie or a woven cap; also the height (head units) of its lower edge, under which hair
    shows.
    """
    local = head().local
    cap = rng.random() < 0.5
    weave = int(rng.choice([prints.SMOOTH, prints.DENIM])) if cap else prints.KNIT
    colours = prints.palette(rng)
    material = prints.sample_fabric(rng, shape.sites, prints.OTHER, colours, 1.7, 1.6, weave=weave)
    edge, tilt = (3.7, 0.22) if cap else (2.9, 0.26)
    line = edge + tilt * local[:, 2] * 0.5
    outline = np.where(local[:, 1] > -4, (local[:, 1] - line), -1.0) * shape.sites.head_scale
    outline = np.where(
        np.abs(local[:, 0]) > 7.9, np.minimum(outline, (local[:, 1] - 2.0) * shape.sites.head_scale), outline
    )
    crown = np.clip((local[:, 1] - edge) / 6, 0, 1)
    offset = (0.012 + (0.013 if cap else 0.02) * crown).astype(np.float32)
    trims = [] if cap else [(0.035 - outline, 1)]
    piece = shell(shape, outline, offset, [material, material], trims, rounds=10, fine=False, hem_depth=0.004)
    if piece is None:
        return [], edge
    names = shape.sites.template.joint_names
    piece.weights[:] = 0
    piece.weights[:, names.index("head")] = 1
    if not cap:  # the turned-up band stands out
        band = np.unique(piece.faces[piece.material == 1])
        n = shape.sites.head_scale * 0.5
        centre = shape.carry(shape.sites.from_head_local(np.array([[0.0, 4.0, -0.5]])))[0]
        out = piece.vertices[band] - centre
        piece.vertices[band] += n * out / np.linalg.norm(out, axis=1, keepdims=True)
    pieces = [piece]
    if cap:
        pieces.append(_visor(shape, material, edge, tilt))
    return pieces, edge - 0.4


def _visor(shape: BodyShape, material, edge: float, tilt: float) -> Piece:
    """The brim of a cap: an arc in front of the forehead, two sheets sewn together all round."""
    turn = np.linspace(-1.15, 1.15, 19)
    rows = []
    for t in np.linspace(0, 1, 5):
        inner = np.stack([8.0 * np.sin(turn), np.zeros(19), 9.9 * np.cos(turn) - 0.4], 1)
        outer = np.stack(
            [7.4 * np.sin(turn), np.zeros(19), 10.2 * np.cos(turn) + 6.4 * np.cos(turn) ** 0.5], 1
        )
        row = inner + t * (outer - inner)
        row[:, 1] = (
            edge
            + 0.9
            + tilt * 0.5 * row[:, 2] * (1 - t)
            + tilt * 0.5 * 9.5 * t
            - 1.1 * t
            - 0.022 * row[:, 0] ** 2
        )
        rows.append(row)
    top = np.array(rows)
    points = np.concatenate([top.reshape(-1, 3), top.reshape(-1, 3) - [[0, 0.25, 0]]])
    i, j = np.meshgrid(np.arange(4), np.arange(18), indexing="ij")
    p = i * 19 + j
    up = np.concatenate(
        [
            np.stack([p, p + 19, p + 1], -1).reshape(-1, 3),
            np.stack([p + 1, p + 19, p + 20], -1).reshape(-1, 3),
        ]
    )
    a, b = border_edges(up).T
    rim = np.concatenate([np.stack([b, a, a + 95], 1), np.stack([b, a + 95, b + 95], 1)])
    return _rigid(shape, points, np.concatenate([up, up[:, ::-1] + 95, rim]).astype(np.int32), material)
