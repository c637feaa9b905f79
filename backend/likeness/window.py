# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a photo whose pixels are lifted: the person, and the head at a finer scale."""

from math import ceil
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..imaging.crops import Box, crop
from ..imaging.matting import mean_beside
from ..raster import Camera
from .photo import FittedPhoto, Posed
from .places import Places

PIXELS = 480_000  # of the person or of the head, at most
EVEN = 4  # pixels that a window's sides are multiples of
FINER = 1.15  # times the body's scale, from which the head is worth a window of its own
ABOUT_HEAD = 0.25  # of the head's height, about it
# Pixels: standard deviation of what Gaussians of one pixel draw; rounds that undo this blur.
DRAWN, ROUNDS = 0.75, 3
FAINT, SOLID = 0.2, 0.9  # matte of a pixel that begins to be the person's, and that is whole
BESIDE, NEAR = 10.0, 4.0  # pixels over which the background and the person beside a soft pixel are averaged


class Window(NamedTuple):
    """A part of a photo at a scale of its own, [h,w] pixels, seen by `camera` from the photo's place.

    rgb float32 [h,w,3], the person's colours without the background's, so that Gaussians of one pixel's size
    draw the photo; matte float32 [h,w]; lifted bool [h,w]: the person's pixels that no other window has.
    Sides are multiples of 4.
    """

    camera: Camera
    rgb: np.ndarray
    matte: np.ndarray
    lifted: np.ndarray

    def smaller(self, size: int) -> "Window":
        """Means of blocks of size x size pixels; lifted where any of them is."""
        K = self.camera.K.copy()
        K[:2] /= size
        camera = Camera(np.eye(4), K, self.camera.width // size, self.camera.height // size)
        rgb, matte = block_means(self.rgb, size), block_means(self.matte, size)
        return Window(camera, rgb, matte, block_means(self.lifted, size) > 0)


def block_means(picture: np.ndarray, size: int) -> np.ndarray:
    """[h/size,w/size,...] means over blocks of a picture [h,w,...]."""
    h, w, *more = picture.shape
    return picture.reshape(h // size, size, w // size, size, *more).mean((1, 3))


def windows(places: Places, photo: FittedPhoto, posed: Posed, share: float = 1.0) -> list[Window]:
    """One window or two, none where the matte is empty; share: of the pixels that they have at most."""
    if not (photo.seen.matte > 0.5).any():
        return []
    body = Box.of_mask(photo.seen.matte > 0.5).inside(*photo.seen.size)
    scale = _scale(photo, body, share)
    head = _head_box(places, photo, posed)
    if head is not None:
        finer = _scale(photo, head, share)
        if finer > FINER * scale:
            return [_window(photo, body, scale, head, False), _window(photo, head, finer, head, True)]
    return [_window(photo, body, scale)]


def _scale(photo: FittedPhoto, box: Box, share: float) -> float:
    """Of the photo's pixels, at most 1, so that the person in the box has that share of `PIXELS`."""
    inside = (photo.seen.matte[box.top : box.bottom, box.left : box.right] > 0.5).sum()
    return min(1.0, (share * PIXELS / max(inside, 1)) ** 0.5)


def _head_box(places: Places, photo: FittedPhoto, posed: Posed) -> Box | None:
    """The head and the hair about it, where enough of it lies in the photo."""
    drawn = posed.pixels[places.head > 0.5]
    (left, top), (right, bottom) = np.floor(drawn.min(0)).astype(int), np.ceil(drawn.max(0)).astype(int)
    more = round(ABOUT_HEAD * (bottom - top))
    box = Box(left - more, top - more, right + more, bottom).inside(*photo.seen.size)
    return box if min(box.width, box.height) > 16 else None


def _window(
    photo: FittedPhoto, box: Box, scale: float, head: Box | None = None, within: bool = True
) -> Window:
    """within: only pixels inside the head's box are lifted, else only those outside."""
    height, width = (EVEN * ceil(side * scale / EVEN) for side in (box.height, box.width))
    box = Box(box.left, box.top, box.left + round(width / scale), box.top + round(height / scale))
    size = np.array([width / box.width, height / box.height])
    K = photo.fit.K.copy()
    K[:2, 2] -= box.left, box.top
    K[:2] *= size[:, None]
    small = crop(np.dstack([photo.seen.rgb, photo.seen.matte]), box, height, width, 0.0)
    matte = np.clip((small[..., 3] - FAINT) / (SOLID - FAINT), 0, 1)
    rgb = _sharpened(_foreground(small[..., :3], small[..., 3]), matte)
    lifted = matte > 0.02
    if head is not None:
        x = box.left + (np.arange(width) + 0.5) / size[0]
        y = box.top + (np.arange(height) + 0.5) / size[1]
        on_head = ((head.left < x) & (x < head.right))[None] & ((head.top < y) & (y < head.bottom))[:, None]
        lifted &= on_head == within
    return Window(Camera(np.eye(4), K, width, height), rgb, matte, lifted)


def _foreground(rgb: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """The person's own colours F [h,w,3], of a picture rgb = matte F + (1 - matte) B: B is the background's
    mean beside, F the less certain the fainter the matte.
    """
    behind, there = mean_beside(rgb, matte < 0.05, BESIDE)
    solid, _ = mean_beside(rgb, matte > 0.95, NEAR)
    part = matte[..., None]
    own = np.clip((rgb - (1 - part) * behind) / np.maximum(part, 0.1), 0, 1)
    own = np.where(there[..., None] > 1e-3, own, rgb)
    return np.where(part > 0.95, rgb, solid + part**2 * (own - solid)).astype(np.float32)


def _sharpened(rgb: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Colours [h,w,3] whose mean over the Gaussians' footprint is the picture (Van Cittert's iteration),
    inside the matte.
    """
    weight = np.maximum(ndimage.gaussian_filter(matte, DRAWN), 1e-3)[..., None]
    sharp = rgb
    for _ in range(ROUNDS):
        drawn = ndimage.gaussian_filter(sharp * matte[..., None], (DRAWN, DRAWN, 0)) / weight
        sharp = np.clip(sharp + rgb - drawn, 0, 1)
    return sharp
