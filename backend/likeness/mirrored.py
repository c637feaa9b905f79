# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirror images among photos of one person, as phones' front cameras make them."""

from collections.abc import Sequence

import numpy as np

from .colours import Look
from .places import Places

COMMON = 2000  # places that two photos and the mirror image must show to be compared
# Mean logarithm of the differences' ratio. Of nine photos of a man a flipped one has 0.4, the others -0.5; of
# five heads a flipped one has 0.05: what is alike on both sides cannot tell.
CLEAR = 0.25
REMEDY = "If it comes from a phone's front camera, flip it and create the avatar again."


def mirror_remarks(places: Places, looks: Sequence[Look], names: Sequence[str]) -> list[str]:
    """A sentence on each photo that is much more like the others when left and right are exchanged."""
    count = len(looks)
    ratio = np.zeros((count, count))
    for a in range(count):
        for b in range(a):
            ratio[a, b] = ratio[b, a] = _mirrored_rather(places, looks[a], looks[b])
    compared = np.maximum((ratio != 0).sum(1), 1)
    flipped = np.flatnonzero(ratio.sum(1) / compared > CLEAR)
    if count == 2 and len(flipped):
        return [f"{names[0]} and {names[1]} look like mirror images of each other. {REMEDY}"]
    return [f"{names[n]} looks like a mirror image beside the other photos. {REMEDY}" for n in flipped]


def _mirrored_rather(places: Places, a: Look, b: Look) -> float:
    """Logarithm of how much farther b's colours are from a's than those of b's mirror image; 0 where they
    cannot be compared.
    """
    rows = np.flatnonzero((a.weight > 0) & (b.weight > 0) & (b.weight[places.mirror] > 0))
    if len(rows) < COMMON:
        return 0.0
    own = a.color[rows]
    straight, mirrored = (_apart(own, b.color[at]) for at in (rows, places.mirror[rows]))
    return float(np.log(straight / mirrored))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference of colours [n,3], exposures evened out."""
    difference = a - b
    return float(np.abs(difference - np.median(difference, axis=0)).mean()) + 1e-6
