# SPDX-License-Identifier: GPL-3.0-or-later
"""Random skin, hair colour and eyes, as ancestry and age have them: tone, lips, brows, beard, make-up,
freckles and lines.
"""

from __future__ import annotations

import numpy as np

from .materials import hsv, luminance, srgb
from .skin import HAIRLINE_HEIGHT, SkinLook

# The ten tones of the Monk Skin Tone scale (Ellis Monk, Google 2022), published as sRGB.
MONK_TONES = (
    "#f6ede4", "#f3e7db", "#f7ead0", "#eadaba", "#d7bd96",
    "#a07e56", "#825c43", "#604134", "#3a312a", "#292420",
)  # fmt: skip
# Places on that scale, mean and standard deviation, by ancestry: African, Asian, Caucasian.
PLACES = ((7.1, 0.9), (3.1, 0.9), (1.7, 1.1))
# Iris and the ring round its pupil, and chances by ancestry.
IRISES = {
    "dark": ("#2a1712", "#33200f", (0.62, 0.50, 0.08)),
    "brown": ("#4a2d1a", "#5d3a18", (0.36, 0.44, 0.30)),
    "hazel": ("#66552f", "#7a4f22", (0.02, 0.05, 0.16)),
    "green": ("#5f6f4c", "#7f6a35", (0.00, 0.00, 0.11)),
    "blue": ("#5d7f9f", "#8b9a93", (0.00, 0.00, 0.24)),
    "grey": ("#6d7a82", "#8a8b80", (0.00, 0.01, 0.11)),
}
# sRGB of hair and chances by ancestry.
HAIR = (
    ((0.040, 0.033, 0.032), (0.70, 0.62, 0.06)),
    ((0.085, 0.058, 0.045), (0.27, 0.32, 0.20)),
    ((0.170, 0.110, 0.072), (0.03, 0.06, 0.28)),
    ((0.300, 0.205, 0.130), (0.00, 0.00, 0.20)),
    ((0.520, 0.390, 0.240), (0.00, 0.00, 0.13)),
    ((0.720, 0.590, 0.400), (0.00, 0.00, 0.07)),
    ((0.430, 0.190, 0.095), (0.00, 0.00, 0.06)),
)
BEARDED = 17.0  # years from which beards are drawn


