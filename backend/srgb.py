# SPDX-License-Identifier: GPL-3.0-or-later
"""The transfer function of sRGB (IEC 61966-2-1), of arrays of any shape and float type."""

import numpy as np


def linear_of(encoded: np.ndarray) -> np.ndarray:
    """Linear values of encoded ones from 0."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded_of(linear: np.ndarray) -> np.ndarray:
    """Encoded values of linear ones from 0."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
