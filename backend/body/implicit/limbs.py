# SPDX-License-Identifier: GPL-3.0-or-later
"""Arms and legs. Points have x = |x|; body centimetres."""

import numpy as np

from .extremities import foot, hand
from .operators import Profile, bell, chain, ellipsoid, quadrant_ellipse, smooth_max, smooth_min, sphere
from .tables import ARM, LEG
from .trunk import hump, mix


class Arm:
    """A loft round the straight line from shoulder to wrist, bowed through the elbow."""

    def __init__(self, parameters, frame):
        self.p, self.frame = parameters, frame
        s, k = ARM[:, 0], frame.scale
        radii = mix(ARM[:, 1:5], ARM[:, 5:9], parameters.sex)
        upper, fore = np.clip((30 - s) / 12, 0, 1), hump(s, 36, 6)
        fat, muscle = parameters.fat, parameters.muscle
        grow = 1 + fat * (0.03 + 0.13 * upper + 0.06 * fore) + muscle * (0.12 * upper + 0.09 * fore)
        self.radii = [Profile(s * k, radii[:, i] * grow) for i in range(4)]

    def distance(self, points):
        frame = self.frame
        axis, up, front = frame.arm_axes
        shoulder, elbow = frame.joints["upper_arm"], frame.joints["forearm"]
        q = points - shoulder.astype(np.float32)
        t, u, v = (q @ frame.arm_axes.T.astype(np.float32)).T
        offset = elbow - shoulder
        elbow_t = offset @ axis
        bow = np.interp(t, [0, elbow_t, frame.arm_length], [0, 1, 0])
        u, v = u - bow * (offset @ up), v - bow * (offset @ front)
        # the wrist lies flat with the pronated hand, so the section turns along the forearm
        twist = np.interp(t, [elbow_t, frame.arm_length], [0, np.deg2rad(75)])
        u, v = np.cos(twist) * u + np.sin(twist) * v, -np.sin(twist) * u + np.cos(twist) * v
        r_up, r_down, r_front, r_back = (profile(t) for profile in self.radii)
        f = quadrant_ellipse(u, v, r_down, r_up, r_back, r_front)
        f = smooth_max(f, -t - 3.2, 3.0)
        f = smooth_max(f, t - frame.arm_length - 1.0, 2.0)
        f = self._muscles(f, points)
        return smooth_min(f, hand(points, frame), 2.4)

    def _muscles(self, f, points):
        frame, sex, muscle = self.frame, self.p.sex, self.p.muscle
        axis, up, front = frame.arm_axes
        shoulder = frame.joints["upper_arm"]
        radii = mix((9.0, 5.5, 6.1), (8.2, 4.5, 5.1), sex) * (1 + 0.1 * muscle + 0.06 * self.p.fat)
        f = smooth_min(
            f, ellipsoid(points, shoulder + axis * 5.0 * frame.scale + up * 0.8, radii, frame.arm_axes), 2.5
        )
        f = f - 0.35 * bell(points, frame.joints["forearm"] - front * 3.6, (1.2, 1.2, 1.2))
        biceps = shoulder + axis * 16 * frame.scale + front * 4.5
        return f - (0.45 - 0.3 * sex + 0.3 * muscle) * bell(points, biceps, (5, 2.5, 2.5), frame.arm_axes)

    def armpit_folds(self, points):
        """The front and the rear fold between chest and arm."""
        frame, sex = self.frame, self.p.sex
        axis, up, front = frame.arm_axes
        shoulder, k, g = frame.joints["upper_arm"], frame.scale, frame.girth
        grow = 1 + 0.08 * self.p.fat + 0.06 * self.p.muscle
        wide = np.array([0.6 * self.p.shoulders, 0, 0])
        folds = []
        for man, woman, radii_man, radii_woman, arm_front, arm_up in (
            (((8, 132, 6.6), (13.2, 135.5, 3.8)), ((8, 132, 4.6), (12, 136, 2.4)), (3.4, 3.9, 3.4),
             (2.6, 3.1, 2.8), 1.3, -0.6),
            (((11.5, 126, -4.8), (14.5, 134, -5.3)), ((10.0, 126, -4.2), (12.5, 134, -4.5)), (2.8, 3.8, 3.4),
             (2.4, 3.3, 2.8), -1.6, -0.8),
        ):  # fmt: skip
            chest = mix(man, woman, sex) * (g, k, g) + wide
            end = shoulder + axis * (9 - sex) + front * arm_front + up * arm_up
            folds.append(chain(points, [*chest, end], mix(radii_man, radii_woman, sex) * grow))
        return folds


