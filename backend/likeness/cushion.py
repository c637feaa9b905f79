# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a photo's pixels: the person's surface, and beyond its outline a cushion, round towards the
matte's edge, whose front and back stand for hair, hats and loose clothes.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from ..imaging.matting import mean_beside
from ..raster import rasterize
from .limbs import JOINED, LEGS, limb_of, limbs_seen
from .photo import Posed
from .places import COARSE, Places
from .window import Window, block_means

ROUND = 0.045  # metres from the matte's edge at which a cushion is thickest, and half of that thickness
RISE = 0.03  # metres from the surface's outline over which it becomes so thick
# Metres: half the width of a cushion that goes on behind the surface, how far, and how far behind.
THICK, FARTHER, BEHIND = 0.0025, 0.025, 0.002
SMOOTH, ROUNDS = 0.012, 40  # metres and rounds of the means that carry depth beyond the outline
LEANING = 0.03  # metres that depth beyond the outline differs at most from the surface's beside
# Metres between legs within which, and the distance of colours from the own leg's by which, a pixel is stray,
# as of the floor; metres over which the leg's colour is averaged.
BETWEEN, OTHER, COLOR_OVER = 0.2, 0.3, 0.02

JUMP = 1.5  # pixels that depth differs by from one pixel to the next beyond a mere slope


class DepthMap(NamedTuple):
    """front and back [h,w] metres from the camera, back = front on the surface; beyond [h,w] bool: beyond its
    outline, or of a limb that the surface does not show there; limb [h,w]: of `limbs.py`; stray [h,w] bool:
    between legs and of another colour; under [h,w]: depth at which a cushion goes on behind the surface,
    0 where none does, and source [2,h,w] the pixel (row, column) of the cushion that does; place [h,w]: about
    the nearest place; unit: metres that a pixel is wide.
    """

    front: np.ndarray
    back: np.ndarray
    beyond: np.ndarray
    limb: np.ndarray
    stray: np.ndarray
    under: np.ndarray
    source: np.ndarray
    place: np.ndarray
    unit: float

    def smaller(self, size: int) -> "DepthMap":
        """Of blocks of size x size pixels: means of depths, else what the first pixel has."""
        first = [a[..., ::size, ::size] for a in self[2:-1]]
        return DepthMap(*(block_means(a, size) for a in self[:2]), *first, self.unit * size)

    def doubled(self) -> "DepthMap":
        """At twice the resolution; depth goes on smoothly where it does not jump."""
        same = [a.repeat(2, -2).repeat(2, -1) for a in self[:-1]]
        for number in (0, 1):
            smooth = ndimage.zoom(self[number], 2, order=1, mode="nearest", grid_mode=True)
            jumps = np.abs(smooth - same[number]) > JUMP * self.unit
            same[number] = np.where(jumps, same[number], smooth)
        return DepthMap(*same, self.unit / 2)


def depth_map(places: Places, posed: Posed, sizes: np.ndarray, window: Window) -> DepthMap | None:
    """Of the places `posed`, sizes [N] metres; None where none of them lies in the window."""
    balls, camera = posed.balls(sizes), window.camera
    balls = replace(balls, colors=torch.from_numpy(places.positions.astype(np.float32)))
    drawn = rasterize(balls, camera, passes=("combined", "alpha", "depth"))
    alpha, front = drawn["alpha"].numpy(), drawn["depth"].numpy()
    covered = alpha > 0.6
    if not covered.any():
        return None
    unit = float(np.median(front[covered])) / camera.K[0, 0]
    canonical = drawn["combined"][..., :3].numpy() / np.maximum(alpha, 1e-6)[..., None]
    shown = np.full(covered.shape, -1)
    place = np.zeros(covered.shape, int)
    place[covered] = places.coarse_tree.query(canonical[covered], workers=-1)[1] * COARSE
    shown[covered] = limb_of(places)[place[covered]]
    limb = limbs_seen(window.rgb, shown, canonical, window.matte, unit)
    own = covered & (limb == shown)
    source, outside, rival = _nearest_own(limb, own, canonical)
    fixed = np.where(own, front, front[tuple(source)])
    middle, wide = fixed, max(5, int(SMOOTH / unit) | 1)
    for _ in range(ROUNDS):
        middle = np.where(own, fixed, ndimage.uniform_filter(middle, wide))
    middle = np.clip(middle, fixed - LEANING, fixed + LEANING)
    solid = np.pad((window.matte > 0.5) & ~_seams(limb, canonical[tuple(source)], ~own), 1, "edge")
    inward = np.minimum(unit * ndimage.distance_transform_edt(solid)[1:-1, 1:-1], ROUND)
    half = np.sqrt(inward * (2 * ROUND - inward)) * np.minimum(outside * unit / RISE, 1)
    half = np.where(covered, 0, half)
    gap = ~covered & np.isin(limb, LEGS) & ((outside + rival) * unit < BETWEEN)
    stray = (gap & _unlike(window.rgb, own, limb, source, gap, unit)) | (fixed <= 0)
    under, going = _going_on(window.lifted & ~covered & ~stray, middle, front, unit)
    place = place[tuple(source)]
    return DepthMap(middle - half, middle + half, ~own, limb, stray, under, going, place, unit)


def _nearest_own(limb: np.ndarray, own: np.ndarray, canonical: np.ndarray):
    """Of each pixel the nearest [2,h,w] of its own limb's surface (row, column), how far it is, and how far
    the surface of another limb is that is not joined to it there [h,w]: pixels.
    """
    source = np.stack(np.indices(limb.shape))
    outside = np.zeros(limb.shape)
    found = {}
    for number in np.unique(limb[own]):
        found[number] = ndimage.distance_transform_edt(~(own & (limb == number)), return_indices=True)
        here = ~own & (limb == number)
        source[:, here], outside[here] = found[number][1][:, here], found[number][0][here]
    rival = np.full(limb.shape, np.inf)
    at = canonical[tuple(source)]
    for number, (apart, nearest) in found.items():
        joined = np.linalg.norm(canonical[tuple(nearest)] - at, axis=-1) < JOINED
        rival = np.where((limb != number) & ~joined, np.minimum(rival, apart), rival)
    return source, outside, rival


def _seams(limb: np.ndarray, at: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """[h,w] bool: beside a pixel of another limb whose surface `at` [h,w,3] is not joined to this one's."""
    seam = np.zeros(limb.shape, bool)
    for first, second in (np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]):
        apart = np.linalg.norm(at[first] - at[second], axis=-1) > JOINED
        meet = apart & (limb[first] != limb[second])
        seam[first] |= meet
        seam[second] |= meet
    return seam & beyond


def _unlike(rgb: np.ndarray, own: np.ndarray, limb, source: np.ndarray, wanted: np.ndarray, unit: float):
    """[h,w] bool, where `wanted` [h,w]: of another colour than the own limb's surface beside."""
    beside = rgb.copy()
    for number in np.unique(limb[wanted]):
        here = wanted & (limb == number)
        mean, _ = mean_beside(rgb, own & (limb == number), COLOR_OVER / unit)
        beside[here] = mean[tuple(source[:, here])]
    soft = ndimage.gaussian_filter(rgb, (2, 2, 0))
    return np.linalg.norm(soft - beside, axis=-1) > OTHER


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
