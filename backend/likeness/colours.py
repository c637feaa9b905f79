# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours straight from the photos: the mean of those that show a place, by how well they do; what none shows
takes the other side's colour, or the network's in the tone of what is seen around.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ..body.template import EYEBALL, MOUTH, TEETH
from ..raster import rasterize
from .photo import FittedPhoto, Posed
from .places import Places

GRAZING = 0.05  # cosine to the camera below which nothing is seen
DEEPER = 0.01  # metres a place may lie behind what is seen before it, more on slopes
INSIDE = 0.002  # the same for teeth and the inside of a mouth, which closed lips hide
# Of teeth and of the mouth where no photo shows them, beside a face of brightness 0.6.
MOUTH_COLORS = {TEETH: (0.8, 0.76, 0.7), MOUTH: (0.36, 0.15, 0.14)}
SOLID = (0.5, 0.95)  # matte from which a pixel begins to count, and counts whole
FOOTPRINT = 0.25  # of the spacing, that a place's colour is the mean over
GUESSED = 0.01  # share of the weight of hands whose landmarks were not found
SMOOTHINGS = 3  # how often the photos' shares are averaged with neighbours
LEAST = 0.2  # of a good photo's weight (their 60th percentile) that counts as seen
# Share of the other side's colour; metres from the middle plane where there is none.
MIRRORED, MIDDLE = 0.8, 0.01
# Seen places about an unseen one, of every fourth, and metres at which they lose half.
AROUND, EVERY, NEAR = 12, 4, 0.02
CLOSE = 0.1  # metres from what is seen within which the nearest of it count most
SOURCES, WIDE = 600, 0.06  # places that a wide mean is over; metres at which they lose three quarters
EXPOSURES = 4000  # pairs of places that two photos' exposures are compared at


class Look(NamedTuple):
    """One photo at every place: color [N,3], weight [N] (0 where not seen)."""

    color: np.ndarray
    weight: np.ndarray


