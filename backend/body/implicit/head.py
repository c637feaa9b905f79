# SPDX-License-Identifier: GPL-3.0-or-later
"""Skull, face, neck and ears. Head-local centimetres: y = 0 at the pupils, z = 0 mid-head."""

import numpy as np

from .operators import (
    Profile,
    bell,
    chain,
    cone,
    ellipsoid,
    rotation,
    smooth_max,
    smooth_min,
    sphere,
    superellipse,
)
from .tables import EAR_ANTIHELIX, EAR_ANTIHELIX_RADII, EAR_HELIX, EAR_HELIX_RADII, FACE

EYE_Z = 7.02
EYEBALL_RADIUS = 1.21
LID_RADIUS = 1.39
MOUTH_Y = -7.04
SOCKET_FLOOR = 7.1


def eye_centre(face):
    return np.array([face.eye_x, 0.0, EYE_Z])


def lid_curves(x, face):
    """Heights of the upper and the lower lid edge at `x` from the eye's centre (lateral +)."""
    t = np.clip((x + 1.5) / 2.95, 0, 1)
    tilt = face.eye_tilt * (t - 0.42) * 2
    upper = 0.44 * face.eye_height * np.maximum(np.sin(np.pi * t**0.85), 0) ** 0.75
    lower = -0.47 * face.eye_height * np.maximum(np.sin(np.pi * t**1.15), 0) ** 0.8
    return upper + tilt, lower + tilt


def mouth_line(x, face):
    """Height of the line between the lips at |x|, before the face is lengthened."""
    t = np.clip(np.abs(x) / face.mouth_width, 0, 1)
    return MOUTH_Y - 0.02 * np.cos(2 * np.pi * t) * (1 - t)


