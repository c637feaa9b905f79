# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of an estimated correspondence, imitated on true ones, so that the network survives them.

A photo's pixels are displaced smoothly over the body, and patches of it are not found at all.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

BODY_SIGMA, FACE_SIGMA = 0.015, 0.005  # metres of displacement, each axis
WAVES = 6
NEIGHBOURS = 40


def displacement(
    rng: np.random.Generator, sites: np.ndarray, is_face: np.ndarray, scale: float
) -> np.ndarray:
    """[S,3] metres: a smooth random field, a sum of waves of 0.1 to 0.8 m, calmer on the face."""
    length = np.exp(rng.uniform(np.log(0.1), np.log(0.8), WAVES))
    direction = rng.normal(size=(WAVES, 3))
    direction *= (2 * np.pi / length / np.linalg.norm(direction, axis=1))[:, None]
    waves = np.cos(sites @ direction.T + rng.uniform(0, 2 * np.pi, WAVES)) * np.sqrt(2 / WAVES)
    field = waves @ rng.normal(size=(WAVES, 3))
    return (field * np.where(is_face, FACE_SIGMA, BODY_SIGMA)[:, None] * scale).astype(np.float32)


def holes(rng: np.random.Generator, sites: np.ndarray) -> np.ndarray:
    """[S] bool: what is lost, none to three balls of 3 to 15 cm."""
    lost = np.zeros(len(sites), bool)
    for _ in range(rng.integers(0, 4)):
        centre = sites[rng.integers(len(sites))]
        lost |= ((sites - centre) ** 2).sum(1) < rng.uniform(0.03, 0.15) ** 2
    return lost


class NoiseBank:
    """Precomputed errors over sites: `index[n]` [S], whose pixel is taken instead, and `lost[n]` [S]."""

    def __init__(self, sites: np.ndarray, is_face: np.ndarray, size: int = 96, seed: int = 0):
        rng = np.random.default_rng(seed)
        _, near = cKDTree(sites).query(sites, k=min(NEIGHBOURS, len(sites)))
        steps = sites[near] - sites[:, None]
        self.index = np.empty((size, len(sites)), np.int32)
        self.lost = np.empty((size, len(sites)), bool)
        for n in range(size):
            wanted = displacement(rng, sites, is_face, rng.uniform(0, 2))
            best = ((steps - wanted[:, None]) ** 2).sum(-1).argmin(1)
            self.index[n] = near[np.arange(len(sites)), best]
            self.lost[n] = holes(rng, sites)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One error: (index [S], lost [S])."""
        n = rng.integers(len(self.index))
        return self.index[n], self.lost[n]
