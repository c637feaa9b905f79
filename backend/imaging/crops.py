# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectangles of a picture: cut out (also beyond its border), resized, and pasted back.

A box has whole pixels, so a crop is exact slicing; resizing maps pixel edges to pixel edges on both ways.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

GREY = 0.5  # fills what lies outside a picture


@dataclass(frozen=True)
class Box:
    """Columns left..right and rows top..bottom (ends excluded) of a picture; may reach over its border."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def inside(self, height: int, width: int) -> "Box":
        """The part of the box that lies in a picture of this size; may be empty."""
        left, top = min(max(self.left, 0), width), min(max(self.top, 0), height)
        return Box(left, top, max(left, min(self.right, width)), max(top, min(self.bottom, height)))

    def grown(self, margin: float, aspect: float) -> "Box":
        """The smallest box of `aspect` (width / height) round this one plus `margin` of its size on every
        side.
        """
        height = self.height * (1 + 2 * margin)
        width = self.width * (1 + 2 * margin)
        height, width = max(height, width / aspect), max(width, height * aspect)
        return Box.around((self.left + self.right) / 2, (self.top + self.bottom) / 2, height, width)

    @staticmethod
    def around(x: float, y: float, height: float, width: float) -> "Box":
        left, top = round(x - width / 2), round(y - height / 2)
        return Box(left, top, left + max(1, round(width)), top + max(1, round(height)))

    @staticmethod
    def of_mask(mask: np.ndarray) -> "Box":
        """The tight box of a mask [H,W]. Raises `ValueError` where nothing is set."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            raise ValueError("the mask is empty")
        return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def cut(image: np.ndarray, box: Box, fill: float = GREY) -> np.ndarray:
    """The box of `image` [H,W] or [H,W,C], at its own resolution; `fill` outside the picture."""
    result = np.full((box.height, box.width, *image.shape[2:]), fill, image.dtype)
    inner = box.inside(*image.shape[:2])
    rows = slice(inner.top - box.top, inner.bottom - box.top)
    columns = slice(inner.left - box.left, inner.right - box.left)
    result[rows, columns] = image[inner.top : inner.bottom, inner.left : inner.right]
    return result


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, antialiased when it shrinks: float32 [H,W] or [H,W,C] -> [height,width(,C)]."""
    if image.shape[:2] == (height, width):
        return image
    flat = image[..., None] if image.ndim == 2 else image
    tensor = torch.from_numpy(np.ascontiguousarray(flat, np.float32)).permute(2, 0, 1)[None]
    tensor = functional.interpolate(
        tensor, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    result = tensor[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(result[..., 0] if image.ndim == 2 else result)


def crop(image: np.ndarray, box: Box, height: int, width: int, fill: float = GREY) -> np.ndarray:
    """`cut`, then `resize`; a box much larger than the picture is never allocated at full size."""
    scale = min(1.0, 2 * max(height / box.height, width / box.width))
    if scale < 0.5 and box.height * box.width > 4_000_000:
        small = resize(image, max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
        sy, sx = small.shape[0] / image.shape[0], small.shape[1] / image.shape[1]
        box = Box(round(box.left * sx), round(box.top * sy), round(box.right * sx), round(box.bottom * sy))
        image = small
    return resize(cut(image, box, fill), height, width)


def paste(canvas: np.ndarray, values: np.ndarray, box: Box) -> None:
    """Puts `values` [h,w(,C)] back into the box of `canvas` [H,W(,C)], in place, resized to the box."""
    inner = box.inside(*canvas.shape[:2])
    if inner.width == 0 or inner.height == 0:
        return
    rows = slice(inner.top - box.top, inner.bottom - box.top)
    columns = slice(inner.left - box.left, inner.right - box.left)
    target = canvas[inner.top : inner.bottom, inner.left : inner.right]
    target[...] = resize(values, box.height, box.width)[rows, columns]


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Edge-preserving smoothing of `values` [H,W] along the edges of the grey `guide` [H,W].

    K. He, J. Sun, X. Tang, "Guided image filtering", ECCV 2010, equations 5, 6 and 8; `epsilon` in squared
    guide units.
    """

    def mean(x: np.ndarray) -> np.ndarray:
        size = 2 * radius + 1
        tensor = torch.from_numpy(np.ascontiguousarray(x, np.float32))[None, None]
        for padding, kernel in (((0, 0, radius, radius), (size, 1)), ((radius, radius, 0, 0), (1, size))):
            tensor = functional.avg_pool2d(
                functional.pad(tensor, padding, mode="replicate"), kernel, stride=1
            )
        return tensor[0, 0].numpy()

    mean_guide, mean_values = mean(guide), mean(values)
    variance = mean(guide * guide) - mean_guide**2
    a = (mean(guide * values) - mean_guide * mean_values) / (np.maximum(variance, 0) + epsilon)
    b = mean_values - a * mean_guide
    return mean(a) * guide + mean(b)


def nearest_cells(box: Box, height: int, width: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows [height,1] and columns [width] of a picture's pixels nearest to the cells of a box resized;
    beyond the border its last ones.
    """
    rows = ((np.arange(height) + 0.5) * box.height / height + box.top).astype(int)
    columns = ((np.arange(width) + 0.5) * box.width / width + box.left).astype(int)
    return np.clip(rows, 0, shape[0] - 1)[:, None], np.clip(columns, 0, shape[1] - 1)
