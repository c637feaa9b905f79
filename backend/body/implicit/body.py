# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole body as one function of a point."""

import numpy as np

from .head import Head
from .limbs import Arm, Leg
from .operators import bell, smooth_max, smooth_min
from .parameters import BodyParameters, Frame
from .trunk import Trunk

BLOCK = 8192  # points evaluated together: small enough that the temporaries stay in the cache


class Body:
    """Signed distance (negative inside) to one person of `BodyParameters`, mouth open, A-pose,
    centimetres."""

    def __init__(self, parameters=None):
        self.parameters = parameters or BodyParameters()
        self.frame = Frame(self.parameters)
        self.trunk = Trunk(self.parameters, self.frame)
        self.arm = Arm(self.parameters, self.frame)
        self.leg = Leg(self.parameters, self.frame)
        self.head = Head(self.parameters.face)

    def distance(self, points):
        """[n, 3] -> [n] float32."""
        points = np.asarray(points, np.float32)
        out = np.empty(len(points), np.float32)
        for start in range(0, len(points), BLOCK):
            block = points[start : start + BLOCK].copy()
            block[:, 0] = np.abs(block[:, 0])
            out[start : start + BLOCK] = self._block(block)
        return out

    def head_local(self, points):
        """Body centimetres -> head-local."""
        return (points - self.frame.head_centre) / self.frame.head_scale

    def from_head(self, points):
        """The inverse of `head_local`."""
        return points * self.frame.head_scale + self.frame.head_centre

    def _block(self, p):
        eyes = self.frame.head_centre[1]
        # Above the mouth no joint with the torso reaches; below the chest no joint with the head.
        high = p[:, 1] > eyes - 7
        low = p[:, 1] < eyes - 26
        out = np.empty(len(p), np.float32)
        if not high.all():
            out[~high] = self._torso_and_limbs(p[~high])
        for where, alone in ((high, True), (~high & ~low, False)):
            if where.any():
                q = self.head_local(p[where]).astype(np.float32)
                head = smooth_max(self.head.distance(q) * self.frame.head_scale, -(q[:, 1] + 21), 2)
                out[where] = head if alone else smooth_min(out[where], head, 2.0)
        return out

    def _torso_and_limbs(self, p):
        f = self.trunk.distance(p)
        for fold in self.arm.armpit_folds(p):
            f = smooth_min(f, fold, 4.5)
        f = smooth_min(f, self.arm.distance(p), 3.2)
        near = p[:, 1] < 125 * self.frame.scale
        if near.any():
            q = p[near]
            legs = smooth_min(self.leg.distance(q), self.trunk.seat(q), 4.0)
            low = smooth_min(f[near], legs, 4.5 + 1.5 * np.clip(self.parameters.fat, 0, 1))
            f[near] = low + 1.1 * bell(q, (0, 89 * self.frame.scale, -12.5), (0.9, 5.5, 4))
        return f
