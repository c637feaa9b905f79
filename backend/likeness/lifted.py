# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians of the photos' own pixels: every solid pixel, laid on the person's surface where that photo shows
it best; beyond the surface's outline, where hair and clothes are, on a cushion about it.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.spatial import cKDTree

from ..body.skinning import blend
from .cushion import DepthMap, depth_map
from .detail import Level, blocks, levels, threshold
from .limbs import BODY, COUNT, limb_of
from .photo import FittedPhoto, Posed
from .places import Places
from .window import Window, windows

# Of a pixel: standard deviations along the surface and across it. 0.45 is 0.4 to 1.0 dB nearer to photos than
# 0.55.
ACROSS, ALONG = 0.38, 0.3
MERGED = 0.55  # the former of merged pixels, which have no detail to blur and would let the lining through
CLOSED = 1.2  # times as wide where no surface lies beneath
STEEPEST = 3.5  # pixels that one pixel may reach in depth
GRAZING_FACE = 0.3  # cosine to the camera below which a face's pixels are those of hair beside it
# Of hands and feet, off which nothing stands: fingers bent otherwise did, and held things; and of the face
# where no landmarks hold it: a profile's nose did.
BARE = 0.5
NEAR = 4  # places about a pixel, whose skinning it takes
# Metres off the surface from which, and over which, skinning becomes a wide mean's; places of that mean, of
# every so many, and metres at which they lose their weight.
OFF, OVER, WIDE, EVERY, REACH = 0.004, 0.03, 48, 6, 0.03
ALIKE = 0.3  # cosine between skinning weights from which two places are of one part of the body
KEPT = 8  # joints of a Gaussian
AT_ONCE = 8192  # Gaussians, which bounds the memory of comparing their joints
LARGE = 150_000  # pixels of a window from which depth is found at half of its resolution
SUNK = 0.5  # of what a Gaussian is wider than a pixel, that it lies deeper: fine ones are seen before it
BACK_STEP = 2  # pixels between the Gaussians of a cushion's back, each way
COMPANY, ALONE = 20, 8.0  # neighbours, and pixels that the farthest of them may be away
APART = 0.8  # of the places' spacing, that a pixel on the surface is away from the nearest at most
OUTSIDE = 0.1  # matte of another photo below which nothing is
CLOSE = 0.96  # of a budget, that is aimed at
# Mean difference from another photo's colour, and metres behind its surface, from which it shows something
# else.
OTHER_COLOR, BEFORE = 0.12, 0.005