def look_at(places: Places, photo: FittedPhoto, posed: Posed, scales: np.ndarray) -> Look:
    """scales [N] metres: the places' size."""
    facing = posed.facing
    visible = _visible(places, photo, posed, scales)
    at = posed.pixels
    footprint = FOOTPRINT * scales * photo.fit.focal / posed.points[:, 2]
    solid = np.clip((photo.seen.matte - SOLID[0]) / (SOLID[1] - SOLID[0]), 0, 1)
    rows = np.flatnonzero(visible)
    color, cover = np.zeros((len(places), 3), np.float32), np.zeros(len(places), np.float32)
    color[rows], cover[rows] = _sampled(photo.seen.rgb, solid, at[rows], footprint[rows])
    height = photo.seen.matte.shape[0]
    inner = ndimage.binary_erosion(photo.seen.matte > 0.9, iterations=max(1, height // 800))
    inner = ndimage.gaussian_filter(inner.astype(np.float32), 1.0)
    firm = ndimage.map_coordinates(inner, (at[rows] - 0.5).T[::-1], order=1, mode="nearest")
    weight = np.zeros(len(places), np.float32)
    fineness = (photo.fit.focal / posed.points[rows, 2]) ** 2
    weight[rows] = facing[rows] ** 2 * cover[rows] ** 2 * fineness * (0.05 + firm)
    weight[cover < 0.3] = 0
    for side, hand in zip(("left", "right"), places.hands, strict=True):
        if photo.seen.hands[side] is None:
            weight *= 1 - (1 - GUESSED) * hand
    return Look(color, weight)


def _visible(places: Places, photo: FittedPhoto, posed: Posed, scales: np.ndarray) -> np.ndarray:
    """[N] bool: inside the photo, facing it, and not behind another part of the body."""
    height, width = photo.seen.size
    facing, depth = posed.facing, posed.points[:, 2]
    inside = (posed.pixels > 0).all(1) & (posed.pixels < (width, height)).all(1)
    hidden = np.where(places.part > EYEBALL, INSIDE, DEEPER * (1 + 1 / np.maximum(facing, 0.1)))
    front = rasterize(posed.balls(scales), photo.camera, passes=("depth",))["depth"].numpy()
    columns = np.clip(posed.pixels[:, 0].astype(int), 0, width - 1)
    rows = np.clip(posed.pixels[:, 1].astype(int), 0, height - 1)
    behind = depth - np.where(front > 0, front, np.inf)[rows, columns]
    return inside & (facing > GRAZING) & (behind < hidden)


def _sampled(rgb: np.ndarray, solid: np.ndarray, at: np.ndarray, footprint: np.ndarray):
    """Mean colours [n,3] and cover [n] of the person's pixels about places at [n,2], from pictures halved
    until a pixel is as large as the footprint [n] in pixels.
    """
    level = np.dstack([rgb * solid[..., None], solid]).astype(np.float32)
    wanted = np.clip(np.round(np.log2(np.maximum(footprint, 1))), 0, 6).astype(int)
    values = np.zeros((len(at), 4), np.float32)
    for number in range(wanted.max(initial=0) + 1):
        rows = np.flatnonzero(wanted == number)
        place = (at[rows] / 2**number - 0.5).T[::-1]
        for channel in range(4):
            values[rows, channel] = ndimage.map_coordinates(
                level[..., channel], place, order=1, mode="nearest"
            )
        level = _halved(level)
    cover = values[:, 3]
    return np.clip(values[:, :3] / np.maximum(cover[:, None], 1e-3), 0, 1), np.clip(cover, 0, 1)


def _halved(picture: np.ndarray) -> np.ndarray:
    height, width = (max(1, -(-side // 2)) for side in picture.shape[:2])
    padded = np.pad(
        picture, ((0, 2 * height - picture.shape[0]), (0, 2 * width - picture.shape[1]), (0, 0)), "edge"
    )
    return padded.reshape(height, 2, width, 2, -1).mean((1, 3))


def blended(places: Places, looks: list[Look]) -> tuple[np.ndarray, np.ndarray]:
    """Colours [N,3] of the photos together and how well each place was seen [N] in 0..1.

    The plain mean: choosing the best photo more strictly (squared weights and more) takes 0.2 to 0.6 dB, in
    new poses of synthetic people and in photos of real ones, and identity from 0.38 to 0.41, for a tenth of
    sharpness.
    """
    color = np.stack([look.color for look in looks])
    weight = np.stack([look.weight for look in looks])
    seen = weight > 0
    if len(looks) > 1:
        color = np.clip(color * _exposures(color, weight)[:, None], 0, 1)
    share = weight / (weight.max(0) + 1e-12)
    for _ in range(SMOOTHINGS):
        share = (share + share[:, places.neighbours].mean(2)) / 2 * seen
    total = share.sum(0)
    mean = (color * share[..., None]).sum(0) / np.maximum(total, 1e-9)[:, None]
    good = np.percentile(weight[seen], 60) if seen.any() else 1.0
    trust = np.clip(weight.max(0) / (LEAST * good), 0, 1)
    for _ in range(2):
        trust = np.minimum(trust, (trust + trust[places.neighbours].mean(1)) / 2 + 0.2)
    return mean.astype(np.float32), trust.astype(np.float32)


def _exposures(color: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Gains [V,3] that make photos agree where several see a place, their mean left as it is."""
    views = len(color)
    normal = np.eye(views) * 1e-3
    right = np.zeros((views, 3))
    level = np.log(np.clip(color, 0.02, 1))
    for a in range(views):
        for b in range(a):
            both = np.flatnonzero(
                (weight[a] > 0) & (weight[b] > 0) & (color[a] < 0.98).all(1) & (color[b] < 0.98).all(1)
            )
            if len(both) < 200:
                continue
            apart = np.median(level[b, both] - level[a, both], axis=0)
            count = min(len(both), EXPOSURES) / EXPOSURES
            normal[[a, b], [a, b]] += count
            normal[[a, b], [b, a]] -= count
            right[a] += count * apart
            right[b] -= count * apart
    gains = np.linalg.solve(normal, right)
    return np.exp(np.clip(gains - gains.mean(0), -0.5, 0.5)).astype(np.float32)


def completed(places: Places, color: np.ndarray, trust: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Colours [N,3] where nothing was seen: `fallback` [N,3] in the tone of the seen places around, hair in
    the mean colour of hair and ears in that of skin, and mostly the other side's where that was seen.
    """
    fill, unseen = fallback.copy(), np.flatnonzero(trust < 1)
    seen = np.flatnonzero(trust > 0.5)
    if len(seen) > AROUND * EVERY:
        tone, least, most = _tone_around(places, seen, unseen, color, fallback)
        fill[unseen] = np.clip(fill[unseen] + tone, least, most)
    # Close to an ear much that is seen is neither hair nor ear, and the network's ears are of another skin.
    fill = _evened(places, color, trust, fill, places.scalp, places.scalp > 0.5)
    fill = _evened(places, color, trust, fill, places.ears, places.face > 0.5)
    aside = np.abs(places.positions[:, 0]) > MIDDLE
    mirrored = (trust[places.mirror] * MIRRORED * aside)[:, None]
    fill = np.clip(fill, 0, 1) * (1 - mirrored) + color[places.mirror] * mirrored
    bright = (places.face > 0.5) & (places.part == 0) & (trust > 0.5)
    light = np.clip(color[bright].mean() / 0.6, 0.3, 1.2) if bright.any() else 1.0
    for part, inside in MOUTH_COLORS.items():
        fill[places.part == part] = light * np.float32(inside)
    return np.clip(color * trust[:, None] + fill * (1 - trust[:, None]), 0, 1).astype(np.float32)


def _tone_around(places: Places, seen: np.ndarray, unseen: np.ndarray, color, fallback):
    """What is to be added to the fallback of unseen places, [n,3], and the colours [n,3] that bound the sum.

    Near to what is seen it is that of the nearest, else a wide mean's: the nearest of what is far away change
    all at once, which draws a seam along the back.
    """
    sparse = seen[::EVERY]
    distance, nearest = cKDTree(places.positions[sparse]).query(
        places.positions[unseen], k=AROUND, workers=-1
    )
    share = 1 / (distance**2 + NEAR**2)
    share /= share.sum(1, keepdims=True)
    off = color - fallback
    tone = (off[sparse][nearest] * share[..., None]).sum(1)
    close = np.exp(-np.square(distance[:, :1] / CLOSE))
    far = np.flatnonzero(close[:, 0] < 0.99)
    wide = _wide_mean(places, unseen[far], seen, off)
    tone[far] = wide + close[far] * (tone[far] - wide)
    near, free = color[sparse][nearest], 1 - close + places.head[unseen, None]
    return tone, near.min(1) - free, near.max(1) + free


def _wide_mean(places: Places, rows: np.ndarray, sources: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[n,3]: the mean of values [N,3] over some of the places `sources`, by their area and nearness."""
    some = sources[:: len(sources) // SOURCES + 1]
    apart = cdist(places.positions[rows], places.positions[some], "sqeuclidean").astype(np.float32)
    share = places.spacing[some] ** 2 / (apart + WIDE**2) ** 2
    return (share / share.sum(1, keepdims=True)) @ values[some]


def _evened(places: Places, color, trust, fill, region: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """`fill` [N,3] with one even colour in an unseen region [N] in 0..1: a wide mean of what is seen of the
    sources [N] bool.
    """
    seen = np.flatnonzero((trust > 0.5) & sources)
    if not len(seen):
        return fill
    bare = np.flatnonzero((trust < 1) & (region > 0))
    fill[bare] += region[bare, None] * (_wide_mean(places, bare, seen, color) - fill[bare])
    return fill
