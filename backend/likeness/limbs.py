# SPDX-License-Identifier: GPL-3.0-or-later
"""Which limb each pixel of a person belongs to: told by the fitted surface, and beyond its outline and where
limbs overlap by the photo's edges, so that what touches in the photo comes apart in another pose.
"""

from functools import cache

import numpy as np
from scipy import ndimage

from .places import FEET, HANDS, Places

ARM = "upper_arm", "forearm", "forearm_twist"
LEG = "thigh", "shin"
BODY, LEGS, COUNT = 0, (2, 4), 5  # head and trunk; then the left arm and leg, and the right ones
DOUBT = 0.015  # metres about another limb within which the photo's edges decide
JOINED = 0.12  # metres on the template within which limbs are joined
# Pixels over which edges are looked for; levels of the watershed, which parts at the steepest step, for an
# edge of 1 a pixel, and for the square of a metre from limbs: they part in the middle where there is no edge.
SMOOTH, EDGE, MIDDLE = 1.0, 400, 30_000
ASTRAY = 0.03  # metres that a pixel may lie farther from its limb than from another


@cache
def limb_of(places: Places) -> np.ndarray:
    """[N] uint8: the limb of each place."""
    shares = [np.full(len(places), 0.5, np.float32)]
    for side in "LR":
        shares.append(places.share([*(f"{n}.{side}" for n in ARM), *(n for n in HANDS if n.endswith(side))]))
        shares.append(places.share([*(f"{n}.{side}" for n in LEG), *(n for n in FEET if n.endswith(side))]))
    return np.argmax(shares, 0).astype(np.uint8)


def limbs_seen(
    rgb: np.ndarray, drawn: np.ndarray, at: np.ndarray, matte: np.ndarray, unit: float
) -> np.ndarray:
    """[h,w] int: the limb of each pixel of a picture [h,w,3], by the strongest edges between limbs
    (watershed).

    drawn [h,w] int: the limb that the fitted surface shows, -1 where none; at [h,w,3]: where on the template;
    unit: metres that a pixel is wide.
    """
    sure = np.where(_doubtful(drawn, at, unit), -1, drawn)
    if not (sure >= 0).any():
        sure = drawn
    solid = matte > 0.5
    smooth = ndimage.gaussian_filter(rgb, (SMOOTH, SMOOTH, 0))
    edges = np.sqrt(sum(np.square(step) for step in np.gradient(smooth, axis=(0, 1))).sum(-1))
    apart, nearest = ndimage.distance_transform_edt(sure < 0, return_indices=True)
    levels = np.clip(EDGE * edges + MIDDLE * np.square(unit * apart), 0, 200)
    height = np.where(solid, levels, 255).astype(np.uint8)
    limb = ndimage.watershed_ift(height, (sure + 1).astype(np.int16)).astype(int) - 1
    beside = sure[tuple(nearest)]
    for number in np.unique(limb):
        own = ndimage.distance_transform_edt((sure != number) | (limb != number))
        limb = np.where((limb == number) & (unit * (own - apart) > ASTRAY), beside, limb)
    soft = ndimage.distance_transform_edt(~solid, return_indices=True, return_distances=False)
    return np.where(solid, limb, limb[tuple(soft)])


def _doubtful(drawn: np.ndarray, at: np.ndarray, unit: float) -> np.ndarray:
    """[h,w] bool: close to another limb that is not joined to this one here."""
    wide = 2 * max(1, round(DOUBT / unit)) + 1
    known = drawn >= 0
    least = ndimage.minimum_filter(np.where(known, drawn, COUNT), wide)
    most = ndimage.maximum_filter(np.where(known, drawn, -1), wide)
    near, far = (
        np.dstack([extreme(np.where(known, at[..., c], none), wide) for c in range(3)])
        for extreme, none in ((ndimage.minimum_filter, np.inf), (ndimage.maximum_filter, -np.inf))
    )
    return known & (least != most) & (np.linalg.norm(far - near, axis=-1) > JOINED)
