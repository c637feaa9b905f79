# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo colours at points of the template's surface, found through each pixel's own template point.

A point of the template collects, in every photo, the pixels whose template points are nearest. How near they
are says whether the photo shows the point at all: no camera, pose or visibility test is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .config import ModelConfig
from .tokens import AnchorSet
from .views import PixelSource

NEIGHBOURS = 4
UNSEEN = 1.0  # metres: the distance where a photo shows nothing
SOLID = 0.9  # pixels below this matte mix with the background and are not sampled
FAR = 0.15  # metres: pixels beyond are not looked for
REACH = 0.02  # metres, plus four pixels: the farthest a pixel colours
SURE = 0.02  # metres: smaller expected errors make no photo better than another
MIN_PIXEL = 0.001  # metres: finer photos are trusted no more than this


@dataclass(frozen=True)
class SiteColors:
    """Colours of V photos at S sites: rgb [V,S,3] in 0..1, distance [V,S] metres, pixel_size [V] metres.

    pixel_size is the typical step from one pixel to the next on the template: photos with finer pixels win.
    error [V,S] metres is expected of the pixels' template points (None: exact): surer photos win.
    """

    rgb: np.ndarray
    distance: np.ndarray
    pixel_size: np.ndarray
    error: np.ndarray | None = None


def match_pixels(points: np.ndarray, matte: np.ndarray, sites: np.ndarray, neighbours: int = NEIGHBOURS):
    """Nearest photo pixels of each site.

    points [H,W,3], matte [H,W], sites [S,3] -> flat pixel indices [S,k], distances [S,k] in metres. Where no
    solid pixel lies within `FAR` the distance is `UNSEEN`.
    """
    solid = np.flatnonzero((matte > SOLID).ravel() & np.isfinite(points).all(-1).ravel())
    if not len(solid):
        return np.zeros((len(sites), neighbours), np.int64), np.full(
            (len(sites), neighbours), UNSEEN, np.float32
        )
    tree = cKDTree(points.reshape(-1, 3)[solid].astype(np.float32))
    ranks = list(range(1, neighbours + 1))
    distance, index = tree.query(sites, k=ranks, distance_upper_bound=FAR)
    missing = index >= len(solid)  # too far, or fewer pixels than neighbours
    index = solid[np.where(missing, 0, index)]
    return index, np.where(missing, UNSEEN, distance).astype(np.float32)


def pixel_size(points: np.ndarray, matte: np.ndarray) -> float:
    """Median distance in metres between the template points of horizontally adjacent solid pixels."""
    solid = matte > SOLID
    both = solid[:, 1:] & solid[:, :-1]
    step = np.linalg.norm(np.diff(points.astype(np.float32), axis=1)[both], axis=-1)
    step = step[np.isfinite(step)]
    return float(max(np.median(step), MIN_PIXEL)) if len(step) else UNSEEN


def site_colors(source: PixelSource, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """One photo at each site: colour [S,3], nearest pixel's distance [S], pixel size, expected error [S].

    The colour is the mean of the nearest pixels, weighted by inverse squared distance.
    """
    index, distance = match_pixels(source.points, source.matte, sites)
    weight = 1 / (distance**2 + MIN_PIXEL**2)
    rgb = source.rgb.reshape(-1, 3)[index]
    color = (rgb * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
    error = np.zeros(len(sites)) if source.error is None else source.error.ravel()[index[:, 0]]
    size = pixel_size(source.points, source.matte)
    return color.astype(np.float32), distance[:, 0], size, error.astype(np.float32)


def together(photos: list) -> SiteColors:
    """What `site_colors` found in one or more photos."""
    rgb, distance, size, error = zip(*photos, strict=True)
    return SiteColors(np.stack(rgb), np.stack(distance), np.array(size, np.float32), np.stack(error))


def match_radius(config: ModelConfig, anchors: AnchorSet) -> np.ndarray:
    """[M] metres within which a photo's pixel colours a Gaussian."""
    on_face = anchors.child_is_face.cpu().numpy()
    return np.where(on_face, config.match_radius_face, config.match_radius_body).astype(np.float32)


def combine(colors: SiteColors, radius: np.ndarray) -> np.ndarray:
    """Mean over photos, weighted by nearness, fineness and sureness: [S,4] colour, log of summed nearness.

    Nearness is exp(-(d / radius)²) with radius [S] in metres, less for fine photos: what lies outside a
    close-up's frame must not be coloured by its edge. Fineness is 1 / pixel_size²,
    sureness 1 / (error² + SURE²). Sites that no photo shows keep a neutral colour and a log weight near
    log(1e-4).
    """
    reach = np.minimum(radius, REACH + 4 * colors.pixel_size[:, None])
    near = np.exp(-((colors.distance / reach) ** 2))
    weight = near / colors.pixel_size[:, None] ** 2
    if colors.error is not None:
        weight = weight / (colors.error**2 + SURE**2)
    rgb = (colors.rgb * weight[..., None]).sum(0) / (weight.sum(0)[:, None] + 1e-12)
    total = near.sum(0)
    rgb = np.where(total[:, None] > 1e-6, rgb, 0.5)
    return np.concatenate([rgb, np.log(total + 1e-4)[:, None]], -1).astype(np.float32)
