# SPDX-License-Identifier: GPL-3.0-or-later
"""Where photos have detail: pixels of plain areas are merged, two by two and four by four, so that a given
number of Gaussians draws what is sharp in the photos. 91,000 of the 490,000 pixels of a head keep 0.33 of its
sharpness if the picture is made smaller, 0.79 so.
"""

from typing import NamedTuple

import numpy as np

from .cushion import DepthMap
from .places import Places
from .window import Window

SIZES = 4, 2  # pixels of a block that may be merged, each way
GAUSSIANS = 170_000  # of all photos' pixels together, about
DROPPED = 0.2  # of several photos' pixels, those that another photo contradicts (four of a head)
PLAIN = 0.006  # standard deviation of colours below which a block is plain whatever there is room for
HEAD = 1.0  # by how much more than elsewhere colours count on the head
STEP = 3.5  # times a block's width that depth may differ in it


class Level(NamedTuple):
    """A window and its depths, made smaller by blocks, and taken [h,w] bool: the blocks that are merged."""

    window: Window
    shape: DepthMap
    taken: np.ndarray


class Blocks(NamedTuple):
    """How much the colours of a window differ within its blocks of 4 pixels [h/4,w/4] and of 2 [h/2,w/2]; the
    latter not more than in the block around. Infinite where a block cannot be merged, -1 where nothing is.
    """

    four: np.ndarray
    two: np.ndarray


def blocks(places: Places, window: Window, shape: DepthMap, used: np.ndarray) -> Blocks:
    """used [h,w] bool: the pixels that become Gaussians. The window's sides are multiples of 4."""
    important = 1 + HEAD * places.head[shape.place]
    four, two = (_differences(window, shape, used, important, size) for size in SIZES)
    return Blocks(four, np.minimum(two, four.repeat(2, 0).repeat(2, 1)))


def _differences(window, shape, used, important, size: int) -> np.ndarray:
    rgb = _blocks(window.rgb, size)
    apart = np.sqrt(rgb.var(-2).mean(-1)) * _blocks(important, size).mean(-1)
    whole = _blocks(used & (window.matte > 0.95), size).all(-1)
    whole &= np.ptp(_blocks(shape.front, size), -1) < STEP * size * shape.unit
    for kind in (shape.limb, shape.beyond):
        whole &= np.ptp(_blocks(kind.astype(np.int8), size), -1) == 0
    return np.where(_blocks(used, size).any(-1), np.where(whole, apart, np.inf), -1)


def threshold(found: list[Blocks], several: bool, share: float = 1.0) -> float:
    """The difference of colours above which blocks are parted, so that `share` times `GAUSSIANS` is the
    number of all; several: whether there are several photos.
    """
    room = round(share * GAUSSIANS / (1 - DROPPED if several else 1))
    values = np.concatenate([np.concatenate([one.four.ravel(), one.two.ravel()]) for one in found])
    whole = sum(int((one.four >= 0).sum()) for one in found)
    parted = max(room - whole, 0) // 3  # each makes four of one
    values = values[values >= 0]
    if parted >= len(values):
        return PLAIN
    return max(PLAIN, float(np.partition(values, -parted - 1)[-parted - 1]))


def levels(window: Window, shape: DepthMap, used: np.ndarray, found: Blocks, limit: float) -> list[Level]:
    """The used pixels and blocks of a window: single pixels, blocks of two and of four."""
    parted_four = (found.four > limit).repeat(2, 0).repeat(2, 1)
    parted_two = (parted_four & (found.two > limit)).repeat(2, 0).repeat(2, 1)
    four, two = (_blocks(used, size).any(-1) for size in SIZES)
    return [
        Level(window, shape, used & parted_two),
        Level(window.smaller(2), shape.smaller(2), two & parted_four & (found.two <= limit)),
        Level(window.smaller(4), shape.smaller(4), four & (found.four <= limit)),
    ]


def _blocks(picture: np.ndarray, size: int) -> np.ndarray:
    """[h/size, w/size, size * size (, channels)]"""
    h, w, *more = picture.shape
    parts = picture.reshape(h // size, size, w // size, size, *more).swapaxes(1, 2)
    return parts.reshape(h // size, w // size, size * size, *more)
