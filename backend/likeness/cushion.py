# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a photo's pixels: the person's surface, and beyond its outline a cushion, round towards the
matte's edge, whose front and back stand for hair, hats and loose clothes.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..raster import rasterize
from .photo import Posed
from .window import Window

ROUND = 0.045  # metres from the matte's edge at which a cushion is thickest, and half of that thickness
RISE = 0.03  # metres from the surface's outline over which it becomes so thick
# Metres: half the width of a cushion that goes on behind the surface, how far, and how far behind.
THICK, FARTHER, BEHIND = 0.0025, 0.025, 0.002
SMOOTH, ROUNDS = 0.012, 40  # metres and rounds of the means that carry depth beyond the outline


class DepthMap(NamedTuple):
    """front and back [h,w] metres from the camera, back = front on the surface; beyond [h,w] bool: beyond its
    outline; under [h,w]: depth at which a cushion goes on behind the surface, 0 where none does, and source
    [2,h,w] the pixel (row, column) of the cushion that does; unit: metres that a pixel is wide.
    """

    front: np.ndarray
    back: np.ndarray
    beyond: np.ndarray
    under: np.ndarray
    source: np.ndarray
    unit: float


def depth_map(posed: Posed, sizes: np.ndarray, window: Window) -> DepthMap | None:
    """Of the places `posed`, sizes [N] metres; None where none of them lies in the window."""
    camera = window.camera
    drawn = rasterize(posed.balls(sizes), camera, passes=("alpha", "depth"))
    covered, front = drawn["alpha"].numpy() > 0.6, drawn["depth"].numpy()
    if not covered.any():
        return None
    outside, (row, column) = ndimage.distance_transform_edt(~covered, return_indices=True)
    unit = float(np.median(front[covered])) / camera.K[0, 0]
    fixed = np.where(covered, front, front[row, column])
    middle, wide = fixed, max(5, int(SMOOTH / unit) | 1)
    for _ in range(ROUNDS):
        middle = np.where(covered, fixed, ndimage.uniform_filter(middle, wide))
    from_edge = unit * ndimage.distance_transform_edt(np.pad(window.matte > 0.5, 1, "edge"))[1:-1, 1:-1]
    inward = np.minimum(from_edge, ROUND)
    half = np.sqrt(inward * (2 * ROUND - inward)) * np.minimum(outside * unit / RISE, 1)
    under, source = _going_on(window.lifted & ~covered, middle, front, unit)
    return DepthMap(middle - half, middle + half, ~covered, under, source, unit)


def _going_on(beyond: np.ndarray, middle: np.ndarray, front: np.ndarray, unit: float):
    """Depth [h,w] and source [2,h,w] of what goes on behind the surface, as hair behind a neck: without it
    the parts come apart where another pose or view opens the seam.
    """
    thick = ndimage.binary_opening(beyond, iterations=max(1, round(THICK / unit)))
    if not thick.any():
        return np.zeros_like(middle), np.zeros((2, *middle.shape), int)
    apart, source = ndimage.distance_transform_edt(~thick, return_indices=True)
    depth = middle[tuple(source)]
    goes = ~beyond & (apart * unit < FARTHER) & (depth > front + BEHIND) & (front > 0)
    return np.where(goes, depth, 0), source
