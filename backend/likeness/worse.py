# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a refined avatar is worse than the one it was made of, seen all around: see-through, noisy, or in
other colours where no photo shows what they are.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from ..avatar import Avatar
from ..model.create import rest_signal
from ..raster import Camera, look_at, rasterize

DIRECTIONS, AWAY, HIGH = 6, 4.0, 400  # cameras about the avatar, metres from it, pixels
INSIDE = 3  # pixels from the outline, where surfaces may move
SOLID = 0.9  # alpha below is see-through
FINE, BROAD = 1.0, 6.0  # pixels: what is finer is noise, what is broader is colour
UNSEEN = 0.5  # confidence below which no photo shows what a pixel shows
# More than this is worse: see-through share of the inside; fine detail of the unseen, of what it was; root
# mean square of the change of broad colours. A refined synthetic person (four photos) has 0.0015, 1.2, 0.011;
# with a tenth of noise on unseen colours 3.4 of the second, darker by 0.15 has 0.14 of the third.
HOLES, NOISE, COLOUR = 0.006, 2.0, 0.08


class Look(NamedTuple):
    """Over all directions: share of the inside that is see-through, mean fine detail of both avatars where no
    photo shows them, and root mean square of the change of broad colours."""

    holes: float
    noise_before: float
    noise: float
    colour: float


def is_worse(before: Avatar, after: Avatar) -> bool:
    look = compared(before, after)
    noisy = look.noise > NOISE * look.noise_before
    return look.holes > HOLES or noisy or look.colour > COLOUR


@torch.no_grad()
def compared(before: Avatar, after: Avatar) -> Look:
    """Of two avatars of one person, at rest."""
    sums, counts = np.zeros(4), np.zeros(4)
    for pictures in zip(*(_around(avatar) for avatar in (before, after)), strict=True):
        old, new = pictures
        inside = ndimage.binary_erosion(old[..., 3] > SOLID, iterations=INSIDE)
        solid = inside & (new[..., 3] > SOLID)
        unseen = solid & (old[..., 4] < UNSEEN) & (new[..., 4] < UNSEEN)
        fine = [np.abs(_without(one, FINE)[unseen]).mean(1).sum() for one in pictures]
        broad = _broad(new, BROAD) - _broad(old, BROAD)
        sums += (inside & ~solid).sum(), *fine, np.square(broad[solid]).mean(1).sum()
        counts += inside.sum(), unseen.sum(), unseen.sum(), solid.sum()
    holes, before, after, moved = (sums / np.maximum(counts, 1)).tolist()
    return Look(holes, before, after, moved**0.5)


def _around(avatar: Avatar) -> list[np.ndarray]:
    """[h,w,5] from `DIRECTIONS`: premultiplied colour, coverage and confidence."""
    splats, known = avatar.drive(rest_signal()), avatar.confidence.float()[:, None] / 255
    low, high = splats.means.quantile(0.01, 0).numpy(), splats.means.quantile(0.99, 0).numpy()
    middle, tall = (low + high) / 2, float((high - low).max())
    focal, found = HIGH * AWAY / (1.15 * tall), []
    for turn in np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS:
        eye = middle + AWAY * np.array([np.sin(turn), -np.cos(turn), 0])
        K = [[focal, 0, HIGH / 2], [0, focal, HIGH / 2], [0, 0, 1]]
        camera = Camera(look_at(eye, middle), K, HIGH, HIGH)
        drawn = rasterize(splats, camera, ("combined", "features"), features=known)
        found.append(torch.cat([drawn["combined"], drawn["features"]], 2).numpy())
    return found


def _broad(picture: np.ndarray, size: float) -> np.ndarray:
    """[h,w,3] means of the colours about each pixel, of what is not see-through."""
    spread = ndimage.gaussian_filter(picture[..., :4], (size, size, 0))
    return spread[..., :3] / np.maximum(spread[..., 3:], 1e-3)


def _without(picture: np.ndarray, size: float) -> np.ndarray:
    return picture[..., :3] - picture[..., 3:4] * _broad(picture, size)
