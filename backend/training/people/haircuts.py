# SPDX-License-Identifier: GPL-3.0-or-later
"""Haircuts: how long, how full and how combed. Lengths are in head units (about a centimetre)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WHORL = np.array([0.6, 10.6, -4.5])  # where hair turns on the crown
TIE = np.array([0.0, 3.5, -11.0])  # where tied hair meets
FLOWS = ("crown", "part", "back", "forward", "tie")


@dataclass(frozen=True)
class Style:
    """A haircut."""

    name: str
    volume: float = 0.0  # height of the hair over the skull at the crown
    strands: int = 0
    locks: int = 0  # wide ribbons beneath the strands
    segments: int = 5
    length: float = 0.0
    flow: str = "part"
    width: float = 0.34  # of a strand
    gravity: float = 0.1
    lift: float = 0.25  # how steeply strands leave the scalp
    wild: float = 0.06  # how much neighbours differ in direction
    hold: float = 0.85  # how strictly strands keep the height of the volume
    comb: float = 1.0  # how strictly they follow the comb
    clump: float = 0.5
    sides: float = 1.0  # share of length and volume at the sides
    edge: float = 2.0  # distance from the hairline at which the volume is full
    curl: float = 0.0  # radius of waves
    wave: float = 7.0  # length of a wave
    coil: float = 0.3  # 0 waves sideways, 1 winds round
    together: float = 0.8  # how much neighbouring strands wave alike
    rough: float = 0.0  # bumps of the mass under the strands
    start: float = 0.6  # share of the volume at which strands start; below it the mass is dense
    fringe: float = 0.0  # chance of hair cut over the forehead
    bun: float = 0.0  # radius
    tail: float = 0.0  # length
    braids: int = 0


STYLES = {
    style.name: style
    for style in (
        Style("bald"),
        Style("cropped", 0.0, 2600, 0, 2, 0.62, "forward", 0.17, lift=1.0, wild=0.5, hold=0.0, clump=0.0),
        Style("crew", 1.3, 2200, 0, 3, 2.3, "forward", 0.22, lift=0.9, wild=0.2, hold=0.5, sides=0.3,
              clump=0.3),
        Style("short", 1.7, 1700, 110, 4, 6.0, "part", 0.25, lift=0.5, wild=0.1, sides=0.32),
        Style("swept", 1.9, 1500, 110, 5, 7.5, "back", 0.26, lift=0.6, wild=0.08, sides=0.35, edge=1.2),
        Style("messy", 2.0, 1500, 110, 4, 5.5, "crown", 0.26, lift=0.7, wild=0.35, hold=0.4, sides=0.5,
              clump=0.8, fringe=0.7),
        Style("bowl", 1.7, 1000, 150, 7, 11.0, "crown", 0.36, 0.12, fringe=1.0),
        Style("bob", 1.7, 800, 190, 9, 19.0, "part", 0.42, 0.12, fringe=0.35),
        Style("long", 1.5, 720, 200, 13, 36.0, "part", 0.44, 0.12, fringe=0.25),
        Style("wavy", 2.0, 680, 190, 15, 33.0, "part", 0.44, 0.12, wild=0.1, clump=0.6, curl=1.05, wave=7.5),
        Style("curly", 3.2, 720, 0, 14, 6.0, "crown", 0.34, 0.06, 0.8, 0.35, 0.25, 0.6, clump=0.15, curl=0.62,
              wave=2.3, coil=1.0, together=0.25, rough=0.6, edge=2.4, sides=0.8, start=0.45),
        Style("afro", 5.0, 2000, 0, 5, 1.8, "crown", 0.3, 0.0, 1.4, 0.8, 0.0, 0.0, clump=0.0, curl=0.35,
              wave=1.5, coil=1.0, together=0.0, rough=0.12, edge=3.0, sides=0.85, start=0.6),
        Style("bun", 0.9, 900, 0, 8, 16.0, "tie", 0.3, 0.0, 0.1, 0.03, comb=2.0, clump=0.0, bun=3.0),
        Style("tail", 0.9, 900, 0, 8, 16.0, "tie", 0.3, 0.0, 0.1, 0.03, comb=2.0, clump=0.0, tail=25.0),
        Style("braids", 0.9, 760, 0, 8, 16.0, "tie", 0.3, 0.0, 0.1, 0.03, comb=2.0, clump=0.0, braids=1),
    )
}  # fmt: skip

# Chances among men and women.
CHANCES = {
    "bald": (9, 1), "cropped": (12, 2), "crew": (16, 1), "short": (23, 5), "swept": (12, 4), "messy": (9, 3),
    "bowl": (3, 4), "bob": (2, 15), "long": (2, 17), "wavy": (2, 15), "curly": (7, 9), "afro": (3, 6),
    "bun": (2, 9), "tail": (1, 11), "braids": (0, 6),
}  # fmt: skip


def sample_style(rng: np.random.Generator, masculine: float, place: float) -> Style:
    """A random haircut; `place` of the skin on the Monk scale, 0..9."""
    names = list(STYLES)
    weight = np.array([masculine * CHANCES[n][0] + (1 - masculine) * CHANCES[n][1] for n in names], float)
    weight[names.index("afro")] *= np.clip((place - 3.5) / 2, 0, 2)
    return STYLES[names[rng.choice(len(names), p=weight / weight.sum())]]
