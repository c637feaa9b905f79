# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos that do not belong to the others: of somebody else, or in other clothes."""

from collections.abc import Sequence

import numpy as np

from .colours import Look
from .places import Places

COMMON = 800  # places that two photos must show to be compared
# Median difference of colours, at one exposure, from which two photos disagree. Pairs of photos of one person
# (25, five phone photos of a head and six frames of a film) have 0.07 at most on head and body, photos of
# different people (325 pairs) more than 0.12 in three of four on the head and four of five on the body.
DIFFERENT = 0.12
REMEDY = "Leave it out if it does not belong to them."


def disagreement_remarks(places: Places, looks: Sequence[Look], names: Sequence[str]) -> list[str]:
    """A sentence on each photo whose face and hair, or clothes, differ from those of most others."""
    head = (places.scalp > 0.5) | ((places.face > 0.3) & (places.part == 0))
    body = (places.head < 0.1) & (places.ends < 0.3)
    others = _odd(looks, head)
    clothed = [number for number in _odd(looks, body) if number not in others]
    said = []
    for odd, what, kind in (
        (others, "face and hair", "somebody else"),
        (clothed, "clothes", "other clothes"),
    ):
        if len(looks) == 2 and odd:
            said.append(
                f"{names[0]} and {names[1]} may not belong together: the colours of {what} differ much. "
                "Leave one out if they show different people or clothes."
            )
        else:
            differ = f"the colours of {what} differ much from the other photos'"
            said += [f"{names[n]} may show {kind}: {differ}. {REMEDY}" for n in odd]
    return said


def _odd(looks: Sequence[Look], region: np.ndarray) -> list[int]:
    """Numbers of the photos that differ from most of those that they can be compared with, where these agree
    among themselves; of two, both.
    """
    count = len(looks)
    apart = np.full((count, count), np.nan)
    for a in range(count):
        for b in range(a):
            apart[a, b] = apart[b, a] = _apart(looks[a], looks[b], region)
    different, compared = apart > DIFFERENT, np.isfinite(apart)
    odd = [n for n in range(count) if different[n].sum() > compared[n].sum() / 2]
    return odd if count == 2 or 2 * len(odd) < count else []  # where most differ, nobody is the odd one


def _apart(a: Look, b: Look, region: np.ndarray) -> float:
    """Median difference of colours in a region [N] bool that both show, at one exposure; NaN where they show
    too little of it.
    """
    rows = np.flatnonzero((a.weight > 0) & (b.weight > 0) & region)
    if len(rows) < COMMON:
        return np.nan
    first, second = (np.clip(look.color[rows], 0.02, 1) for look in (a, b))
    gain = np.clip(np.median(np.log(second) - np.log(first), axis=0).mean(), -0.5, 0.5)
    return float(np.median(np.abs(first * np.exp(gain) - second).mean(1)))
