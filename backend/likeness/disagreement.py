# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos that do not belong to the others: of somebody else, or in other clothes; and parts of the body that
something else covers in a photo.
"""

from collections.abc import Sequence

import numpy as np

from .choice import parts_of
from .colours import Look
from .places import Places

COMMON = 800  # places that two photos must show to be compared
COMMON_PART = 60  # the same, of one part of the body
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


def without_covered_parts(places: Places, looks: Sequence[Look]) -> list[Look]:
    """The looks, without the parts of the body that something else covers in a photo, as a thing before the
    legs: where the photo differs from others that agree. What is found to cover one part is not believed
    in the others that differ.
    """
    if len(looks) < 3:
        return list(looks)
    part = parts_of(places)
    apart = [_all_apart(looks, part == number, COMMON_PART) for number in range(part.max() + 1)]
    odd = {photo for between in apart for photo in _odd_of(between)}
    made = list(looks)
    for photo in odd:
        covered = [number for number, between in enumerate(apart) if (between[photo] > DIFFERENT).any()]
        weight = np.where(np.isin(part, covered), 0, looks[photo].weight).astype(np.float32)
        made[photo] = looks[photo]._replace(weight=weight)
    return made


def _odd(looks: Sequence[Look], region: np.ndarray) -> list[int]:
    """`_odd_of` the photos in a region [N] bool; of two that differ, both."""
    apart = _all_apart(looks, region, COMMON)
    return [0, 1] if len(looks) == 2 and apart[0, 1] > DIFFERENT else _odd_of(apart)


def _odd_of(apart: np.ndarray) -> list[int]:
    """Numbers of the photos that differ from most of those that they can be compared with, where these agree
    among themselves. apart [V,V]: of each two, NaN where they cannot be compared.
    """
    different, compared = apart > DIFFERENT, np.isfinite(apart)
    odd = np.flatnonzero(different.sum(1) > compared.sum(1) / 2)
    return odd.tolist() if 2 * len(odd) < len(apart) else []  # where most differ, nobody is the odd one


def _all_apart(looks: Sequence[Look], region: np.ndarray, least: int) -> np.ndarray:
    """[V,V] `_apart` of each two."""
    apart = np.full((len(looks), len(looks)), np.nan)
    for a in range(len(looks)):
        for b in range(a):
            apart[a, b] = apart[b, a] = _apart(looks[a], looks[b], region, least)
    return apart


def _apart(a: Look, b: Look, region: np.ndarray, least: int) -> float:
    """Median difference of colours in a region [N] bool that both show, at one exposure; NaN where they show
    fewer than `least` places of it.
    """
    rows = np.flatnonzero((a.weight > 0) & (b.weight > 0) & region)
    if len(rows) < least:
        return np.nan
    first, second = (np.clip(look.color[rows], 0.02, 1) for look in (a, b))
    gain = np.clip(np.median(np.log(second) - np.log(first), axis=0).mean(), -0.5, 0.5)
    return float(np.median(np.abs(first * np.exp(gain) - second).mean(1)))
