# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs: iris, limbus, pupil and the white, by the angle to the gaze at rest (-Y)."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from .materials import Surface
from .noise import fbm, noise3, smoothstep

_JIT = {"cache": True, "nogil": True}
# Radians from the gaze: an iris of 11.8 mm on a ball of 15.8 mm radius, which is MakeHuman's.
IRIS = 0.38
PUPIL = 0.135


@numba.njit(**_JIT)
def shade_eye(points, centre, scale, iris, ring, sclera, pupil_size, veins, albedo, roughness, specular):
    """Fills albedo [p, 3], roughness [p] and specular [p] for rest points [p, 3] metres."""
    for n in range(len(points)):
        side = 1.0 if points[n, 0] > 0 else -1.0
        x = (abs(points[n, 0]) - centre[0]) / scale
        y, z = (points[n, 2] - centre[2]) / scale, -(points[n, 1] - centre[1]) / scale
        across = np.sqrt(x * x + y * y)
        angle, turn = np.arctan2(across, z), np.arctan2(y, x)
        t = angle / IRIS
        cx, cy = 6.0 * np.cos(turn), 6.0 * np.sin(turn)
        fibres = 0.5 * noise3(cx * 2.6, cy * 2.6, t * 1.6 + 9.0 * side) + 0.4 * noise3(
            cx * 6.0, cy * 6.0, t * 3.0
        )
        collarette = np.exp(-(((t - 0.52 - 0.04 * noise3(cx, cy, side)) / 0.10) ** 2))
        inner = smoothstep(0.62, 0.42, t + 0.06 * fibres)
        limbus = smoothstep(0.80, 1.02, t)
        white = smoothstep(0.975, 1.05, t)
        pupil = smoothstep(pupil_size + 0.012, pupil_size - 0.012, angle)
        # A vein is where noise that is stretched along the ball's meridians crosses zero.
        wander = fbm(x * 2.0 + 3.0 * side, y * 2.0, z * 2.0, 2)
        vein = np.exp(-((noise3(turn * 5.0 + 1.2 * wander, angle * 1.3, side) / 0.06) ** 2))
        vein += 0.6 * np.exp(-((noise3(turn * 11.0 + wander, angle * 3.0, 4.0 + side) / 0.07) ** 2))
        red = veins * vein * smoothstep(0.45, 0.9, angle) + 0.9 * smoothstep(0.62, 1.1, angle)
        # The upper lid and its lashes keep light off the top of the ball.
        lid = (1.0 - 0.5 * smoothstep(0.05, 0.42, y)) * (1.0 - 0.12 * smoothstep(-0.3, -0.62, y))
        # Light that enters the cornea from above gathers in the iris below.
        glow = 1.0 + 0.28 * smoothstep(0.15, -0.5, y)
        for i in range(3):
            colour = iris[i] + inner * (ring[i] - iris[i])
            colour *= (0.85 + 0.42 * fibres + 0.18 * collarette) * glow * (1 - 0.72 * limbus)
            colour *= 1 - 0.97 * pupil
            ball = sclera[i] * (1 - red * (0.07, 0.26, 0.25)[i]) * (1 - 0.1 * (1 - limbus))
            value = max(colour, 0.0) + white * (ball - max(colour, 0.0))
            albedo[n, i] = min(max(value * lid, 0.0), 1.0)
        roughness[n] = 0.09
        specular[n] = 0.38 * (0.4 + 0.6 * (1 - smoothstep(0.1, 0.5, y)))


@dataclass(frozen=True)
class Eye:
    """Both eyeballs; colours [3]."""

    iris: np.ndarray
    ring: np.ndarray  # round the pupil
    sclera: np.ndarray
    centre: np.ndarray  # [3] of the left ball, metres
    scale: float  # metres of a head unit
    pupil: float = PUPIL  # half angle, radians
    veins: float = 0.5

    def shade(self, rest_points: np.ndarray, normals: np.ndarray) -> Surface:
        p = np.ascontiguousarray(rest_points, np.float32)
        out = Surface.empty(len(p))
        shade_eye(p, self.centre, self.scale, self.iris, self.ring, self.sclera, self.pupil, self.veins, *out)
        return out
