# SPDX-License-Identifier: GPL-3.0-or-later
"""The crops that a network is shown of a record: the person, the head; for training with room for jitter."""

from __future__ import annotations

import numpy as np

from ...imaging.crops import Box, crop

HEAD_HEIGHT = 1.48  # metres: template points above belong to the head
BODY_MARGIN, FACE_MARGIN = 0.05, 0.22  # of the box, on every side
ROOM = 1.25  # stored crops are larger than the network's by this factor, for jitter
MIN_HEAD_PIXELS = 60


def body_box(matte: np.ndarray) -> Box | None:
    """The crop around a person, width over height 3/4; None where nobody is seen."""
    mask = matte > 0.5
    return Box.of_mask(mask).grown(BODY_MARGIN, 0.75) if mask.any() else None


def face_box(matte: np.ndarray, points: np.ndarray) -> Box | None:
    """The crop around a head, from pixels whose template points lie on it; None where too few do."""
    mask = (matte > 0.5) & (np.nan_to_num(points[..., 2]) > HEAD_HEIGHT)
    return Box.of_mask(mask).grown(FACE_MARGIN, 0.75) if mask.sum() >= MIN_HEAD_PIXELS else None


def roomy(box: Box) -> Box:
    """The box enlarged by `ROOM` about its middle."""
    return Box.around(
        (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.height * ROOM, box.width * ROOM
    )


def stored_crop(rgba: np.ndarray, box: Box | None, size: tuple[int, int]) -> np.ndarray:
    """uint8 straight RGBA crop of `size` times `ROOM`; empty where there is no box."""
    height, width = round(size[0] * ROOM), round(size[1] * ROOM)
    if box is None:
        return np.zeros((height, width, 4), np.uint8)
    return np.clip(tight_crop(rgba, roomy(box), (height, width)) * 255 + 0.5, 0, 255).astype(np.uint8)


def tight_crop(rgba: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    """float32 straight RGBA crop in 0..1 of a uint8 picture, resized premultiplied: no edge colours bleed."""
    image = rgba.astype(np.float32) / 255
    image[..., :3] *= image[..., 3:]
    image = crop(image, box, *size, 0.0)
    image[..., :3] /= np.maximum(image[..., 3:], 1e-3)
    return np.clip(image, 0, 1)


def byte_colors(color: np.ndarray) -> np.ndarray:
    """0..1 -> uint8."""
    return np.clip(color * 255 + 0.5, 0, 255).astype(np.uint8)