class Head:
    """Distance to the head with the lips 4 mm apart: weights of the jaw are only well defined on an open
    mouth."""

    def __init__(self, face):
        self.face = face
        width = FACE[:, 1] * face.width * np.where(FACE[:, 0] < -5, face.jaw, 1.0)
        chin = np.interp(FACE[:, 0], [-10.8, -9.5, -8], [1.0, 0.5, 0.0]) * face.chin
        self.loft = [
            Profile(FACE[:, 0], column) for column in (width, FACE[:, 2] + chin, FACE[:, 3], FACE[:, 4])
        ]

    def stretch(self, points):
        """Undoes the lengthening of the face below the pupils, fading out behind the ears."""
        out = points.copy()
        y, z = points[:, 1], points[:, 2]
        out[:, 1] = y - self._drop(y, z, 1 / self.face.length)
        return out

    @staticmethod
    def _drop(y, z, factor):
        depth = np.minimum(np.maximum(y, -12.0), 0.0)
        return depth * (1 - factor) * np.clip((z + 2) / 5, 0, 1) * np.clip((y + 20) / 8, 0, 1)

    def distance(self, points):
        p = self.stretch(points) if self.face.length != 1 else points
        f = smooth_min(self._cranium(p), self._face_loft(p), 1.8)
        f = self._neck(f, p)
        f = self._relief(f, p)
        f = self._nose(f, p)
        f = self._lips(f, p)
        f = self._eyes(f, p)
        return self._ear(f, p).astype(np.float32)

    def _cranium(self, p):
        n, width = 2.25, 7.65 * self.face.width
        x, y, z = p[:, 0], p[:, 1] - 2.6, p[:, 2] + 0.4
        ry, rz = np.where(y > 0, 9.0, 8.6), np.where(z > 0, 9.75, 9.9)
        ax, ay, az = np.abs(x) / width, np.abs(y) / ry, np.abs(z) / rz
        g = (ax**n + ay**n + az**n + 1e-9) ** (1 / n)
        slope = np.sqrt((ax ** (n - 1) / width) ** 2 + (ay ** (n - 1) / ry) ** 2 + (az ** (n - 1) / rz) ** 2)
        f = (g - 1) / (slope * g ** (1 - n) + 1e-4)
        return f + 0.30 * bell(p, (7.4, 2.0, 5.2), (1.2, 2.2, 1.6))

    def _face_loft(self, p):
        x, y, z = p.T
        width, front, exponent, centre = (profile(y) for profile in self.loft)
        depth = np.where(z > centre, front - centre, 7.0)
        f = superellipse(x, z - centre, width, depth, exponent)
        f = smooth_max(f, y - 3.6, 2.5)
        angle = np.deg2rad(21)
        f = smooth_max(f, -(y + 11.7) * np.cos(angle) - (z - 8.2) * np.sin(angle), 2.0)
        return smooth_max(f, -(z + 1.2), 2.0)

    def _neck(self, f, p):
        face, z = self.face, p[:, 2]
        slim = 1 - 0.15 * face.female
        points = [(0, -22, -5.3), (0, -14, -3.3), (0, -6, -1.8), (0, -1, -2.5)]
        neck = chain(p, points, np.array([5.5, 4.95, 5.2, 6.0]) * slim)
        f = smooth_min(f, neck, np.interp(z, [-2, 2], [4.5, 2.6]).astype(np.float32))
        full = 1 + 0.25 * face.fullness
        under = chain(
            p, [(0, -10.2, 6.2), (0, -10.3, 3.0), (0, -9.6, 0)], np.array([1.2, 2.3, 3.8]) * full, 0.5
        )
        f = smooth_min(f, under, 2.6)
        cord = chain(
            p, [(5.6, -4.2, -2.6), (4.3, -11, -1.2), (1.6, -19, 1.4)], np.array([1.0, 1.05, 0.85]) * slim
        )
        f = smooth_min(f, cord, 2.4)
        return f - 0.25 * (1 - face.female) * bell(p, (0, -14.6, 2.2), (0.8, 1.0, 1.2))

    def _relief(self, f, p):
        """Brow, sockets, cheeks, jaw and chin as bumps (-) and dents (+)."""
        face, ex = self.face, self.face.eye_x
        f = f - 0.34 * face.brow * bell(p, (2.6, 1.75, 9.2), (1.9, 0.6, 1.2), rotation("z", 6))
        f = f - 0.30 * face.brow * bell(p, (4.9, 1.35, 7.5), (0.9, 0.7, 1.2))
        f = f - 0.15 * bell(p, (2.6, 5.0, 8.6), (2.0, 1.6, 1.5))
        f = f + 0.88 * bell(p, (ex + 0.1, -0.05, 8.3), (1.6, 0.9, 1.5))
        f = f + 0.55 * bell(p, (1.75, 0.35, 8.7), (0.65, 0.8, 1.2))
        f = f - 0.40 * face.cheek * bell(p, (5.0, -2.6, 7.2), (1.5, 1.1, 1.6))
        f = f - 0.15 * face.cheek * bell(p, (6.8, -2.2, 4.2), (0.9, 1.1, 2.2))
        f = f - 0.38 * bell(p, (3.1, -3.0, 8.7), (1.5, 1.3, 1.2))
        f = f + (0.06 - 0.6 * face.fullness) * bell(p, (5.2, -6.0, 5.5), (1.6, 2.1, 2.2))
        f = f - 0.28 * face.jaw * bell(p, (5.4, -7.6, 1.2), (1.0, 1.6, 1.8))
        f = f - 0.72 * bell(p, (0, -6.4, 9.4), (2.2, 1.7, 1.7))
        f = f + 0.30 * bell(p, (0, -8.95, 9.8), (1.5, 0.42, 0.8))
        return f - 0.55 * bell(p, (0.5, -10.35, 9.4), (1.3, 0.9, 1.1))

    def _nose(self, f, p):
        face = self.face
        length, width, out = face.nose_length, face.nose_width, face.nose_projection - 1
        small = 1 - 0.08 * face.female
        tip_y, tip_z = -3.65 * length, 10.72 + 1.5 * out
        hook = face.nose_hook
        ridge = [
            (0, 0.9, 8.55), (0, -0.3, 8.55 + 0.4 * hook), (0, -1.7 * length, 9.25 + 0.7 * out + hook),
            (0, tip_y + 0.25, tip_z - 0.12),
        ]  # fmt: skip
        nose = chain(p, ridge, [0.66, 0.60, 0.70, 0.80])
        side = [(0.4, -0.2, 8.0), (0.8 * width, -2.2 * length, 8.6), (1.05 * width, -3.75 * length, 9.25)]
        radii = np.array([0.55, 0.75, 0.85]) * (0.4 + 0.6 * width) * (1 - 0.1 * face.female)
        nose = smooth_min(nose, chain(p, side, radii), 1.0)
        wide = (0.5 + 0.5 * width) * small
        tip = ellipsoid(p, (0.2 * width, tip_y, tip_z - 0.02), np.array([0.78, 0.76, 0.92]) * wide)
        nose = smooth_min(nose, tip, 0.9)
        wing = np.array([0.56, 0.72, 1.02]) * wide
        ala = ellipsoid(p, (1.36 * width, -4 * length, 9.45), wing, rotation("y", -16))
        nose = smooth_min(nose, ala, 1.1)
        septum = cone(p, (0, tip_y - 0.45, tip_z + 0.05), (0, -4.75 * length, 9.6), 0.34, 0.36)
        f = smooth_min(f, smooth_min(nose, septum, 0.5), 0.75)
        f = f + 0.03 * bell(p, (1.15 * width, -3.25 * length, 10.2), (0.35, 0.35, 0.6))
        tilt = rotation("y", 22) @ rotation("x", -25)
        nostril = ellipsoid(p, (0.66 * width, -4.62 * length, 10.0 + 0.6 * out), (0.28, 0.36, 0.55), tilt)
        return smooth_max(f, -nostril, 0.22)

    def _lips(self, f, p):
        face, (x, y, z) = self.face, p.T
        half = face.mouth_width
        f = f + 0.10 * bell(p, (0, -5.5, 10.1), (0.22, 0.5, 0.6))
        f = f - 0.07 * bell(p, (0.42, -5.6, 10.0), (0.18, 0.55, 0.6))
        fold = chain(p, [(1.75, -3.9, 8.9), (2.6, -5.2, 8.6), (3.35, -6.9, 7.6)], [0, 0, 0])
        f = f + 0.08 * np.exp(-0.5 * (fold / 0.32) ** 2)
        at = np.linspace(0, half, 7)
        front = 9.78 - 0.25 * at**2 * (2.55 / half) ** 2
        bow = 0.10 * np.exp(-(((at - 0.55) / 0.4) ** 2)) - 0.04 * np.exp(-((at / 0.25) ** 2))
        upper = np.stack([at, -6.62 + bow - 0.40 * (at / half) ** 2, front - 0.02], 1)
        lower = np.stack([at, -7.52 + 0.46 * (at / half) ** 2.2, front - 0.10], 1)
        f = smooth_min(
            f, chain(p, upper, face.lip * np.array([0.40, 0.42, 0.39, 0.33, 0.27, 0.20, 0.10]), 0.1), 0.55
        )
        f = smooth_min(
            f, chain(p, lower, face.lip * np.array([0.50, 0.50, 0.46, 0.39, 0.30, 0.20, 0.10]), 0.1), 0.5
        )
        f = f + 0.12 * bell(p, (half + 0.12, -7.08, 7.95), (0.28, 0.3, 0.5))
        gap = 0.22 * np.sqrt(np.maximum(1 - (x / (half - 0.05)) ** 2, 0)) - 0.03
        slit = np.maximum(np.abs(y - mouth_line(x, face)) - gap, 7.0 - z)
        f = smooth_max(f, -slit, 0.06)
        return smooth_max(f, -ellipsoid(p, (0, -7.1, 6.6), (2.5, 1.3, 2.1)), 0.2)

    def _eyes(self, f, p):
        x, y, z = p[:, 0] - self.face.eye_x, p[:, 1], p[:, 2]
        f = smooth_min(f, sphere(p, eye_centre(self.face), LID_RADIUS), 0.42)
        upper, lower = lid_curves(x, self.face)
        crease = y - (upper + 0.30)
        front = z > 7
        f = f + 0.11 * np.exp(-0.5 * (crease / 0.10) ** 2 - 0.5 * (x / 1.25) ** 4) * front
        f = f - 0.05 * np.exp(-0.5 * ((crease - 0.28) / 0.22) ** 2 - 0.5 * ((x - 0.2) / 1.4) ** 4) * front
        groove = y - (lower - 0.42)
        f = f + 0.05 * np.exp(-0.5 * (groove / 0.14) ** 2 - 0.5 * (x / 1.2) ** 4) * (z > 6.5)
        opening = np.maximum(np.maximum(y - upper, lower - y), np.abs(x) - 1.5)
        return smooth_max(f, -np.maximum(opening, SOCKET_FLOOR - z), 0.10)

    def _ear(self, f, p):
        size = self.face.ear
        frame = rotation("z", 9) @ rotation("y", -28) @ rotation("x", -14)
        e = (p - np.array([7.25 * self.face.width, -1.6, -1.2], np.float32)) @ frame.T / np.float32(size)
        near = np.flatnonzero((np.abs(e) < (3.5, 4.5, 4.5)).all(1))
        if len(near) == 0:
            return f
        e = e[near]
        ear = ellipsoid(e, (0.75, 0, -0.9), (0.28, 2.9, 1.65))
        ear = smooth_min(ear, chain(e, EAR_HELIX, EAR_HELIX_RADII), 0.22)
        ear = smooth_min(ear, chain(e, EAR_ANTIHELIX, EAR_ANTIHELIX_RADII), 0.25)
        ear = smooth_min(ear, ellipsoid(e, (0.6, -2.25, -0.35), (0.3, 0.72, 0.7)), 0.5)
        ear = smooth_max(ear, -ellipsoid(e, (1.0, -0.3, -0.55), (0.75, 0.95, 0.72)), 0.2)
        ear = smooth_max(ear, -ellipsoid(e, (1.3, 1.8, -1.35), (0.45, 0.7, 0.35)), 0.2)
        ear = smooth_min(ear, ellipsoid(e, (0.55, -0.55, 0.35), (0.42, 0.5, 0.3)), 0.2)
        mount = ellipsoid(e, (-0.1, -0.1, -0.6), (1.0, 2.0, 1.1))
        mount = smooth_max(mount, -ellipsoid(e, (1.0, -0.3, -0.55), (0.85, 0.95, 0.72)), 0.2)
        joined = smooth_min(f[near], smooth_min(ear, mount, 0.3) * size, 0.35)
        canal = ellipsoid(e, (0.4, -0.45, -0.1), (0.5, 0.35, 0.3)) * size
        out = f.copy()
        out[near] = smooth_max(joined, -canal, 0.2)
        return out
