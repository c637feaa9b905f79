# SPDX-License-Identifier: GPL-3.0-or-later
"""The body's parts unrolled as cylinders: how far along its part each place lies, and where around it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from ..body.skeleton import INDEX
from ..body.template import SKIN, load_template
from .limbs import ARM, LEG
from .places import FEET, HANDS, NECK, Places

ROW, COLUMNS = 0.005, 32  # metres along a part, and cells around it
MARGIN = 0.05  # metres that a part is longer than its bones, at each end
LEAST = 0.02  # share of a place from which it counts as a part's
STEP = 0.02  # metres along a part between which its middle is looked for
TRUNK = ("pelvis", "spine1", "spine2", "spine3", "clavicle.L", "clavicle.R", *NECK, "head", "jaw")
UP, FRONT = np.array([0.0, 0, 1]), np.array([0.0, -1, 0])
PARTS = ("trunk", "scalp", *(f"{name}.{s}" for s in "LR" for name in ("arm", "hand", "leg", "foot")))


@dataclass(frozen=True)
class Part:
    """A part of the body as a grid of `rows` cells of `ROW` along its axis and `COLUMNS` around it.

    places [n]: numbers of its places; share [n] in 0..1: how much each is this part's; row, column [n]: where
    on the grid, column 0 in front (of feet, above); opposite [n,3]: the place's image behind the axis, in the
    mean canonical space.
    """

    name: str
    rows: int
    places: np.ndarray
    share: np.ndarray
    row: np.ndarray
    column: np.ndarray
    opposite: np.ndarray

    @property
    def kind(self) -> str:
        """The name without the side."""
        return self.name.split(".")[0]

    def at(self, grid: np.ndarray) -> np.ndarray:
        """[n,C] values of a grid [rows,COLUMNS,C] at the part's places."""
        wrapped = np.concatenate([grid[:, -1:], grid, grid[:, :1]], 1)
        at = np.stack([self.row - 0.5, self.column + 0.5])
        planes = np.moveaxis(wrapped, -1, 0)
        return np.stack([ndimage.map_coordinates(p, at, order=1, mode="nearest") for p in planes], -1)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[rows,COLUMNS] sums of values [n] over the places in each cell."""
        cell = self.row.astype(int) * COLUMNS + self.column.astype(int) % COLUMNS
        return np.bincount(cell, values, self.rows * COLUMNS).reshape(self.rows, COLUMNS)


@cache
def unrolled(places: Places) -> list[Part]:
    """The parts `PARTS`; face and ears, eyes and mouth belong to none."""
    share = {"trunk": places.share(TRUNK) * (1 - places.scalp), "scalp": places.scalp}
    for s in "LR":
        share[f"arm.{s}"] = places.share([f"{name}.{s}" for name in ARM])
        share[f"leg.{s}"] = places.share([f"{name}.{s}" for name in LEG])
        share[f"hand.{s}"] = places.share([name for name in HANDS if name.endswith(s)])
        share[f"foot.{s}"] = places.share([name for name in FEET if name.endswith(s)])
    body = (places.part == SKIN) * (1 - np.clip(np.maximum(4 * places.face, places.ears), 0, 1))
    return [_part(places, name, share[name] * body) for name in PARTS]


def _part(places: Places, name: str, share: np.ndarray) -> Part:
    rows = np.flatnonzero(share > LEAST)
    points = places.positions[rows].astype(np.float64)
    start, end, front = _axis(name)
    length = np.linalg.norm(end - start)
    direction = (end - start) / length
    front = front - direction * (front @ direction)
    front /= np.linalg.norm(front)
    off = points - start
    along, before, beside = off @ direction + MARGIN, off @ front, off @ np.cross(front, direction)
    before = before - _middle(along, before)
    column = np.arctan2(beside, before) / (2 * np.pi) * COLUMNS % COLUMNS
    count = int(np.ceil((length + 2 * MARGIN) / ROW))
    row = np.clip(along / ROW, 0, count - 1e-6)
    opposite = points - 2 * before[:, None] * front
    return Part(name, count, rows, share[rows].astype(np.float32), row, column, opposite)


def _middle(along: np.ndarray, before: np.ndarray) -> np.ndarray:
    """[n] metres: half way between the foremost and the hindmost place at the same height, smoothly."""
    cell = np.maximum(along / STEP, 0).astype(int)
    least, most = np.full(cell.max() + 1, np.inf), np.full(cell.max() + 1, -np.inf)
    np.minimum.at(least, cell, before)
    np.maximum.at(most, cell, before)
    known = np.flatnonzero(most >= least)
    centre = np.interp(np.arange(len(most)), known, (least[known] + most[known]) / 2)
    return np.interp(
        along / STEP - 0.5, np.arange(len(most)), ndimage.gaussian_filter1d(centre, 2, mode="nearest")
    )


def _axis(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and end [3] in metres, and the direction [3] that counts as front."""
    template = load_template()
    head = lambda joint: template.joint_heads[INDEX[joint]].astype(np.float64)  # noqa: E731
    tail = lambda joint: template.joint_tails[INDEX[joint]].astype(np.float64)  # noqa: E731
    kind, side = name.split(".")[0], name[-1]
    if kind == "trunk":
        return head("thigh.L") * UP, head("head") * UP, FRONT
    if kind == "scalp":
        return head("neck2") * UP, tail("head") * UP, FRONT
    if kind == "arm":
        return head(f"upper_arm.{side}"), head(f"hand.{side}"), FRONT
    if kind == "hand":
        return head(f"hand.{side}"), tail(f"middle3.{side}"), FRONT
    if kind == "leg":
        return head(f"thigh.{side}"), head(f"foot.{side}"), FRONT
    return head(f"foot.{side}") - 0.05 * FRONT, tail(f"toe.{side}"), UP
