# SPDX-License-Identifier: GPL-3.0-or-later
"""How surfaces reflect: GGX as in Blender's Principled BSDF (IOR 1.5), two constants per material class.

A surface's colour is albedo (1 - S) E / pi plus its reflections, S the share of light that is reflected
before it gets in: F0 A + B of the split sum (Karis 2013), F0 = 0.08 specular, alpha = roughness^2, Smith's
correlated masking and Schlick's Fresnel.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

CLASSES = ("cloth", "skin", "hair", "eye", "leather", "glass")
CLOTH, SKIN, HAIR, EYE, LEATHER, GLASS = range(len(CLASSES))
STEPS = 64  # of the cosine to the eye, in the table
_SAMPLES = 512


class Gloss(NamedTuple):
    """Constants of C classes: roughness and specular in 0..1; rim: the least cosine to the eye that a class
    is taken to be seen under."""

    roughness: tuple[float, ...]
    specular: tuple[float, ...]
    rim: tuple[float, ...]

    def each(self, name: str, material: np.ndarray) -> np.ndarray:
        """One of the constants, float32 [n], of class numbers [n]."""
        return np.array(getattr(self, name), np.float32)[material]


# A glossy guess for cloth costs more than none (25 against 34 dB), so that cloth is what is not known. Hair
# has no surface that could shine at its rim.
GLOSS = Gloss(
    roughness=(0.85, 0.52, 0.55, 0.2, 0.4, 0.1),
    specular=(0.12, 0.3, 0.25, 0.5, 0.4, 0.5),
    rim=(0.02, 0.02, 0.5, 0.02, 0.02, 0.02),
)


def reflected_share(cosine: np.ndarray, material: np.ndarray, gloss: Gloss = GLOSS) -> np.ndarray:
    """S [n] of surfaces seen under a cosine [n] to their normal; material [n], numbers of classes."""
    step = np.clip(cosine * (STEPS - 1) + 0.5, 0, STEPS - 1).astype(np.int32)
    return shares(gloss)[material, step]


@lru_cache(maxsize=8)
def shares(gloss: Gloss) -> np.ndarray:
    """S, float32 [C, STEPS], under cosines from 0 to 1."""
    cosines = np.arange(STEPS) / (STEPS - 1)
    table = [
        [_split_sum(max(cosine, rim), *pair) for cosine in cosines] for *pair, rim in zip(*gloss, strict=True)
    ]
    return np.array(table, np.float32)


def _split_sum(cosine: float, roughness: float, specular: float) -> float:
    """The integral of GGX over all directions of light, by sampling its half vectors."""
    a = roughness**2
    u = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    turn = 2 * math.pi * ((np.arange(_SAMPLES) * 0.6180339887) % 1)
    up = np.sqrt((1 - u) / (1 + (a * a - 1) * u))
    view = np.array([math.sqrt(1 - cosine**2), 0, cosine])
    half = np.stack([np.sqrt(1 - up**2) * np.cos(turn), np.sqrt(1 - up**2) * np.sin(turn), up], 1)
    along = half @ view
    light = 2 * along * up - cosine  # the cosine of the reflected direction
    counts = (light > 0) & (along > 0)
    light = np.where(counts, light, 1)
    masks = light * math.sqrt(cosine**2 * (1 - a * a) + a * a)
    masks = masks + cosine * np.sqrt(light**2 * (1 - a * a) + a * a)
    visible = 2 * light * along / (masks * np.maximum(up, 1e-6))
    fresnel = fresnel_of(0.08 * specular, np.clip(along, 0, 1))
    return float(np.where(counts, visible * fresnel, 0).mean())


def fresnel_of(head_on, cosine: np.ndarray) -> np.ndarray:
    """Schlick's approximation."""
    return head_on + (1 - head_on) * (1 - cosine) ** 5


def highlight(
    normal_light, normal_eye, normal_half, eye_half, material: np.ndarray, gloss: Gloss = GLOSS
) -> np.ndarray:
    """GGX's reflection times the cosine to the light [n]: radiance per irradiance of a facing surface. The
    arguments are cosines [n] between normal, light, eye and the vector half way; zero where the light is
    behind."""
    a2 = gloss.each("roughness", material) ** 4
    head_on = np.float32(0.08) * gloss.each("specular", material)
    light, eye = np.maximum(normal_light, 0), np.maximum(normal_eye, np.float32(1e-3))
    lobe = normal_half * normal_half * (a2 - 1) + 1
    spread = a2 / (np.float32(math.pi) * lobe * lobe)
    masks = light * np.sqrt(eye * eye * (1 - a2) + a2) + eye * np.sqrt(light * light * (1 - a2) + a2)
    return spread * fresnel_of(head_on, np.clip(eye_half, 0, 1)) * light * np.float32(0.5) / masks