def sample_irises(rng: np.random.Generator, ancestry: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours [3] of the iris and of the ring round its pupil."""
    chances = np.array([np.dot(share, ancestry) for _, _, share in IRISES.values()])
    iris, ring, _ = list(IRISES.values())[rng.choice(len(IRISES), p=chances / chances.sum())]
    bright = rng.uniform(0.85, 1.25)
    return tuple(np.clip(srgb(colour) * bright, 0, 1).astype(np.float64) for colour in (iris, ring))


def sample_hair_colour(
    rng: np.random.Generator, ancestry: np.ndarray, years: float
) -> tuple[np.ndarray, float]:
    """The colour [3] that hair grew in, and the share of it that is grey by now."""
    chances = np.array([np.dot(share, ancestry) for _, share in HAIR])
    at = rng.choice(len(HAIR), p=chances / chances.sum())
    colour = np.array(HAIR[at][0])
    if years < 14 and at > 2:  # light hair darkens as children grow up
        colour = colour * (1 + 0.03 * (14 - years))
    colour = np.clip(colour * rng.uniform(0.8, 1.25) + rng.normal(0, 0.006, 3), 0.02, 0.95)
    grey = np.clip((years - 47) / 26 + rng.normal(0, 0.22), 0, 1) if years > 30 else 0.0
    return colour, float(grey)


def skin_tone(rng: np.random.Generator, ancestry: np.ndarray) -> tuple[np.ndarray, float]:
    """A tone between neighbours on the Monk scale -> sRGB [3], and its place on the scale in 0..9.

    The published patches are paler and greyer than skin in photographs at both ends; they are warmed a
    little.
    """
    (mean, spread) = np.einsum("a,ac->c", ancestry, np.array(PLACES))
    place = float(np.clip(mean + spread * np.clip(rng.normal(), -1.8, 1.8), 0.2, 8.6))
    tones = np.stack([srgb(t) for t in MONK_TONES])
    i = int(place)
    tone = tones[i] + (tones[min(i + 1, 9)] - tones[i]) * (place - i)
    tone = tone * np.array([1.0, 0.955, 0.93]) ** (0.5 + rng.uniform(0.3, 1.1))
    warm = tone * np.array([0.95, 0.815, 0.735]) if place < 4 else tone
    mix = np.clip((4.5 - place) / 3, 0, 0.62)
    tone = tone + (warm - tone) * mix
    tone = tone * (1 + np.array([0.0, -0.015, -0.02]) * np.exp(-(((place - 4.0) / 1.6) ** 2)))
    tone[2] *= 1 + 0.06 * np.exp(-(((place - 4.0) / 2.0) ** 2))
    lift = np.array([0.11, 0.055, 0.03]) * np.clip((place - 5.5) / 2, 0, 1)
    return np.clip(tone + lift + rng.normal(0, 0.008, 3), 0.05, 1), place


def sample_skin_look(
    rng: np.random.Generator,
    masculine: float,
    years: float,
    hair_colour: np.ndarray,
    tone: tuple[np.ndarray, float],
) -> SkinLook:
    """Random colours; sex and age steer beard, make-up and lines; hair_colour [3] as it is now; tone: a
    `skin_tone`."""
    base, place = tone
    old, grown = float(np.clip((years - 27) / 48, 0, 1)), years >= BEARDED
    young = float(np.clip((14 - years) / 10, 0, 1))
    dark = luminance(base) < 0.45
    woman = masculine < 0.5
    lips, makeup = _lips(rng, base, woman and grown)
    polish = woman and years > 12 and rng.random() < 0.35
    nails = (
        hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.95))
        if polish
        else base * 0.75 + np.array([0.22, 0.14, 0.13])
    )
    style = rng.choice(["none", "stubble", "full", "goatee", "moustache"], p=[0.50, 0.20, 0.17, 0.07, 0.06])
    style = "none" if woman or not grown else style
    some = rng.uniform(0.25, 0.5)
    beard = {"stubble": some, "full": 1.0, "goatee": 0.9}.get(style, 0.0)
    moustache = {"stubble": some, "full": 0.95, "goatee": 0.8, "moustache": 1.0}.get(style, 0.0)
    shaved = style != "none" or rng.random() < 0.75
    shadow = rng.uniform(0, 0.8) * (1 - 0.3 * (place > 5)) if shaved else 0.0
    palm = (
        base * 0.35 + np.array([0.80, 0.58, 0.50]) * 0.65 if place > 4 else base * np.array([1, 0.94, 0.93])
    )
    freckled = place < 2.8 and rng.random() < 0.35
    return SkinLook(
        base=base.astype(np.float64),
        lips=np.clip(lips, 0, 1).astype(np.float64),
        brows=np.clip(hair_colour * rng.uniform(0.55, 0.95), 0, 1).astype(np.float64),
        beard_colour=np.clip(hair_colour * rng.uniform(0.7, 1.0) * np.array([1.08, 0.98, 0.9]), 0, 1),
        scalp_colour=(hair_colour * 0.75).astype(np.float64),
        nails=np.clip(nails, 0, 1).astype(np.float64),
        palm=np.clip(palm, 0, 1).astype(np.float64),
        eyeshadow=base * hsv(rng.uniform(0.7, 1.1), rng.uniform(0.1, 0.4), rng.uniform(0.5, 0.95)),
        hairline=_hairline(rng, masculine, years),
        redness=float(rng.uniform(0.4, 1.2) * (0.45 if dark else 1.0)),
        mottle=float(rng.uniform(0.5, 1.2) * (1 - 0.45 * young)),
        freckles=float(rng.uniform(0.35, 1.0)) if freckled else 0.0,
        spots=float(np.clip(old - 0.3 + rng.normal(0, 0.15), 0, 0.8)),
        mole=float(rng.uniform(0, 50)),
        age=float(np.clip(old * rng.uniform(0.75, 1.25), 0, 1)),
        pores=float(rng.uniform(0.6, 1.1) * (1 - 0.55 * young) * (1 + 0.3 * masculine + 0.4 * old)),
        bags=float(np.clip(rng.uniform(0.02, 0.22) + 0.2 * old, 0, 0.45)),
        lash=float(rng.uniform(0.5, 0.75) + 0.2 * woman),
        liner=float(rng.uniform(0.3, 0.9)) if makeup else 0.0,
        blush=float(rng.uniform(0.2, 0.8)) if makeup else 0.0,
        polish=float(polish),
        brow_width=float(np.clip(rng.normal(0.80 + 0.25 * masculine - 0.1 * young, 0.16), 0.45, 1.5)),
        brow_lift=float(np.clip(rng.normal(0.10 - 0.15 * masculine, 0.10), -0.3, 0.35)),
        brow_density=float(rng.uniform(0.55, 0.95) * (1 - 0.3 * young)),
        shadow=0.0 if woman or not grown else float(shadow),
        beard=float(beard),
        moustache=float(moustache),
        goatee=float(style == "goatee"),
        scalp=0.0,
        shine=float(rng.uniform(0.7, 1.2)),
    )


def _lips(rng, base, may_wear_makeup) -> tuple[np.ndarray, bool]:
    """Colour [3] of the lips, and whether the face wears make-up."""
    pale = np.clip((luminance(base) - 0.4) / 0.3, 0, 1)
    lips = pale * base * np.array([0.86, 0.66, 0.66])
    lips += (1 - pale) * (base * np.array([1.0, 0.80, 0.82]) + np.array([0.035, 0.01, 0.015]))
    lips = lips + rng.uniform(0.1, 0.5) * (base - lips)
    makeup = may_wear_makeup and rng.random() < 0.4
    if makeup:
        colour = hsv(rng.uniform(0.93, 1.02), rng.uniform(0.45, 0.85), rng.uniform(0.4, 0.8))
        lips = lips + rng.uniform(0.35, 0.75) * (colour - lips)
    return lips, bool(makeup)


def _hairline(rng, masculine, years) -> np.ndarray:
    """Heights [11] of the hairline; men's temples go back with the years."""
    hairline = HAIRLINE_HEIGHT.copy()
    hairline[:5] += rng.normal(0, 0.35)
    receding = max(0.0, rng.normal(0, 0.5)) if years > 22 else 0.0
    hairline[2:4] += (receding + 0.022 * max(0.0, years - 45)) * masculine
    return hairline
