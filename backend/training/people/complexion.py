# SPDX-License-Identifier: GPL-3.0-or-later
"""Random skin: tone, lips, brows, beard, make-up, freckles and lines."""

from __future__ import annotations

import numpy as np

from .materials import hsv, luminance, srgb
from .skin import HAIRLINE_HEIGHT, SkinLook

# The ten tones of the Monk Skin Tone scale (Ellis Monk, Google 2022), published as sRGB.
MONK_TONES = (
    "#f6ede4", "#f3e7db", "#f7ead0", "#eadaba", "#d7bd96",
    "#a07e56", "#825c43", "#604134", "#3a312a", "#292420",
)  # fmt: skip
IRISES = {
    "brown": "#5a3a22",
    "dark": "#33211a",
    "hazel": "#7d6a3c",
    "green": "#6c7f55",
    "blue": "#6b8fb0",
    "grey": "#7f8a91",
}


def skin_tone(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A tone between neighbours on the Monk scale -> sRGB [3], and its place on the scale in 0..9.

    The published patches are paler and greyer than skin in photographs at both ends; they are warmed a
    little.
    """
    place = float(rng.uniform(0, 9))
    tones = np.stack([srgb(t) for t in MONK_TONES])
    i = int(place)
    tone = tones[i] + (tones[min(i + 1, 9)] - tones[i]) * (place - i)
    tone = tone * np.array([1.0, 0.955, 0.93]) ** (0.5 + rng.uniform(0.3, 1.1))
    warm = tone * np.array([0.95, 0.815, 0.735]) if place < 4 else tone
    mix = np.clip((4.5 - place) / 3, 0, 0.75)
    tone = tone + (warm - tone) * mix
    tone = tone * (1 + np.array([0.03, -0.05, -0.02]) * np.exp(-(((place - 4.0) / 1.6) ** 2)))
    tone[2] *= 1 + 0.14 * np.exp(-(((place - 4.0) / 2.0) ** 2))
    lift = np.array([0.11, 0.055, 0.03]) * np.clip((place - 5.5) / 2, 0, 1)
    return np.clip(tone + lift + rng.normal(0, 0.012, 3), 0.05, 1), place


def sample_skin_look(
    rng: np.random.Generator,
    masculine: float,
    age: float,
    hair_colour: np.ndarray,
    tone: tuple[np.ndarray, float],
) -> SkinLook:
    """Random colours; `masculine` and `age` in 0..1 steer beard, make-up and lines; tone: a `skin_tone`."""
    base, place = tone
    dark = luminance(base) < 0.45
    pale = np.clip((luminance(base) - 0.4) / 0.3, 0, 1)
    lips = pale * base * np.array([0.90, 0.62, 0.62])
    lips += (1 - pale) * (base * np.array([1.0, 0.80, 0.82]) + np.array([0.035, 0.01, 0.015]))
    made_up = masculine < 0.5 and rng.random() < 0.35
    if made_up:
        lips = 0.35 * lips + 0.65 * hsv(
            rng.uniform(0.93, 1.02), rng.uniform(0.45, 0.85), rng.uniform(0.4, 0.8)
        )
    painted = masculine < 0.5 and rng.random() < 0.35
    nails = (
        hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.95))
        if painted
        else base * 0.75 + np.array([0.22, 0.14, 0.13])
    )
    style = rng.choice(["none", "stubble", "full", "goatee", "moustache"], p=[0.55, 0.18, 0.14, 0.07, 0.06])
    if masculine < 0.5:
        style = "none"
    beard = {"stubble": rng.uniform(0.3, 0.5), "full": 1.0, "goatee": 0.9}.get(style, 0.0)
    moustache = {"stubble": rng.uniform(0.3, 0.5), "full": 0.95, "goatee": 0.8, "moustache": 1.0}.get(
        style, 0.0
    )
    hairline = HAIRLINE_HEIGHT.copy()
    hairline[:5] += rng.normal(0, 0.35)
    hairline[2:4] += max(0.0, rng.normal(0, 0.5)) * masculine + 1.2 * max(0.0, age - 0.55) * masculine
    grey = np.clip(hair_colour * rng.uniform(0.7, 1.0), 0, 1)
    return SkinLook(
        base=base.astype(np.float64),
        lips=np.clip(lips, 0, 1).astype(np.float64),
        brows=np.clip(hair_colour * rng.uniform(0.55, 0.95), 0, 1).astype(np.float64),
        beard_colour=np.clip(grey * np.array([1.08, 0.98, 0.9]), 0, 1).astype(np.float64),
        scalp_colour=(hair_colour * 0.75).astype(np.float64),
        nails=np.clip(nails, 0, 1).astype(np.float64),
        palm=np.clip(
            base * 0.35 + np.array([0.80, 0.58, 0.50]) * 0.65
            if place > 4
            else base * np.array([1, 0.94, 0.93]),
            0,
            1,
        ),
        hairline=hairline,
        redness=float(rng.uniform(0.35, 1.1) * (0.5 if dark else 1.0)),
        mottle=float(rng.uniform(0.4, 1.1)),
        freckles=float(rng.uniform(0.5, 1.0)) if place < 3.5 and rng.random() < 0.3 else 0.0,
        age=float(age),
        lash=float(rng.uniform(0.65, 0.85) + 0.2 * (masculine < 0.5)),
        liner=float(rng.uniform(0.3, 0.9)) if made_up else 0.0,
        brow_width=float(np.clip(rng.normal(0.85 + 0.3 * masculine, 0.18), 0.5, 1.6)),
        brow_lift=float(np.clip(rng.normal(0.12 - 0.15 * masculine, 0.12), -0.3, 0.4)),
        brow_density=float(rng.uniform(0.6, 0.95)),
        shadow=float(rng.uniform(0, 0.8)) * masculine if style != "none" or rng.random() < 0.7 else 0.0,
        beard=float(beard),
        moustache=float(moustache),
        goatee=float(style == "goatee"),
        scalp=0.0,
        shine=float(rng.uniform(0.7, 1.2)),
    )
