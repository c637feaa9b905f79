# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed distances to simple bodies and the ways to join them. Points are [n, 3]; distances [n] float32."""

import numpy as np

F = np.float32


def smooth_min(a, b, k):
    """Union that rounds the seam over a width `k` (cubic polynomial: I. Quilez, "smooth minimum")."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * h * (k * F(1 / 6))


def smooth_max(a, b, k):
    """Intersection with a rounded seam; `smooth_max(f, -b, k)` cuts b out of f."""
    return -smooth_min(-a, -b, k)


def ellipsoid(p, centre, radii, rotation=None):
    """First-order distance to an ellipsoid, k0 (k0 - 1) / k1 (I. Quilez). `rotation` rows are its axes."""
    q = p - np.asarray(centre, F)
    if rotation is not None:
        q = q @ np.asarray(rotation, F).T
    q = q / np.asarray(radii, F)
    k0 = np.sqrt((q * q).sum(-1))
    q = q / np.asarray(radii, F)
    return k0 * (k0 - 1) / (np.sqrt((q * q).sum(-1)) + F(1e-9))


def cone(p, a, b, radius_a, radius_b):
    """A capsule whose radius runs linearly from `a` to `b`."""
    a, b = np.asarray(a, F), np.asarray(b, F)
    axis = b - a
    q = p - a
    t = np.clip((q * axis).sum(-1) / (axis * axis).sum(), 0, 1)  # not by BLAS: its bits follow its threads
    q = q - t[:, None] * axis
    return np.sqrt((q * q).sum(-1)) - (F(radius_a) + F(radius_b - radius_a) * t)


def chain(p, points, radii, k=0.0):
    """A polyline of cones, joined sharply (k = 0) or smoothly."""
    out = None
    for i in range(len(points) - 1):
        part = cone(p, points[i], points[i + 1], radii[i], radii[i + 1])
        if out is not None:
            part = smooth_min(out, part, k) if k > 0 else np.minimum(out, part)
        out = part
    return out
