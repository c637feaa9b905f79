# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment maps: radiance from every direction, equirectangular as Blender has it, and their summaries."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from .harmonics import basis

LARGEST = (256, 512)  # rows, columns that are kept: an avatar's light needs no more
SUMMARY = (64, 128)  # rows, columns that sums over all directions are taken of
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
# Radiance up to so many times the mean counts in the fixed directions, what is above as lights of its own.
PEAK = 4.0
SLIGHTLY = -0.1  # negative radiance that lossy compression leaves; it becomes zero without a word
BRIGHTEST = 1e6  # radiance; more is a damaged pixel, or a sun that belongs in a lamp


@dataclass(frozen=True, eq=False)
class Environment:
    """pixels float32 [H,W,3]: radiance, row 0 up (+Z), the middle column towards +X in its own axes, columns
    to the right turning towards -Y (Blender's equirectangular projection, any H and W). rotation [3,3]: world
    directions to its own axes. Equal maps are equal, and hashable."""

    pixels: np.ndarray
    rotation: np.ndarray = None

    def __post_init__(self):
        pixels = _smaller(np.asarray(self.pixels, np.float32), LARGEST)
        rotation = np.eye(3) if self.rotation is None else np.array(self.rotation, np.float64)
        object.__setattr__(self, "pixels", np.ascontiguousarray(pixels))
        object.__setattr__(self, "rotation", rotation)

    def turned(self, rotation: np.ndarray) -> "Environment":
        """The same map with another rotation."""
        other = Environment(self.pixels, rotation)
        other.__dict__["content"] = self.content
        return other

    @cached_property
    def content(self) -> bytes:
        return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).digest()

    def __hash__(self) -> int:
        return hash((self.content, self.rotation.tobytes()))

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Environment)
            and self.content == other.content
            and self.rotation.tobytes() == other.rotation.tobytes()
        )

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """Radiance [n,3] from unit world directions [n,3], of the nearest pixel."""
        x, y, z = (directions @ self.rotation.T.astype(directions.dtype)).T
        height, width = self.pixels.shape[:2]
        column = ((0.5 - np.arctan2(y, x) / (2 * math.pi)) * width).astype(int) % width
        row = (0.5 - np.arcsin(np.clip(z, -1, 1)) / math.pi) * height
        return self.pixels[np.clip(row.astype(int), 0, height - 1), column]

    @cached_property
    def own(self) -> "Environment":
        """The same map, not turned."""
        return self.turned(np.eye(3))

    def directional(self, size: tuple[int, int] = SUMMARY) -> "Directional":
        """The map as distant lights, about size[0] rows of size[1]."""
        return _directional(self.own, size)

    def harmonics(self) -> np.ndarray:
        """Radiance coefficients [9,3] in its own axes (`harmonics.basis`)."""
        lights = self.directional()
        return (basis(lights.directions).T @ lights.weights).astype(np.float32)


class Directional(NamedTuple):
    """Distant lights: unit directions [n,3] in a map's own axes, solid angles [n] of 4 pi together, weights
    [n,3]: radiance times solid angle."""

    directions: np.ndarray
    solid_angles: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=32)
