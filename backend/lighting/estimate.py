# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a photograph, from the colours and normals of the surface that it shows: nine harmonics of
irradiance, by turns with a few albedos that the surface is taken to have (as Barron & Malik 2015 assume)."""

import numpy as np

from .harmonics import LAMBERT, basis

# Irradiance coefficients of environments, over the first one's mean: mean and standard deviation of Blender's
# eight studio environments, turned about Z.
USUAL = np.array([1, 0, 0.344, 0, 0, 0, -0.082, 0, 0])
SPREAD = np.array([0.11, 0.32, 0.17, 0.32, 0.13, 0.09, 0.12, 0.09, 0.13])
ALBEDOS, ROUNDS = 16, 18
# In telling albedos apart, of differences of the logarithm: those of colour, and those of brightness at first
# and in the end, when the light is known better.
COLOR, BRIGHTNESS = 2.0, (0.4, 0.8)
TRUST = 200.0  # points of the surface that weigh as much as the prior
ROBUST = 1.5  # standard deviations from which a point counts less (Huber)
DARKEST, BRIGHTEST = 1e-3, 0.95  # linear values between which a pixel tells the light
LEAST = 0.15  # of the mean irradiance: what is darker is not brightened further
MOST = 4000  # points looked at


def estimated_light(colors: np.ndarray, normals: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
    """Irradiance coefficients [9,3] of linear colours [n,3] on unit normals [n,3] (Z up), of which
    `occlusion` [n] in 0..1 of the environment is seen; up to one factor a channel. USUAL where nothing can be
    told."""
    good = ((colors > DARKEST) & (colors < BRIGHTEST)).all(1)
    rows = np.flatnonzero(good)
    rows = rows[:: len(rows) // MOST + 1]
    light = np.repeat(USUAL[:, None], 3, 1)
    if len(rows) < 20 * ALBEDOS:
        return light
    seen, shape = colors[rows].astype(np.float64), basis(normals[rows]) * occlusion[rows, None]
    log_seen = np.log(seen)
    centers = None
    for number in range(ROUNDS):
        albedo = log_seen - np.log(np.maximum(shape @ light, LEAST * 0.28))
        brightness = BRIGHTNESS[number >= ROUNDS // 3]
        label, centers = _grouped(_features(albedo, brightness), centers)
        medians = [np.median(albedo[label == k], axis=0) for k in range(ALBEDOS) if (label == k).any()]
        numbers = np.unique(label, return_inverse=True)[1]
        of_group = np.exp(np.array(medians))[numbers]
        light = np.stack([_fitted(shape, seen[:, c] / of_group[:, c]) for c in range(3)], 1)
        light /= light[0].mean()
    return light


def shading(light: np.ndarray, normals: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
    """Irradiance [n,3] of coefficients [9,3] at unit normals [n,3]; its mean over a sphere is about 1."""
    return np.maximum((basis(normals) @ light) / 0.28209479 * occlusion[:, None], LEAST)


def light_of(environment) -> np.ndarray:
    """The irradiance coefficients [9,3] of an environment map, as an estimate would be at best."""
    made = environment.harmonics() * LAMBERT[:, None]
    return made / made[0].mean()


def _features(albedo: np.ndarray, brightness: float) -> np.ndarray:
    level = albedo.mean(1, keepdims=True)
    return np.concatenate([(albedo - level) * COLOR, level * brightness], 1)


def _grouped(features: np.ndarray, centers: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Number of the nearest of ALBEDOS centres [n], and the centres, by some rounds of Lloyd's algorithm."""
    if centers is None:
        order = np.lexsort(features.T)
        centers = features[order[np.linspace(0, len(order) - 1, ALBEDOS).astype(int)]]
    for _ in range(4):
        apart = (centers**2).sum(1) - 2 * features @ centers.T
        label = apart.argmin(1)
        count = np.bincount(label, minlength=ALBEDOS)
        sums = np.stack([np.bincount(label, column, ALBEDOS) for column in features.T], 1)
        centers = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centers)
    return label, centers


def _fitted(shape: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients [9] of values [n] by robust least squares with the prior."""
    light = USUAL * np.median(values) / max(np.median(shape @ USUAL), 1e-9)
    scale = light[0]
    precision = np.diag(1 / SPREAD**2)
    for _ in range(3):
        rest = values - shape @ light
        noise = 1.48 * np.median(np.abs(rest)) + 1e-4 * scale
        weight = 1 / np.maximum(1, np.abs(rest) / (ROBUST * noise))
        weight *= TRUST / weight.sum()
        held = precision * (noise / scale) ** 2
        left = (shape * weight[:, None]).T @ shape + held
        light = np.linalg.solve(left, (shape * weight[:, None]).T @ values + held @ (USUAL * scale))
    return light
