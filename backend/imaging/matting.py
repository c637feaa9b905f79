# SPDX-License-Identifier: GPL-3.0-or-later
"""From a coarse mask of a person to a matte with the photo's own edges."""

import numpy as np
import scipy.sparse as sparse
from scipy import ndimage
from scipy.sparse.linalg import cg

from .crops import Box, crop, guided_filter, paste, resize

LIKELY, MARGIN = 0.3, 0.06  # of the mask; around it, in sizes of its box
WALK_SIDE = 288  # rows of the random walk
MATTE_SIDE = 1024  # rows, at most, on which the matte's edge is refined
CONTRAST = 1000.0  # of squared colour differences, sRGB in 0..1
LEAST = 0.002  # weight of two neighbours however they differ
PULL = 0.05  # of the mask where it is sure
STEPS = (
    (0, 1, 1.0),
    (1, 0, 1.0),
    (1, 1, 0.7),
    (1, -1, 0.7),
)  # to a pixel's neighbours: rows, columns, weight

GAP_ROWS, GAP = 300, 9  # rows on which gaps are searched for, and half of their width
SLACK = 4  # rows by which the body may reach into one
BESIDE = 12.0  # rows over which the background beside is averaged
HAIR_ROWS = 256  # rows on which hair and the background beside it are averaged
HAIR_APART = 0.35  # between their colours (sRGB), from which they are told apart
HAIR_FROM = 0.75  # share of the background in a colour from which the matte fades
ALIKE = 0.06  # deviation of a channel within which a colour is the background's