def _directional(environment: Environment, size: tuple[int, int]) -> Directional:
    pixels = _smaller(environment.pixels, size)
    repeats = [max(most // side, 1) for most, side in zip(size, pixels.shape[:2], strict=True)]
    pixels = pixels.repeat(repeats[0], 0).repeat(repeats[1], 1)  # a tiny map covers all directions, too
    areas = solid_angles(*pixels.shape[:2])
    weights = pixels.astype(np.float64) * areas[..., None]
    return Directional(pixel_directions(*pixels.shape[:2]), areas.ravel(), weights.reshape(-1, 3))


def pixel_directions(height: int, width: int) -> np.ndarray:
    """Unit directions [H W,3] of an equirectangular map's pixels in its own axes."""
    up = (0.5 - (np.arange(height) + 0.5) / height) * math.pi
    turn = (0.5 - (np.arange(width) + 0.5) / width) * 2 * math.pi
    up, turn = np.meshgrid(up, turn, indexing="ij")
    return np.stack([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up)], -1).reshape(-1, 3)


def solid_angles(height: int, width: int) -> np.ndarray:
    """Steradians [H,W] of an equirectangular map's pixels; their sum is 4 pi."""
    edge = np.sin((0.5 - np.arange(height + 1) / height) * math.pi)
    return np.broadcast_to(((edge[:-1] - edge[1:]) * 2 * math.pi / width)[:, None], (height, width))


def _smaller(pixels: np.ndarray, most: tuple[int, int]) -> np.ndarray:
    """Means over blocks of pixels, weighted by their solid angle, so that the light stays the same."""
    height, width = pixels.shape[:2]
    if height > most[0]:
        edges = np.linspace(0, height, most[0] + 1).round().astype(int)
        weight = solid_angles(height, 1)[:, :, None].astype(np.float32)
        pixels = np.add.reduceat(pixels * weight, edges[:-1]) / np.add.reduceat(weight, edges[:-1])
    if width > most[1]:
        edges = np.linspace(0, width, most[1] + 1).round().astype(int)
        pixels = np.add.reduceat(pixels, edges[:-1], axis=1) / np.diff(edges)[None, :, None]
    return pixels.astype(np.float32)


def cleaned(pixels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Pixels [H,W,3] without impossible values, and a sentence for each kind of fault that was found."""
    remarks = []
    bad = ~np.isfinite(pixels) | (pixels < SLIGHTLY) | (pixels > BRIGHTEST)
    if bad.any():
        count = int(bad.any(-1).sum())
        remarks.append(f"{count} pixels of it hold no light (NaN, infinite or negative): left black.")
        pixels = np.where(bad.any(-1, keepdims=True), 0, pixels)
    height, width = pixels.shape[:2]
    if width != 2 * height and min(height, width) > 1:
        remarks.append(f"It is {width} x {height} pixels, not twice as wide as high, and is stretched.")
    return np.maximum(pixels, 0), remarks


def split(environment: Environment, directions: np.ndarray, peaks: int):
    """The map as fixed directions and its peaks: world directions [D+P,3] and radiance times solid angle
    [D+P,3]. `directions` [D,3] take what is below PEAK times the mean luminance around them, `peaks` lights
    the rest, by median cut (Debevec 2005)."""
    towards, areas, weights = environment.directional()
    towards = towards @ environment.rotation
    size = weights @ LUMINANCE
    pixels = size / areas
    cap = PEAK * size.sum() / (4 * math.pi)
    above = np.maximum(1 - cap / np.maximum(pixels, 1e-12), 0)[:, None] * weights
    nearest = (towards @ directions.T).argmax(1)
    below = weights - above
    cells = np.stack([np.bincount(nearest, below[:, c], len(directions)) for c in range(3)], 1)
    strong = np.flatnonzero(above.any(1))
    parts = _median_cut(towards[strong], above[strong], peaks) if len(strong) else []
    found = [(_middle(towards[strong[p]], above[strong[p]]), above[strong[p]].sum(0)) for p in parts]
    if not found:
        return directions, cells
    middles, sums = zip(*found, strict=True)
    return np.concatenate([directions, middles]), np.concatenate([cells, sums])


def _median_cut(directions: np.ndarray, weights: np.ndarray, count: int) -> list[np.ndarray]:
    """Rows in at most `count` groups of much alike luminance, none wide."""
    luminance = weights @ LUMINANCE
    parts = [np.arange(len(directions))]
    while len(parts) < count:
        wide = [luminance[p].sum() * np.ptp(directions[p], axis=0).max() for p in parts]
        largest = int(np.argmax(wide))
        if wide[largest] <= 0:
            break
        part = parts.pop(largest)
        order = part[np.argsort(directions[part, np.ptp(directions[part], axis=0).argmax()])]
        half = np.searchsorted(np.cumsum(luminance[order]), luminance[order].sum() / 2) + 1
        half = min(max(int(half), 1), len(order) - 1)
        parts += [order[:half], order[half:]]
    return parts


def _middle(directions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean = (directions * (weights @ LUMINANCE)[:, None]).sum(0)
    return mean / max(np.linalg.norm(mean), 1e-12)


def uniform_directions(count: int) -> np.ndarray:
    """Well-spread unit directions [count,3] (a spherical Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, i * math.pi * (3 - math.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], 1)
