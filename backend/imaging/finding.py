# SPDX-License-Identifier: GPL-3.0-or-later
"""Who stands in a photo, and where: the largest person, and the others that must be left out."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.ndimage import distance_transform_edt

from .crops import Box, paste
from .fusing import Look

ASPECT = 3 / 4  # width / height of what the network looks at
CANVAS = 512  # cells along a photo's longer side, at most
LEAST_CELLS = 12  # of a person
HEAD_SHARE = 0.02  # of a person's cells; a part without a head belongs to whom something cut in two
OTHER, ALIKE = 0.1, 0.4  # sizes, of the largest person's, of one to leave out, and of one to be told of


@dataclass(frozen=True)
class Found:
    """`box` of the largest person in the photo; `mine` [h,w] bool: the cells nearest to that person, where
    others stand too (None: nobody else does), `scale` cells a pixel; `others`: one of them is as large.
    """

    box: Box
    mine: np.ndarray | None
    scale: float
    others: bool

    def without_others(self, look: Look) -> Look:
        """The look less what is nearer to another person."""
        if self.mine is None:
            return look
        rows, columns = np.indices(look.probability.shape).reshape(2, -1)
        x, y = (look.pixels(rows, columns) * self.scale).astype(int).T
        height, width = self.mine.shape
        mine = self.mine[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        return replace(look, probability=look.probability * mine.reshape(look.probability.shape))


def find_people(looks: list[Look], height: int, width: int, head_height: float) -> Found | None:
    """Who is in a photo of height x width pixels, from looks at all of it; None: nobody. `head_height`: z of
    the template, in metres, above which lies the head.
    """
    scale = min(1.0, CANVAS / max(height, width))
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    people, heads = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for look in looks:
        box = Box(*(round(side * scale) for side in look.box.sides))
        for canvas, values in (
            (people, look.probability),
            (heads, look.probability * (look.points[..., 2] > head_height)),
        ):
            layer = np.zeros_like(canvas)
            paste(layer, values, box)
            np.maximum(canvas, layer, out=canvas)
    labels, count = ndimage.label(people > 0.5)
    if count == 0:
        return None
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(people, labels, numbers)
    if sizes.max() < LEAST_CELLS:
        return None
    with_head = (ndimage.mean(heads > 0.5, labels, numbers) > HEAD_SHARE) & (sizes > OTHER * sizes.max())
    own = sizes == sizes.max()
    if not with_head[own].any() and with_head.any():
        own |= sizes == sizes[with_head].max()
    rivals = with_head & ~own
    person = np.isin(labels, numbers[own])
    mine = None
    if rivals.any():
        theirs = np.isin(labels, numbers[rivals])
        mine = distance_transform_edt(~person) <= distance_transform_edt(~theirs)
    box = Box(*(round(side / scale) for side in Box.of_mask(person).sides))
    others = bool((sizes[rivals] > ALIKE * sizes.max()).any())
    return Found(box.grown(0.12, ASPECT), mine, scale, others)


def windows(height: int, width: int) -> list[Box]:
    """The letterboxed picture, and overlapping parts of it where it is much wider or higher than the
    network's input.
    """
    boxes = [Box(0, 0, width, height).grown(0, ASPECT)]
    for long, short, across in ((width, height * ASPECT, True), (height, width / ASPECT, False)):
        if long < 1.3 * short:
            continue
        count = min(9, 1 + int(np.ceil((long - short) / (0.5 * short))))
        for middle in np.linspace(short / 2, long - short / 2, count):
            x, y = (middle, height / 2) if across else (width / 2, middle)
            size = (height, short) if across else (short, width)
            boxes.append(Box.around(x, y, *size))
    return boxes


def main_parts(mask: np.ndarray, keep: float = 0.03) -> np.ndarray:
    """The largest connected part of a mask and those of at least `keep` times its size."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= keep * sizes.max())[labels] & mask
