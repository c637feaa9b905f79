# SPDX-License-Identifier: GPL-3.0-or-later
"""Real spherical harmonics of degree 2, in which light on a matte surface is smooth (Ramamoorthi & Hanrahan
2001): nine numbers of an environment give irradiance within 1 % of the truth in the mean."""

import numpy as np

# Radiance coefficients to irradiance over pi, by band: 1, 2/3, 1/4.
LAMBERT = np.array([1, *[2 / 3] * 3, *[0.25] * 5], np.float32)

# Factors of the polynomials of `basis`, order 2: those of 1, y, z, x, xy, yz, 3zz - 1, xz, xx - yy.
FACTORS = np.array(
    [0.28209479, *[0.48860251] * 3, 1.09254843, 1.09254843, 0.31539157, 1.09254843, 0.54627422]
)


def basis(directions: np.ndarray) -> np.ndarray:
    """Unit directions [n,3] -> [n,9], order (l, m) = (0, 0), (1, -1), (1, 0), (1, 1), (2, -2) .. (2, 2);
    without the sign of Condon and Shortley."""
    x, y, z = np.asarray(directions).T
    linear, square = [y, z, x], [x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    return np.stack([np.ones_like(x), *linear, *square], -1) * FACTORS.astype(x.dtype)


def irradiance(coefficients: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Irradiance over pi [n,3], not below zero, of radiance coefficients [9,3] on unit normals [n,3]."""
    return np.maximum(basis(normals) @ (coefficients * LAMBERT[:, None]), 0)
