# SPDX-License-Identifier: GPL-3.0-or-later
"""What a surface looks like at a point, and the interface every material of a person has."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Surface(NamedTuple):
    """Appearance of p points: albedo [p, 3] sRGB-encoded 0..1, roughness [p], specular [p] (0 none, 0.5
    skin, 1 wet).
    """

    albedo: np.ndarray
    roughness: np.ndarray
    specular: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Surface:
        """Uninitialized float32 arrays for `count` points, which a kernel fills."""
        return cls(np.empty((count, 3), np.float32), np.empty(count, np.float32), np.empty(count, np.float32))


class Material(Protocol):
    """Anything that can say how it looks at points of the mean template's rest space."""

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        """rest_points [p, 3] float32, shading normals [p, 3] in world space -> `Surface`."""


def srgb(hexcode: str) -> np.ndarray:
    """'#rrggbb' -> [3] float32 in 0..1."""
    return np.array([int(hexcode[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Hue (turns), saturation and value in 0..1 -> sRGB [3] float32."""
    k = (np.array([5.0, 3.0, 1.0]) + 6.0 * hue) % 6
    return (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


def luminance(colour: np.ndarray) -> float:
    """Rec. 709 luma of an sRGB-encoded colour."""
    return float(np.asarray(colour) @ np.array([0.2126, 0.7152, 0.0722]))