def matte_of(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """float32 [H,W] in 0..1: a coarse mask [H,W] in 0..1, refined by the edges of the photo rgb [H,W,3]."""
    matte = np.zeros(mask.shape, np.float32)
    if not (mask > LIKELY).any():
        return matte
    box = Box.of_mask(mask > LIKELY).grown(MARGIN, 0.75)
    inner = box.inside(*mask.shape)
    rows = min(WALK_SIDE, inner.height)
    size = rows, max(2, round(rows * inner.width / inner.height))
    walked = random_walk(crop(rgb, inner, *size), crop(mask, inner, *size))
    fine = min(MATTE_SIDE, inner.height)
    if fine > rows:
        walked = _with_fine_edges(rgb, inner, walked, fine)
    paste(matte, np.clip((walked - 0.1) / 0.8, 0, 1).astype(np.float32), inner)
    return matte


def without_gaps(rgb: np.ndarray, matte: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The matte [H,W] without what lies between parts of the fitted body [H,W] bool, as an arm and the
    trunk, and has the colour of the background beside: masks of bodies are often filled there.
    """
    height, width = matte.shape
    rows = min(GAP_ROWS, height)
    size = rows, max(2, round(rows * width / height))
    small = resize(body.astype(np.float32), *size) > 0.5
    padded = np.pad(small, GAP + 1)
    reached = ndimage.distance_transform_edt(~padded) <= GAP
    closed = ndimage.distance_transform_edt(reached) > GAP
    gap = closed[GAP + 1 : -GAP - 1, GAP + 1 : -GAP - 1] & ~small
    if not gap.any():
        return matte
    gap = ndimage.binary_dilation(gap, iterations=SLACK)
    mean, known = mean_beside(resize(rgb, *size), resize(matte, *size) < 0.05, BESIDE)
    box = Box.of_mask(resize(gap.astype(np.float32), height, width) > 0).inside(height, width)
    region = slice(box.top, box.bottom), slice(box.left, box.right)
    full = lambda layer: resize(layer.astype(np.float32), height, width)[region]  # noqa: E731
    apart = np.square((rgb[region] - full(mean)) / ALIKE).sum(-1)
    taken = np.exp(-apart / 2) * full(gap) * (full(known) > 0.003)
    made = matte.copy()
    made[region] *= 1 - np.clip(ndimage.median_filter(taken, 3) * 1.2, 0, 1)
    return made


def without_background_in_hair(rgb: np.ndarray, matte: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """The matte [H,W] without the background that shows between strands: pixels of the region `hair` [H,W]
    bool whose colour is that of the background beside, where the hair's is another.
    """
    if not (hair & (matte > 0.5)).any():
        return matte
    height, width = matte.shape
    box = Box.of_mask(hair).grown(0.2, 0.2).inside(height, width)
    rows = min(HAIR_ROWS, box.height)
    size = rows, max(2, round(rows * box.width / box.height))
    small = crop(np.dstack([rgb, matte, hair]), box, *size, 0.0)
    behind, there = mean_beside(small[..., :3], small[..., 3] < 0.05, HAIR_ROWS / 10)
    solid, _ = mean_beside(small[..., :3], (small[..., 3] > 0.95) & (small[..., 4] > 0.5), HAIR_ROWS / 10)
    differ = np.square(solid - behind).sum(-1) > HAIR_APART**2
    full = lambda layer: resize(layer.astype(np.float32), box.height, box.width)  # noqa: E731
    region = slice(box.top, box.bottom), slice(box.left, box.right)
    picture = rgb[region]
    own, other = (np.square(picture - full(mean)).sum(-1) for mean in (solid, behind))
    share = own / np.maximum(own + other, 1e-6)  # 1 where the colour is the background's
    open_to = full(differ & (there > 0.003)) * hair[region]
    made = matte.copy()
    made[region] *= 1 - np.clip((share - HAIR_FROM) / (1 - HAIR_FROM), 0, 1) * open_to
    return made


def mean_beside(rgb: np.ndarray, mask: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours [h,w,3] of the masked pixels [h,w] bool about each pixel, weighted by a Gaussian of
    `width` pixels, and how much of that weight is masked [h,w].
    """
    layers = np.dstack([rgb * mask[..., None], mask]).astype(np.float32)
    blurred = ndimage.gaussian_filter(layers, (width, width, 0))
    share = blurred[..., 3]
    return blurred[..., :3] / np.maximum(share, 1e-6)[..., None], share


def random_walk(picture: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The values x [h,w] that change where `picture` [h,w,3] changes and stay near `prior` [h,w] in 0..1
    where that is sure: the least sum of w_ij (x_i - x_j)² over neighbours and c_i (x_i - prior_i)², with
    w_ij = exp(-CONTRAST |colour_i - colour_j|²) and c = PULL (2 prior - 1)².

    L. Grady, "Multilabel random walker image segmentation using prior models", CVPR 2005.
    """
    sure = PULL * (2 * prior.ravel().astype(np.float64) - 1) ** 2 + 1e-4
    diagonal, sides, offsets = sure.copy(), [], []
    for offset, weight in _neighbours(picture):
        diagonal[: len(weight)] += weight
        diagonal[offset:] += weight
        sides += [-weight, -weight]
        offsets += [offset, -offset]
    system = sparse.diags([diagonal, *sides], [0, *offsets], format="csr")
    start = prior.ravel().astype(np.float64)
    walked, _ = cg(system, sure * start, x0=start, rtol=1e-3, maxiter=300, M=sparse.diags(1 / diagonal))
    return walked.reshape(prior.shape)


def _neighbours(picture: np.ndarray):
    """(offset, weights of every pixel to the one at that offset in reading order; 0 across the border)."""
    height, width = picture.shape[:2]
    for down, across, share in STEPS:
        first = picture[: height - down, max(0, -across) : width - max(0, across)]
        second = picture[down:, max(0, across) : width + min(0, across)]
        weight = np.zeros((height, width))
        alike = np.exp(-CONTRAST * np.square(first - second).sum(-1))
        weight[: height - down, max(0, -across) : width - max(0, across)] = share * (alike + LEAST)
        offset = down * width + across
        yield offset, weight.ravel()[: height * width - offset]


def _with_fine_edges(rgb: np.ndarray, box: Box, matte: np.ndarray, rows: int) -> np.ndarray:
    """The same on more rows, its edge along the photo's; only the edge may change."""
    columns = max(1, round(rows * matte.shape[1] / matte.shape[0]))
    radius = max(1, round(rows / matte.shape[0]))
    matte = resize(matte, rows, columns)
    guide = crop(rgb, box, rows, columns).mean(axis=-1)
    sharp = guided_filter(guide, matte, radius, epsilon=2e-3)
    inside = ndimage.minimum_filter(matte, 2 * radius + 1) > 0.9
    outside = ndimage.maximum_filter(matte, 2 * radius + 1) < 0.1
    return np.where(inside, 1, np.where(outside, 0, sharp))
