# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of MakeHuman's topology for the tests, made from the built-in mean one."""

import numpy as np
from lca_blender.backend.body.figure import load_figure_reader


def mean_figure():
    """[19158,3] metres."""
    return load_figure_reader().mean.astype(np.float64)


def heavy_figure(wider=1.4):
    """The mean one with a waist that is wider and deeper, its limbs and head as they were."""
    points = mean_figure()
    height = points[:, 2] - points[:13380, 2].min()
    waist = np.exp(-(((height - 1.08) / 0.08) ** 4)) * np.clip((0.3 - np.abs(points[:, 0])) / 0.06, 0, 1)
    points[:, :2] *= 1 + (wider - 1) * waist[:, None]
    return points


def lopsided_figure():
    """One whose waist is wider and deeper on its left, at +X, alone."""
    plain, heavy = mean_figure(), heavy_figure()
    return plain + np.clip(plain[:, :1] / 0.05, 0, 1) * (heavy - plain)
