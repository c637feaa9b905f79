# SPDX-License-Identifier: GPL-3.0-or-later
"""Random bodies and faces: stature and mass from anthropometry, correlated coefficients of the template's
shapes, and what no shape holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .noise import fbm_points
from .sites import EYE, Sites

# Correlations between shapes in people, from general knowledge of anthropometry (wide noses go with wide
# mouths, fat cheeks with weight, ...); pairs that are missing count as independent. Here `height` and
# `weight` stand for stature and mass themselves, not for the coefficients that reach them.
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
    "jaw_width": -1.0, "brow": -0.9, "lips": 0.8, "eye_size": 1.0, "muscle": -0.3, "bust": 1.0,
    "nose_width": -0.7, "nose_length": -0.4, "chin": -0.6, "face_length": -0.5, "cheek_fullness": 0.6,
}  # fmt: skip
# The head's shapes are narrow: drawn this much wider they make faces differ as people's do.
FACE_SPREAD = 1.5
_BODY = (
    "sex",
    "height",
    "weight",
    "muscle",
    "bust",
    "shoulder_width",
    "hip_width",
    "leg_length",
    "arm_length",
)
RANGES = {"weight": (-2.6, 8.5), "muscle": (-1.0, 2.0), "bust": (-2.5, 3.0), "height": (-3.2, 3.2)}  # sigmas
# Stature (m) and mass (kg), mean and standard deviation: ANSUR II (Gordon et al. 2014, NATICK/TR-15/007; 2012
# survey of 4,082 men and 1,986 women, "Stature" and "Weight").
STATURE = {"woman": (1.629, 0.064), "man": (1.756, 0.069)}
MASS = {"woman": (67.8, 11.0), "man": (85.5, 14.2)}
MASS_PER_STATURE = 0.47  # correlation of mass and stature in ANSUR II
DENSITY = 1000.0  # kg per cubic metre of the mesh


class Size(NamedTuple):
    """Stature in metres, mass in kilograms, and the standard scores of both among people of that sex."""

    stature: float
    mass: float
    tall: float
    heavy: float


def sample_size(rng: np.random.Generator, masculine: float, age: float) -> Size:
    """The size of a random person: normal stature, log-normal mass; see `STATURE` and `MASS`."""
    sort = "man" if masculine >= 0.5 else "woman"
    (mean, spread), (kilos, kilos_spread) = STATURE[sort], MASS[sort]
    tall, heavy = rng.normal(size=2)
    heavy = MASS_PER_STATURE * tall + np.sqrt(1 - MASS_PER_STATURE**2) * heavy
    variance = np.log1p((kilos_spread / kilos) ** 2)
    mass = kilos * np.exp(np.sqrt(variance) * heavy - variance / 2)
    return Size(float(mean + spread * tall - 0.02 * age), float(mass), float(tall), float(heavy))


@lru_cache(maxsize=4)
def _mixing(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """How the shapes follow stature and mass [S, 2], and the lower Cholesky factor [S, S] of what is left of
    their correlations then (Gaussian conditioning).
    """
    c = np.eye(len(names))
    for (a, b), value in CORRELATIONS.items():
        if a in names and b in names:
            i, j = names.index(a), names.index(b)
            c[i, j] = c[j, i] = value
    size = [names.index("height"), names.index("weight")]
    c[size[0], size[1]] = c[size[1], size[0]] = MASS_PER_STATURE
    follow = c[:, size] @ np.linalg.inv(c[np.ix_(size, size)])
    # Eigenvalues are lifted where the guesses disagree; height and weight leave none.
    w, v = np.linalg.eigh(c - follow @ c[size])
    return follow, np.linalg.cholesky((v * np.maximum(w, 1e-9)) @ v.T)


@lru_cache(maxsize=1)
def _phenotypes() -> tuple[np.ndarray, np.ndarray]:
    """MakeHuman phenotypes [p,11] of random people (sex, age, muscle, weight, height, proportions, cup,
    firmness, african, asian, caucasian) and the coefficients [p,24] of the template's body shapes."""
    from safetensors.numpy import load_file

    from ..body.template import PATH

    tensors = load_file(PATH.with_name("phenotypes.safetensors"))
    return tensors["phenotypes"], tensors["coefficients"]


def sample_betas(rng, names, masculine: float, age: float, size: Size) -> np.ndarray:
    """Coefficients [S] in sigmas of a random adult of that sex and about that age (0..1)."""
    who, coefficients = _phenotypes()
    years = 0.6 + 0.35 * age
    apart = 2 * np.abs(who[:, 0] - (1 - masculine)) + np.abs(who[:, 1] - years)
    row = rng.choice(np.argsort(apart)[:60])
    faces = len(names) - coefficients.shape[1]
    return np.concatenate([coefficients[row], rng.normal(size=faces)]).astype(np.float32)


def fit_size(template, betas, stature, mass):
    return betas


def _volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume inside a mesh, cubic metres."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) - (0, 0, 1) for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def individuality(rng: np.random.Generator, sites: Sites) -> np.ndarray:
    """A smooth displacement [Nv, 3] that no two people share: root mean square 2 mm of the face, mostly
    the same on both sides, and 1.5 mm of the body; none at the eyes, the lips and the cranium (bald
    skulls would show dents).
    """
    v = sites.template.vertices
    q = sites.head_local(v)
    shift = rng.uniform(0, 100, 3).astype(np.float32)
    moved = np.stack([fbm_points(v * np.float32(16) + s, 2) for s in shift], 1) * np.float32(0.0016)
    moved[q[:, 1] < -14] *= 1.8
    even = np.column_stack([np.abs(v[:, 0]), v[:, 1:]]).astype(np.float32)
    shift = rng.uniform(0, 100, 3).astype(np.float32)
    features = np.stack([fbm_points(even * np.float32(19) + s, 2) for s in shift], 1) * np.float32(0.0034)
    features[:, 0] *= np.sign(v[:, 0]) * np.clip(even[:, 0] / 0.01, 0, 1)
    moved += features * np.clip((q[:, 1:2] + 15) / 4, 0, 1)
    quiet = np.zeros(len(v))
    for side in (1, -1):
        d = (q - np.array([side * 3.14, 0, 7.5])) / np.array([2.4, 1.6, 3])
        quiet = np.maximum(quiet, np.exp(-((d**2).sum(1) ** 2)))
    d = (q - np.array([0, -7, 7.5])) / np.array([3.4, 1.6, 4])
    quiet = np.maximum(quiet, np.exp(-((d**2).sum(1) ** 2)))
    quiet = np.maximum(quiet, np.clip((q[:, 1] - 0.6 * q[:, 2] - 1) / 3, 0, 1))  # the cranium
    quiet[sites.template.part >= EYE] = 1
    # Hands and feet keep their shape: a millimetre is much on a finger.
    hand = (np.abs(v[:, 0]) > sites.joint("hand.L")[0] - 0.02) | (v[:, 2] < 0.1)
    return (moved * (1 - np.where(hand, 0.8, quiet))[:, None]).astype(np.float32)


def apply_shape(template, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [Nv, 3] and joint heads [J, 3] of a body, feet on the ground where the template's are."""
    # Not by BLAS, whose bits follow its thread count.
    vertices = template.vertices + np.einsum("s,snc->nc", betas, template.shape_deltas)
    heads = template.joint_heads + np.einsum("s,sjc->jc", betas, template.shape_joint_deltas)
    drop = vertices[:, 2].min() - template.vertices[:, 2].min()
    vertices[:, 2] -= drop
    heads[:, 2] -= drop
    return vertices.astype(np.float32), heads.astype(np.float32)