class Leg:
    """A loft by height round a curve through hip, knee and ankle."""

    def __init__(self, parameters, frame):
        self.p, self.frame = parameters, frame
        y, k = LEG[:, 0], frame.scale
        radii = mix(LEG[:, 1:5], LEG[:, 5:9], parameters.sex) * frame.girth
        thigh, calf = np.clip((y - 45) / 30, 0, 1), hump(y, 34, 8)
        fat, muscle = parameters.fat, parameters.muscle
        grow = 1 + fat * (0.04 + 0.12 * thigh + 0.05 * calf) + muscle * (0.06 * thigh + 0.07 * calf)
        self.radii = [Profile(y * k, radii[:, i] * grow) for i in range(4)]
        hip, knee, ankle = (frame.joints[name] for name in ("thigh", "shin", "foot"))
        stations = [95 * k, hip[1], 70 * k, knee[1], 34 * k, ankle[1], 0]
        self.x = Profile(
            stations, [hip[0] - 0.2, hip[0] - 0.2, hip[0] + 0.1, knee[0], knee[0] + 0.6, ankle[0], ankle[0]]
        )
        self.z = Profile(stations, [hip[2] - 0.3, hip[2] - 0.2, 0.5, knee[2] + 0.1, -1.6, ankle[2], ankle[2]])

    def distance(self, points):
        x, y, z = points.T
        k = self.frame.scale
        lateral, medial, front, back = (profile(y) for profile in self.radii)
        f = quadrant_ellipse(x - self.x(y), z - self.z(y), medial, lateral, back, front, 2.1)
        # an inguinal slope: a level cap would leave a shelf at the hip
        f = smooth_max(f, (y - 97 * k) * 0.8 + (x - 8.8 - 0.5 * self.p.hips) * 0.6, 7)
        f = smooth_max(f, 3.5 - y, 3)
        f = self._relief(f, points)
        return smooth_min(f, foot(points, self.frame), 1.8)

    def _relief(self, f, points):
        knee, ankle, k = self.frame.joints["shin"], self.frame.joints["foot"], self.frame.scale
        lean = np.clip(1 - 0.5 * self.p.fat + 0.5 * self.p.muscle, 0.3, 1.6)

        def at(centre, dx, dy, dz, sigma):
            return bell(points, centre + np.array([dx, dy, dz]), sigma)

        f = f - 0.55 * at(knee, 0, 1, 6, (1.7, 2.0, 2.0)) - 0.35 * at(knee, 0, -6, 5.2, (1.0, 1.8, 1.5))
        f = f + 0.35 * at(knee, -3.5, -1, 5, (1.2, 3, 1.5)) + 0.35 * at(knee, 3.5, -1, 5, (1.2, 3, 1.5))
        f = f - 0.5 * at(knee, -4.0, 7.5, 4.5, (1.8, 3.5, 2.2)) + 0.5 * at(knee, 0, 0, -6, (1.8, 3, 1.6))
        f = f - 0.5 * lean * bell(points, (knee[0] - 2.6, 36 * k, -7), (2.0, 5, 3))
        f = f - 0.3 * lean * bell(points, (knee[0] + 3.2, 38 * k, -6.5), (1.8, 5, 3))
        f = f + 0.3 * lean * bell(points, (knee[0] + 0.4, 34 * k, -8), (0.7, 7, 2))
        f = smooth_min(f, sphere(points, ankle + np.array([-3.0, 0.6, 1.2]), 1.25), 1.4)
        f = smooth_min(f, sphere(points, ankle + np.array([3.1, -0.4, 0.2]), 1.2), 1.4)
        return (
            f
            + 0.5 * at(ankle, -2.6, 2, -2.6, (0.9, 3.5, 1.2))
            + 0.5 * at(ankle, 2.6, 2, -2.6, (0.9, 3.5, 1.2))
        )