@dataclass(frozen=True)
class Lifted:
    """n Gaussians in the mean canonical space: means [n,3], covariances [n,3,3], colors [n,3],
    opacities [n] of the photo's matte, skin_indices uint8 and skin_weights [n,8]; place [n]: the nearest
    place; off [n]: metres from it; seen [n] bool: the photo shows it, as it does not the back of a cushion;
    source [n]: number of the photo.
    """

    means: np.ndarray
    covariances: np.ndarray
    colors: np.ndarray
    opacities: np.ndarray
    skin_indices: np.ndarray
    skin_weights: np.ndarray
    place: np.ndarray
    off: np.ndarray
    seen: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.means)

    def take(self, rows: np.ndarray) -> "Lifted":
        return Lifted(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def none(cls) -> "Lifted":
        shapes = (3,), (3, 3), (3,), (), (KEPT,), (KEPT,), (), (), (), ()
        kinds = (*[np.float32] * 4, np.uint8, np.float32, np.int64, np.float32, bool, np.int64)
        return cls(*(np.zeros((0, *shape), kind) for shape, kind in zip(shapes, kinds, strict=True)))

    @classmethod
    def joined(cls, parts: list["Lifted"]) -> "Lifted":
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def lifted_pixels(
    places: Places,
    photos: list[FittedPhoto],
    posed: list[Posed],
    sizes: np.ndarray,
    best: np.ndarray,
    leading: np.ndarray,
    tones: list[np.ndarray],
    budget: int | None = None,
) -> Lifted:
    """All photos' pixels, in the photos' own resolution as far as it is needed; budget: in one that makes
    about so many Gaussians, not more. sizes [N] metres: the places'; best [N]: the photo that shows each
    place best, -1 where none does; leading [N]: the one that shows most of its part of the body, whose pixels
    off the surface are taken; tones: [N,3] for each photo, what its colours lack to those of all.
    """
    share, made = 1.0, _all_pixels(places, photos, posed, sizes, best, leading, tones)
    while budget is not None and len(made):
        share *= CLOSE * budget / len(made)
        made = _all_pixels(places, photos, posed, sizes, best, leading, tones, share)
        if len(made) <= budget:
            break
    return made


def _all_pixels(places, photos, posed, sizes, best, leading, tones, share=1.0) -> Lifted:
    """share: times as many Gaussians as usual."""
    sources = _sources(places, photos, posed, sizes, best, leading, min(share, 1.0))
    used = [source.used for source in sources]
    found = [blocks(places, s.fine, s.finer, u) for s, u in zip(sources, used, strict=True)]
    limit = threshold(found, len(photos) > 1, share) if found else 0.0
    parts = []
    for source, pixels, parted in zip(sources, used, found, strict=True):
        made = _source_pixels(places, source, levels(source.fine, source.finer, pixels, parted, limit))
        tone = tones[source.number]
        made = replace(made, colors=np.clip(made.colors + tone[made.place], 0, 1))
        others = [other for other in sources if other.photo is not source.photo]
        parts.append(made.take(np.flatnonzero(_consistent(places, made, others, tones))))
    return _without_specks(Lifted.joined(parts)) if parts else Lifted.none()


def _sources(places: Places, photos, posed, sizes, best, leading, share) -> list["_Source"]:
    """Of every photo its windows; arguments as of `lifted_pixels`; share: of their most pixels."""
    sources = []
    for number, (photo, at) in enumerate(zip(photos, posed, strict=True)):
        trees = LimbTree.of(at.points, limb_of(places)), cKDTree(at.points[::EVERY])
        for fine in windows(places, photo, at, share):
            large = fine.lifted.sum() > LARGE
            window = fine.smaller(2) if large else fine
            shape = depth_map(places, at, sizes, window)
            if shape is not None:
                finer = (fine, shape.doubled()) if large else (window, shape)
                wanted = _wanted(places, photo, at, best == number, leading == number)
                sources.append(_Source(number, photo, at, window, shape, *finer, *wanted, *trees))
    return sources


@dataclass(frozen=True)
class _Source:
    """A window of a photo with its depths, and both at the photo's own resolution, fine and finer; shown,
    bare and off [N] bool: the places whose pixels on the surface, off it, and behind it are taken; tree of
    the places as they lie there, sparse of every EVERY-th.
    """

    number: int
    photo: FittedPhoto
    posed: Posed
    window: Window
    shape: DepthMap
    fine: Window
    finer: DepthMap
    shown: np.ndarray
    bare: np.ndarray
    off: np.ndarray
    tree: "LimbTree"
    sparse: cKDTree

    @property
    def used(self) -> np.ndarray:
        """[h,w] bool: the fine pixels that are taken, as far as the places about them tell."""
        place = self.finer.place
        taken = np.where(self.finer.beyond, self.bare[place], self.shown[place])
        return self.fine.lifted & ~self.finer.stray & taken


class LimbTree(NamedTuple):
    """Points of each limb (`limbs.py`): their numbers and a tree of them."""

    rows: list[np.ndarray]
    trees: list[cKDTree]

    @classmethod
    def of(cls, points: np.ndarray, limb: np.ndarray) -> "LimbTree":
        rows = [np.flatnonzero(limb == number) for number in range(COUNT)]
        return cls(rows, [cKDTree(points[r]) for r in rows])

    def nearest(self, points: np.ndarray, limb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances and numbers [n,NEAR] of those points of a limb [n] that are nearest to points [n,3]."""
        distance, near = np.zeros((len(points), NEAR)), np.zeros((len(points), NEAR), np.int64)
        for number in np.unique(limb):
            here = np.flatnonzero(limb == number)
            distance[here], found = self.trees[number].query(points[here], k=NEAR, workers=-1)
            near[here] = self.rows[number][found]
        return distance, near


def _wanted(places: Places, photo: FittedPhoto, posed: Posed, own: np.ndarray, off: np.ndarray):
    """own [N] bool: the places that the photo shows best; off [N] bool: those of parts that it leads."""
    shown = own & ((posed.facing > GRAZING_FACE) | (places.face < 0.1))
    for side, hand in zip(("left", "right"), places.hands, strict=True):
        if photo.seen.hands[side] is None:  # its fingers lie anywhere
            shown &= hand < BARE
    return shown, ((places.face < BARE) | (photo.warp is not None)) & (places.ends < BARE) & off, off


def _source_pixels(places: Places, source: _Source, parts: list[Level]) -> Lifted:
    window, shape = source.window, source.shape
    coarse = np.zeros(shape.limb.shape, bool)
    coarse[::BACK_STEP, ::BACK_STEP] = True
    deep = window.lifted & ~shape.stray & (shape.back > shape.front + shape.unit)
    laid = []
    for window, at, taken in parts:
        level, depth = (
            replace(source, window=window, shape=at),
            at.front + SUNK * (at.unit - source.finer.unit),
        )
        wide = 1 if window is source.fine else MERGED / ACROSS
        beyond = max(wide, CLOSED)
        laid.append(_laid(places, level, depth, taken & at.beyond, shown=source.bare, wider=beyond))
        laid.append(_laid(places, level, depth, taken & ~at.beyond, shown=source.shown, wider=wide))
    back = _laid(places, source, shape.back, coarse & deep, BACK_STEP, source.bare, wider=CLOSED)
    gone_on = coarse & (shape.under > 0)
    under = _laid(places, source, shape.under, gone_on, BACK_STEP, source.off, shape.source, CLOSED)
    return Lifted.joined([*laid, _hidden(back), _hidden(under)])


def _laid(places, source, depth, pixels, step=1, shown=None, colors=None, wider=1.0) -> Lifted:
    """The Gaussians of some pixels [h,w] bool, every step-th, at a depth [h,w]; only at places of `shown` [N]
    bool; in the colours of the pixels themselves or of others, `colors` [2,h,w] (row,
    column); `wider` times as wide as pixels.
    """
    unit, window = source.shape.unit, source.window
    points = _points(window, depth)
    rows = np.flatnonzero(pixels)
    row, column = np.unravel_index(rows, pixels.shape)
    if colors is not None:
        row, column = colors[:, row, column]
    distance, near = source.tree.nearest(points.reshape(-1, 3)[rows], source.shape.limb[row, column])
    if shown is not None:
        good = shown[near[:, 0]]
        rows, distance, near, row, column = (a[good] for a in (rows, distance, near, row, column))
    tangents = (_tangent(points, source.shape.limb, axis, unit) for axis in (1, 0))
    across, down = (tangent.reshape(-1, 3)[rows] * (step * wider) for tangent in tangents)
    covariances = _covariances(across, down, unit * step)
    look = window.rgb[row, column], window.matte[row, column]
    return _canonical(places, source, _Made(points.reshape(-1, 3)[rows], covariances, *look, distance, near))


def _hidden(lifted: Lifted) -> Lifted:
    """What lies behind what the photo shows."""
    return replace(lifted, seen=np.zeros(len(lifted), bool))


@dataclass(frozen=True)
class _Made:
    """Gaussians in a photo's camera axes; distance and near [n,NEAR]: of the places about them."""

    points: np.ndarray
    covariances: np.ndarray
    colors: np.ndarray
    opacities: np.ndarray
    distance: np.ndarray
    near: np.ndarray


def _points(window: Window, depth: np.ndarray) -> np.ndarray:
    """[h,w,3] the pixels' centres at a depth [h,w]."""
    height, width = depth.shape
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    K = window.camera.K
    ray = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    return ray * depth[..., None]


def _tangent(points: np.ndarray, limb: np.ndarray, axis: int, unit: float) -> np.ndarray:
    """[h,w,3] the smaller of the steps to both neighbours along an axis, not longer than `STEEPEST`; one
    pixel where both neighbours are of another limb.
    """
    ahead = np.diff(points, axis=axis, append=np.take(points, [-1], axis))
    other = np.diff(limb, axis=axis, append=np.take(limb, [-1], axis)) != 0
    length = np.where(other, np.inf, np.linalg.norm(ahead, axis=-1))
    smaller = length <= np.roll(length, 1, axis)
    step = np.where(smaller[..., None], ahead, np.roll(ahead, 1, axis))
    size = np.minimum(length, np.roll(length, 1, axis))[..., None]
    plain = unit * np.eye(3)[1 - axis]
    none = (size < 1e-9) | ~np.isfinite(size)
    return np.where(none, plain, step * np.minimum(1, STEEPEST * unit / np.clip(size, 1e-9, 1e9)))


def _covariances(across: np.ndarray, down: np.ndarray, unit: float) -> np.ndarray:
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    outer = lambda a: a[:, :, None] * a[:, None]  # noqa: E731
    return ACROSS**2 * (outer(across) + outer(down)) + (ALONG * unit) ** 2 * outer(normal)


def _canonical(places: Places, source: _Source, made: _Made) -> Lifted:
    photo, off = source.photo, made.distance[:, 0]
    indices, weights = _skinning(places, source.sparse, made)
    tensors = torch.from_numpy(indices), torch.from_numpy(weights)
    matrix = blend(*tensors, photo.transforms()).numpy().astype(np.float64)
    back = np.linalg.inv(matrix[:, :, :3])
    means = np.einsum("nij,nj->ni", back, made.points - matrix[:, :, 3])
    place = made.near[:, 0]
    means -= photo.expression_moves(places)[place]
    covariances = back @ made.covariances @ back.transpose(0, 2, 1)
    colors = made.colors.astype(np.float32)
    look = colors, made.opacities
    shown, number = np.ones(len(means), bool), np.full(len(means), source.number)
    return Lifted(means.astype(np.float32), covariances, *look, indices, weights, place, off, shown, number)


def _skinning(places: Places, tree: cKDTree, made: _Made) -> tuple[np.ndarray, np.ndarray]:
    """Joints uint8 [n,8] and weights [n,8]: of the places about a Gaussian; of those all around where it
    stands off, so that what hangs together stays together. tree: of every EVERY-th place.
    """
    known = places.weight_matrix
    weights = _mixed(1 / (made.distance**2 + 1e-6), made.near, known)
    far = np.flatnonzero(made.distance[:, 0] > OFF)
    if len(far):
        some = np.arange(0, len(places), EVERY)
        apart, wide = tree.query(made.points[far], k=WIDE, workers=-1)
        share = np.exp(-np.square((apart - apart[:, :1]) / REACH))
        alike = _alike(places, made.near[far, 0], some[wide]) > ALIKE
        body = limb_of(places) == BODY  # all of which moves together, as hair on head and shoulders does
        joined = alike | (body[made.near[far, :1]] & body[some[wide]])
        share *= np.where(joined, 1, 1e-6)
        part = np.clip((made.distance[far, :1] - OFF) / OVER, 0, 1)
        weights[far] += part * (_mixed(share, wide, known[some]) - weights[far])
    indices = np.argpartition(-weights, KEPT, axis=1)[:, :KEPT]
    kept = np.take_along_axis(weights, indices, 1)
    return indices.astype(np.uint8), (kept / kept.sum(1, keepdims=True)).astype(np.float32)


def _alike(places: Places, first: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[n,k] cosine between the skinning weights of places first [n] and others [n,k]."""
    unit = places.unit_weights
    cosine = np.empty(others.shape, np.float32)
    for start in range(0, len(first), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        cosine[part] = np.einsum("nj,nkj->nk", unit[first[part]], unit[others[part]])
    return cosine


def _mixed(share: np.ndarray, rows: np.ndarray, values: sparse.csr_matrix) -> np.ndarray:
    """[n,J] means of the rows [n,k] of sparse values [N,J], weighted by share [n,k]."""
    share = (share / share.sum(1, keepdims=True)).astype(np.float32)
    starts = np.arange(len(rows) + 1) * rows.shape[1]
    mean = sparse.csr_matrix((share.ravel(), rows.ravel(), starts), (len(rows), values.shape[0]))
    return (mean @ values).toarray()


def _without_specks(lifted: Lifted) -> Lifted:
    """Without what hangs in the air by itself."""
    far = np.flatnonzero(lifted.off > OFF)
    if len(lifted) <= COMPANY or not len(far):
        return lifted
    apart = cKDTree(lifted.means).query(lifted.means[far], k=COMPANY, workers=-1)[0][:, -1]
    size = np.sqrt(np.maximum(np.linalg.eigvalsh(lifted.covariances[far])[:, 1], 0)) / ACROSS
    keep = np.ones(len(lifted), bool)
    keep[far] = apart < ALONE * size
    return lifted.take(np.flatnonzero(keep))


def _consistent(places: Places, lifted: Lifted, others: list[_Source], tones: list[np.ndarray]) -> np.ndarray:
    """[n] bool: on the surface, or where fewer than half of the other photos show the background, or a
    surface of another colour behind it.
    """
    keep = np.ones(len(lifted), bool)
    far = np.flatnonzero(lifted.off > APART * places.spacing[lifted.place])
    rows = lifted.take(far)
    against, framing = np.zeros((2, max((other.number + 1 for other in others), default=0), len(far)), bool)
    for other in others if len(far) else ():
        points = _posed(places, rows, other.photo)
        camera, shape = other.window.camera, other.shape
        framed, pixel = _pixels(points, other.photo.fit.K, other.photo.seen.size)
        empty = framed & (other.photo.seen.matte[pixel] < OUTSIDE)
        inside, at = _pixels(points, camera.K, (camera.height, camera.width))
        seen = other.window.rgb[at] + tones[other.number][rows.place]
        differs = np.abs(seen - rows.colors).mean(1) > OTHER_COLOR
        before = points[:, 2] < shape.front[at] + BEFORE
        framing[other.number] |= framed
        against[other.number] |= empty | inside & differs & before & ~shape.beyond[at]
    keep[far] = against.sum(0) < np.maximum(0.5 * framing.sum(0), 1)
    return keep


def _pixels(points: np.ndarray, K: np.ndarray, size: tuple[int, int]):
    """[n] bool, whether points [n,3] lie inside a picture of (height, width), and their nearest (row, column)
    in it.
    """
    column, row = np.floor((points @ K.T)[:, :2] / points[:, 2:].clip(1e-3)).T
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    return inside, (row.clip(0, size[0] - 1).astype(int), column.clip(0, size[1] - 1).astype(int))


def _posed(places: Places, lifted: Lifted, photo: FittedPhoto) -> np.ndarray:
    """[n,3] in the camera axes of a photo."""
    tensors = torch.from_numpy(lifted.skin_indices), torch.from_numpy(lifted.skin_weights)
    matrix = blend(*tensors, photo.transforms()).numpy()
    moved = lifted.means + photo.expression_moves(places)[lifted.place]
    return np.einsum("nij,nj->ni", matrix[:, :, :3], moved) + matrix[:, :, 3]
