# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed-distance primitives and the ways to join them. Points are [n, 3]; distances [n] float32."""

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

F = np.float32


def smooth_min(a, b, k):
    """Union that rounds the seam over a width `k` (cubic polynomial: I. Quilez, "smooth minimum")."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * h * (k * F(1 / 6))


def smooth_max(a, b, k):
    """Intersection with a rounded seam; `smooth_max(f, -b, k)` cuts b out of f."""
    return -smooth_min(-a, -b, k)


def sphere(p, centre, radius):
    return np.sqrt(((p - np.asarray(centre, F)) ** 2).sum(-1)) - F(radius)


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


def bell(p, centre, sigma, rotation=None):
    """exp(-|(p - centre) / sigma|^2 / 2): added to a distance it is a brush, minus for a bump, plus for a
    dent."""
    q = p - np.asarray(centre, F)
    if rotation is not None:
        q = q @ np.asarray(rotation, F).T
    q = q / np.asarray(sigma, F)
    return np.exp(F(-0.5) * (q * q).sum(-1))


def rotation(axis, degrees):
    """3x3 rotation about 'x', 'y' or 'z'."""
    angle = np.deg2rad(degrees)
    c, s = np.cos(angle), np.sin(angle)
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    m = np.eye(3)
    m[j, j], m[j, k], m[k, j], m[k, k] = c, -s, s, c
    return m.astype(F)


class Profile:
    """A quantity along an axis: monotone cubic through the stations, then smoothed so that no ring shows."""

    samples, sigma = 2048, 18

    def __init__(self, positions, values):
        positions = np.asarray(positions, float)
        order = np.argsort(positions)
        curve = PchipInterpolator(positions[order], np.asarray(values, float)[order])
        self.grid = np.linspace(positions.min(), positions.max(), self.samples)
        self.values = gaussian_filter1d(curve(self.grid), self.sigma, mode="nearest")

    def __call__(self, at):
        return np.interp(at, self.grid, self.values).astype(F)


def superellipse(u, v, a, b, n):
    """First-order distance in a section (|u/a|^n + |v/b|^n)^(1/n) = 1."""
    au, bv = np.abs(u) / a, np.abs(v) / b
    g = (au**n + bv**n + F(1e-12)) ** (1 / n)
    scale = g ** (1 - n)
    gu, gv = au ** (n - 1) * scale / a, bv ** (n - 1) * scale / b
    return (g - 1) / np.sqrt(gu * gu + gv * gv + F(1e-6))


def quadrant_ellipse(u, v, u_minus, u_plus, v_minus, v_plus, n=2.0):
    """A superellipse whose radius differs on each side of both axes."""
    return superellipse(u, v, np.where(u > 0, u_plus, u_minus), np.where(v > 0, v_plus, v_minus), F(n))


def gradient(distance, points, step=0.03):
    """Gradient [n, 3] by four samples on a tetrahedron, and the distance [n] they average to."""
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], F)
    total = np.zeros_like(points)
    mean = np.zeros(len(points), F)
    for corner in corners:
        value = distance(points + corner * F(step))
        total += corner * value[:, None]
        mean += value
    return total / F(4 * step), mean / 4
