# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands and feet. Points have x = |x|; body centimetres."""

import numpy as np

from .operators import bell, chain, ellipsoid, rotation, smooth_max, smooth_min, sphere, superellipse
from .tables import PALM, TOES

FAR = 50.0


def hand(points, frame):
    """Distance to the hand; `FAR` more than 9 cm up the forearm."""
    scale = frame.hand_scale
    q = (points - frame.joints["hand"].astype(np.float32)) @ frame.hand_axes.T.astype(np.float32)
    out = np.full(len(points), FAR, np.float32)
    near = np.flatnonzero((q[:, 0] > -9) & (q[:, 0] < 40))
    if len(near) == 0:
        return out
    q = q[near] / np.float32(scale)  # along the fingers, dorsal, thumbwards
    f = _palm(q)
    for name, (points_of, radii) in frame.fingers.items():
        finger = chain(q, points_of, radii)
        if name != "thumb":
            for joint, amount in ((1, 0.07), (2, 0.05)):
                finger = finger - amount * bell(q, points_of[joint], (0.42, 0.42, 0.42))
            f = smooth_min(f, sphere(q, points_of[0] + (0, 0.12, 0), radii[0] * 0.86), 0.7)
        f = smooth_min(f, _nail(finger, q, points_of, radii, name), 0.8 if name == "thumb" else 0.55)
    out[near] = f * scale
    return out


def _palm(q):
    u, v, w = q.T
    half_width, half_depth = np.interp(u, PALM[:, 0], PALM[:, 1]), np.interp(u, PALM[:, 0], PALM[:, 2])
    centre_w, centre_v = np.interp(u, [-1, 3, 9], [0, 0.1, -0.2]), np.interp(u, [-1, 3, 9], [0, -0.15, 0])
    f = superellipse(w - centre_w, v - centre_v + 0.02 * (w - centre_w) ** 2, half_width, half_depth, 2.6)
    ends = np.where(u > 2.2, np.abs(u - 3.7) - 5.0, -u - 4.2)
    f = smooth_max(f, ends + 0.12 * np.abs(w - 0.6) ** 1.6 * (u > 3.7), 1.2)
    f = smooth_min(f, ellipsoid(q, (3.4, -1.0, 2.3), (2.9, 1.25, 1.5), rotation("y", -22)), 0.9)
    f = smooth_min(f, ellipsoid(q, (5.6, -0.5, 2.9), (1.9, 0.7, 1.5), rotation("y", -35)), 1.0)
    f = smooth_min(f, ellipsoid(q, (3.6, -0.9, -2.4), (3.3, 1.1, 1.25)), 0.8)
    return f + 0.35 * bell(q, (5.0, -1.6, 0.2), (2.0, 0.9, 1.2))


def _nail(f, q, points, radii, name):
    """Flattens the back of the finger tip."""
    along = points[-1] - points[-2]
    along = along / np.linalg.norm(along)
    up = np.array([0.25, 0.8, -0.55]) if name == "thumb" else np.array([0, 1.0, 0])
    up = up - along * (up @ along)
    up /= np.linalg.norm(up)
    axes = np.stack([along, np.cross(along, up), up])
    e = (q - (points[-1] - 0.05 * along + up * radii[-1]).astype(np.float32)) @ axes.T.astype(np.float32)
    nail = np.sqrt(((e / np.array([0.75, 0.55, 0.25], np.float32)) ** 2).sum(1)) - 1
    return smooth_max(f, -0.25 * nail, 0.06)


def foot(points, frame):
    """Distance to the foot, cut flat at the ground; `FAR` above the shin."""
    scale, ankle = frame.foot_scale, frame.joints["foot"]
    out = np.full(len(points), FAR, np.float32)
    near = np.flatnonzero(points[:, 1] < 25)
    if len(near) == 0:
        return out
    x, y, z = points[near, 0] - ankle[0], points[near, 1], points[near, 2] - ankle[2]
    c, s = np.cos(np.deg2rad(7)), np.sin(np.deg2rad(7))
    q = (np.stack([x * c - z * s, y, x * s + z * c], 1) / scale).astype(np.float32)
    f = ellipsoid(q, (0, 3.1, -2.2), (3.1, 3.4, 3.4))
    instep = [(0, 4.6, -0.5), (0.1, 5.0, 4.0), (-0.8, 3.6, 9.0), (-1.5, 2.3, 13.5)]
    f = smooth_min(f, chain(q, instep, [3.3, 3.1, 2.6, 1.8]), 2)
    f = smooth_min(f, chain(q, [(0.9, 2.3, -1), (2.3, 2.1, 6.5), (3.0, 1.8, 11)], [2.2, 2.0, 1.7]), 2)
    f = smooth_min(f, ellipsoid(q, (0.2, 2.1, 12.5), (4.5, 1.9, 3.2), rotation("y", 14)), 1.6)
    f = f + 0.8 * bell(q, (-3.0, 0.4, 5.5), (1.5, 1.2, 3))
    for root, tip, r0, r1 in TOES:
        middle = (np.array(root) + np.array(tip)) / 2 + (0, 0.35, 0.2)
        f = smooth_min(f, chain(q, [root, middle, tip], [r0, (r0 + r1) / 2 * 0.95, r1]), 0.5)
    out[near] = smooth_max(f, 0.05 - q[:, 1], 0.5) * scale
    return out
