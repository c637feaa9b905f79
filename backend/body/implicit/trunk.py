# SPDX-License-Identifier: GPL-3.0-or-later
"""Torso, shoulder girdle and seat. Points have x = |x|; body centimetres."""

import numpy as np

from .operators import Profile, bell, chain, ellipsoid, rotation, smooth_max, smooth_min, superellipse
from .tables import TORSO


def mix(man, woman, sex):
    return np.asarray(man, float) * (1 - sex) + np.asarray(woman, float) * sex


def hump(y, centre, sigma):
    return np.exp(-0.5 * ((y - centre) / sigma) ** 2)


class Trunk:
    def __init__(self, parameters, frame):
        self.p, self.frame = parameters, frame
        p = parameters
        y = TORSO[:, 0]
        section = mix(TORSO[:, 1:4], TORSO[:, 4:7], p.sex)
        belly, chest, hip = hump(y, 104, 9), hump(y, 130, 9), hump(y, 90, 8)
        fat, muscle = p.fat, p.muscle
        section[:, 0] *= (
            1
            + fat * (0.04 + 0.15 * belly + 0.06 * hip + 0.03 * chest)
            + muscle * (0.06 * chest - 0.02 * belly)
        )
        section[:, 0] += p.hips * hump(y, 90, 7) + 0.8 * p.shoulders * hump(y, 139, 8)
        section[:, 1] *= 1 + fat * (0.04 + 0.38 * belly + 0.08 * chest) + 0.06 * muscle * chest
        section[:, 2] *= 1 + fat * (0.04 + 0.10 * belly + 0.08 * hip) + 0.06 * muscle * chest
        self.profiles = [Profile(y * frame.scale, section[:, i] * frame.girth) for i in range(3)]
        self.profiles.append(Profile(y * frame.scale, TORSO[:, 7]))
        self.belly_front = 1 + 0.3 * max(fat, -0.5)

    def at(self, x, y, z):
        """A point of the 175 cm frame in this body's."""
        return np.array([x * self.frame.girth, y * self.frame.scale, z * self.frame.girth])

    def brush(self, points, centre, sigma):
        return bell(points, self.at(*centre), np.asarray(sigma) * self.frame.girth)

    def distance(self, points):
        x, y, z = points.T
        k = self.frame.scale
        width, front, back, exponent = (profile(y) for profile in self.profiles)
        centre = (front + back) * 0.5 - 0.3
        f = superellipse(x, z - centre, width, np.where(z > centre, front - centre, centre - back), exponent)
        f = smooth_max(f, 84 * k - y, 6)
        f = smooth_max(f, y - 150 * k, 6)
        f = self._chest(f, points)
        f = self._relief(f, points)
        return self._girdle(f, points)

    def _chest(self, f, points):
        p, k, g = self.p, self.frame.scale, self.frame.girth
        man = np.clip(1 - p.sex, 0, 1.3)
        size = 0.62 + 0.38 * p.bust
        f = f - (1.35 * man + 0.5 * p.muscle) * self.brush(points, (7.2, 128.5, 10.5), (4.6, 4.0, 3.5))
        f = f - 0.8 * (man + 0.4 * p.muscle) * self.brush(points, (14.8, 122, -4), (3, 8, 5))
        depth = 7.0 - 3.2 * max(1 - p.bust, 0)
        breast = ellipsoid(
            points, (7.2 * g, 124.8 * k, depth * g), np.array([5.3, 5.5, 5.6]) * size, rotation("y", 12)
        )
        pole = ellipsoid(points, (7.2 * g, 127.5 * k, (depth - 0.8) * g), np.array([5.0, 6.8, 4.6]) * size)
        f = smooth_min(f, breast, 4.0)
        f = smooth_min(f, pole, 4.0)
        return f + 0.45 * self.brush(points, (0, 128, 12), (1.1, 6, 3))

    def _relief(self, f, points):
        lean = np.clip(1 + 0.5 * self.p.muscle - 0.5 * self.p.fat, 0.3, 1.6)
        f = f - 1.0 * self.brush(points, (8.5, 134, -11.0), (4.0, 5.5, 3))
        f = f + 0.85 * lean * self.brush(points, (0, 112, -10), (1.3, 14, 3))
        f = f - 0.45 * lean * self.brush(points, (3.6, 110, -8.5), (2, 9, 3))
        f = f + 0.35 * lean * self.brush(points, (0, 113, 11), (1.0, 9, 3))
        navel = np.interp(104.5 * self.frame.scale, self.profiles[1].grid, self.profiles[1].values)
        f = f + 0.9 * bell(points, (0, 104.5 * self.frame.scale, navel + 0.2), (0.7, 0.8, 1.6))
        return f - (0.6 + 0.3 * self.p.sex) * self.brush(points, (0, 99, 10), (7, 5, 4))

    def _girdle(self, f, points):
        sex, k, g = self.p.sex, self.frame.scale, self.frame.girth
        wide = self.p.shoulders
        out = np.array([0.6 * wide, 0, 0])
        bone = [self.at(1.6, 145.2, 2.9), self.at(8, 147, 0.8) + out / 2, self.at(15, 146.8, -2.6) + out]
        f = smooth_min(f, chain(points, bone, [0.75, 0.6, 0.8]), 2.6)
        f = f + 0.22 * self.brush(points, (6, 148, 0.3), (2.6, 1.2, 2))
        f = f + 0.45 * self.brush(points, (0, 146.6, 3.2), (0.9, 0.9, 1.5))
        big = 1 + 0.05 * self.p.muscle
        centre = np.array([10.5 * g, 140 * k, -2.8]) + out
        radii = mix((8.2, 6.6, 6.6), (7.0, 6.2, 5.6), sex) * big
        f = smooth_min(f, ellipsoid(points, centre, radii, rotation("z", 12)), 4.5)
        slope = [(1.2, 152 * k, -2.2), (5.0 * g, 148 * k, -4.4), np.array([14.5 * g, 145.2 * k, -4.2]) + out]
        radii = mix((2.9, 3.3, 3.0), (2.3, 2.4, 2.3), sex) * (1 + 0.12 * self.p.muscle)
        return smooth_min(f, chain(points, slope, radii), 4.5)

    def seat(self, points):
        k, g = self.frame.scale, self.frame.girth
        radii = mix((7.3, 8.6, 7.0), (7.8, 8.8, 7.6), self.p.sex) * (1 + 0.09 * self.p.fat)
        return ellipsoid(points, (7.4 * g + 0.5 * self.p.hips, 88.5 * k, -6.0), radii)
