# SPDX-License-Identifier: GPL-3.0-or-later
"""Random bodies and faces: correlated coefficients of the template's shapes, and what no shape holds
(asymmetry).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .noise import fbm_points
from .sites import EYE, Sites

# Correlations between shapes in people, from general knowledge of anthropometry (wide noses go with wide
# mouths,
# fat cheeks with weight, ...); pairs that are missing count as independent.
CORRELATIONS = {
    ("nose_width", "mouth_width"): 0.35, ("nose_width", "lips"): 0.4, ("head_width", "eye_distance"): 0.5,
    ("jaw_width", "head_width"): 0.4, ("brow", "jaw_width"): 0.35, ("height", "head_width"): 0.2,
    ("height", "leg_length"): 0.3, ("leg_length", "arm_length"): 0.6, ("height", "face_length"): 0.2,
    ("weight", "cheek_fullness"): 0.6, ("weight", "hip_width"): 0.35, ("weight", "bust"): 0.4,
    ("shoulder_width", "muscle"): 0.4, ("shoulder_width", "height"): 0.25, ("nose_length",
    "nose_projection"): 0.3,
    ("ear_size", "nose_length"): 0.25, ("brow", "sex"): -0.2, ("muscle", "sex"): -0.3,
}  # fmt: skip
# Means (sigmas) for a woman, opposite for a man, over what the template's `sex` shape holds.
LEANINGS = {
    "jaw_width": -0.5,
    "brow": -0.5,
    "lips": 0.4,
    "eye_size": 0.4,
    "muscle": -0.3,
    "nose_width": -0.3,
    "chin": -0.3,
}
RANGES = {"weight": (-1.3, 2.4), "muscle": (-1.0, 2.0), "bust": (-1.2, 2.0)}  # sigmas; the rest: -2 .. 2


@lru_cache(maxsize=4)
def _mixing(names: tuple[str, ...]) -> np.ndarray:
    """Lower Cholesky factor of the correlation matrix; eigenvalues are lifted where the guesses disagree."""
    c = np.eye(len(names))
    for (a, b), value in CORRELATIONS.items():
        if a in names and b in names:
            i, j = names.index(a), names.index(b)
            c[i, j] = c[j, i] = value
    w, v = np.linalg.eigh(c)
    c = (v * np.maximum(w, 0.05)) @ v.T
    d = np.sqrt(np.diag(c))
    return np.linalg.cholesky(c / np.outer(d, d))


def sample_betas(
    rng: np.random.Generator, names: tuple[str, ...], masculine: float, age: float
) -> np.ndarray:
    """Coefficients [S] in sigmas; `masculine` 1 is a man, 0 a woman; `age` in 0..1 (about 18 to 75)."""
    z = _mixing(names) @ rng.normal(size=len(names))
    for i, name in enumerate(names):
        if name == "sex":
            z[i] = (1 - 2 * masculine) + 0.25 * z[i]
        z[i] += LEANINGS.get(name, 0.0) * (1 - 2 * masculine)
        if name == "weight":
            z[i] += 0.5 * age
        if name in ("ear_size", "nose_length"):
            z[i] += 0.8 * (age - 0.3)
        if name == "lips":
            z[i] -= 0.6 * (age - 0.3)
        if name == "muscle":
            z[i] -= 0.4 * age
        z[i] = np.clip(z[i], *RANGES.get(name, (-2.0, 2.0)))
    return z.astype(np.float32)


def asymmetry(rng: np.random.Generator, sites: Sites) -> np.ndarray:
    """A smooth displacement [Nv, 3] of about a millimetre that no two people share, none at the eyes and
    the lips.
    """
    v = sites.template.vertices
    q = sites.head_local(v)
    shift = rng.uniform(0, 100, 3).astype(np.float32)
    moved = np.stack([fbm_points(v * np.float32(16) + s, 2) for s in shift], 1) * np.float32(0.0016)
    moved[q[:, 1] < -14] *= 1.8
    quiet = np.zeros(len(v))
    for side in (1, -1):
        d = (q - np.array([side * 3.14, 0, 7.5])) / np.array([2.4, 1.6, 3])
        quiet = np.maximum(quiet, np.exp(-((d**2).sum(1) ** 2)))
    d = (q - np.array([0, -7, 7.5])) / np.array([3.4, 1.6, 4])
    quiet = np.maximum(quiet, np.exp(-((d**2).sum(1) ** 2)))
    quiet[sites.template.part >= EYE] = 1
    # Hands and feet keep their shape: a millimetre is much on a finger.
    hand = (np.abs(v[:, 0]) > sites.joint("hand.L")[0] - 0.02) | (v[:, 2] < 0.1)
    return (moved * (1 - np.where(hand, 0.8, quiet))[:, None]).astype(np.float32)


def apply_shape(template, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [Nv, 3] and joint heads [J, 3] of a body, feet on the ground where the template's are."""
    vertices = template.vertices + np.tensordot(betas, template.shape_deltas, 1)
    heads = template.joint_heads + np.tensordot(betas, template.shape_joint_deltas, 1)
    drop = vertices[:, 2].min() - template.vertices[:, 2].min()
    vertices[:, 2] -= drop
    heads[:, 2] -= drop
    return vertices.astype(np.float32), heads.astype(np.float32)
