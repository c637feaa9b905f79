# SPDX-License-Identifier: GPL-3.0-or-later
"""What glossy surfaces reflect of an environment map: its radiance blurred by GGX's lobe, one small table for
each material class, in an octahedral map (Engelhardt & Dachsbacher 2008), which needs no trigonometry."""

from functools import lru_cache

import numpy as np

from .environment import Environment
from .materials import Gloss

SIDE = 32  # of a table
SOURCE = (32, 64)  # rows, columns of the map that the tables are sums of


def _directions() -> np.ndarray:
    """[SIDE^2,3] unit vectors of a table's middles."""
    at = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    v, u = (a.ravel() for a in np.meshgrid(at, at, indexing="ij"))
    z = 1 - np.abs(u) - np.abs(v)
    x = np.where(z < 0, (1 - np.abs(v)) * np.sign(u), u)
    y = np.where(z < 0, (1 - np.abs(u)) * np.sign(v), v)
    out = np.stack([x, y, z], 1)
    return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=8)
def tables(environment: Environment, gloss: Gloss) -> np.ndarray:
    """[classes, SIDE^2, 3] float32. The lobe is that seen head on, as usual (Karis 2013)."""
    directions, areas, weights = (a.astype(np.float32) for a in environment.directional(SOURCE))
    cosine = _directions() @ directions.T
    half = np.clip((1 + cosine) / 2, 0, 1)
    out = []
    for roughness in np.maximum(gloss.roughness, 0.2).tolist():
        a2 = roughness**4
        lobe = a2 / (half * (a2 - 1) + 1) ** 2 * np.maximum(cosine, 0)
        out.append((lobe @ weights) / np.maximum(lobe @ areas, 1e-12)[:, None])
    return np.array(out, np.float32)
