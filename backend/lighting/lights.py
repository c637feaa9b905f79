# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of lights in Blender's units, and what a point of one gives to a surface.

A white matte surface that faces irradiance E (W/m^2) shows the radiance E / pi; every function here gives
E / pi, so that a colour is albedo times its result.
Figures beside Cycles are in docs/measurements.md.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from .environment import Environment

NEAREST = 0.01  # metres: a lamp inside a surface does not shine infinitely
GOLDEN = math.pi * (3 - math.sqrt(5))  # radians between points of a sunflower


@dataclass(frozen=True)
class Sun:
    """color [3] W/m^2 on a surface that faces it; direction [3] unit, towards the sun; angle: its diameter in
    radians."""

    color: tuple[float, float, float]
    direction: tuple[float, float, float]
    angle: float = 0.0


@dataclass(frozen=True)
class Point:
    """color [3] watts; position [3] and radius in metres."""

    color: tuple[float, float, float]
    position: tuple[float, float, float]
    radius: float = 0.0


@dataclass(frozen=True)
class Spot:
    """A point lamp that shines along direction [3], unit, within the full angle `size` (radians), softened
    over the share `blend` of the cone."""

    color: tuple[float, float, float]
    position: tuple[float, float, float]
    direction: tuple[float, float, float]
    size: float
    blend: float = 0.0
    radius: float = 0.0


@dataclass(frozen=True)
class Area:
    """A flat lamp that shines along direction [3], unit. color [3] watts; sides: two vectors [2,3] from edge
    to edge in metres; ellipse: round, not a rectangle; spread: the full angle in radians that it shines
    into, less than pi for a lamp with a grid before it."""

    color: tuple[float, float, float]
    position: tuple[float, float, float]
    direction: tuple[float, float, float]
    sides: tuple[tuple[float, float, float], tuple[float, float, float]]
    ellipse: bool = False
    spread: float = math.pi


Lamp = Sun | Point | Spot | Area


@dataclass(frozen=True)
class Lights:
    """All that lights an avatar: the world's radiance [3], times an environment map's where there is one, and
    lamps. Equal lights are equal, and hashable."""

    world: tuple[float, float, float] = (0.0, 0.0, 0.0)
    environment: Environment | None = None
    lamps: tuple[Lamp, ...] = field(default_factory=tuple)

    @property
    def dark(self) -> bool:
        """Whether nothing shines."""
        world = any(self.world) and (self.environment is None or self.environment.pixels.any())
        return not world and not any(any(lamp.color) for lamp in self.lamps)


def lamp_samples(lamp: Lamp, count: int) -> np.ndarray:
    """Points [count,3] of a lamp, of equal share: positions, of a sun unit directions towards it. One is its
    middle."""
    if isinstance(lamp, Area):
        center, (right, up), reach = np.array(lamp.position), np.array(lamp.sides), 0.5
    elif isinstance(lamp, Sun):
        center, reach = np.array(lamp.direction), math.tan(min(lamp.angle, 3.0) / 2)
        right, up = _across(center)
    else:
        center, reach = np.array(lamp.position), lamp.radius
        right, up = _across(np.array(getattr(lamp, "direction", (0.0, 0.0, -1.0))))
    square = isinstance(lamp, Area) and not lamp.ellipse
    u, v = (_in_square(count) if square else reach * _in_disk(count)).T
    points = center + u[:, None] * right + v[:, None] * up
    if isinstance(lamp, Sun):
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


def _across(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors across a direction and each other."""
    right = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
    right /= np.linalg.norm(right)
    return right, np.cross(right, direction)


def _in_disk(count: int) -> np.ndarray:
    """Well-spread points [count,2] in the unit disk (a sunflower), the middle alone where there is one."""
    if count == 1:
        return np.zeros((1, 2))
    i = np.arange(count)
    radius, turn = np.sqrt((i + 0.5) / count), i * GOLDEN
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1)


def _in_square(count: int) -> np.ndarray:
    """Well-spread points [count,2] in -0.5..0.5 (the R2 sequence of Roberts 2018)."""
    if count == 1:
        return np.zeros((1, 2))
    i = np.arange(count)[:, None]
    return (0.5 + i * np.array([0.7548776662, 0.5698402910])) % 1 - 0.5


def incoming(lamp: Lamp, at: np.ndarray, points: np.ndarray, share: float = 1.0):
    """What one point `at` [3] of a lamp, a share of it, gives to points [n,3]: unit directions towards it
    [n,3] ([1,3] of a sun), and irradiance over pi [n] ([1]) of a surface that faces it, per `color`."""
    if isinstance(lamp, Sun):
        return np.asarray(at, points.dtype)[None], np.full(1, share / math.pi, points.dtype)
    to_lamp = np.asarray(at, points.dtype) - points
    square = np.maximum(np.einsum("ni,ni->n", to_lamp, to_lamp), NEAREST**2)
    to_lamp /= np.sqrt(square)[:, None]
    if isinstance(lamp, Point):
        return to_lamp, share / (4 * math.pi**2) / square
    cosine = -(to_lamp @ np.asarray(lamp.direction, points.dtype))
    if isinstance(lamp, Spot):
        return to_lamp, share / (4 * math.pi**2) * _cone(lamp, cosine) / square
    return to_lamp, share / math.pi**2 * np.maximum(cosine, 0) * _spread(lamp, cosine) / square


def _cone(lamp: Spot, cosine: np.ndarray) -> np.ndarray:
    """Blender's falloff of a spot: a smooth step between the cone's edge and its blend."""
    edge = math.cos(lamp.size / 2)
    soft = max((1 - edge) * lamp.blend, 1e-6)
    t = np.clip((cosine - edge) / soft, 0, 1)
    return t * t * (3 - 2 * t)


def _spread(lamp: Area, cosine: np.ndarray) -> np.ndarray:
    """Cycles' falloff of an area lamp with less spread than a half space; its power stays the same."""
    if lamp.spread > math.pi - 0.001:
        return np.ones(1, cosine.dtype)
    half = max(lamp.spread / 2, 1e-3)
    tangent = np.sqrt(np.maximum(1 - cosine**2, 0)) / np.maximum(cosine, 1e-6)
    return np.maximum(math.tan(half) - tangent, 0) / (math.tan(half) - half)
