# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotated rectangles of a photo: the input of a landmark network, and the way back to the photo's pixels.

The arithmetic is MediaPipe's (its graphs' RectTransformationCalculator, AlignmentPointsRectsCalculator and
ImageToTensorCalculator), since the networks were trained with it.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch.nn import functional

STEPS = 32  # a pixel's place is rounded to 1/32, as by OpenCV's warpPerspective, which MediaPipe crops with


class Region(NamedTuple):
    """Centre x, y, width and height in pixels of the photo, angle in radians, clockwise on the screen."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    @classmethod
    def whole(cls, image: np.ndarray) -> "Region":
        height, width = image.shape[:2]
        return cls(width / 2, height / 2, float(width), float(height))

    @classmethod
    def around(cls, points: np.ndarray, angle: float) -> "Region":
        """The upright box of points [n,2], with an angle of its own."""
        low, high = points.min(0), points.max(0)
        return cls(*((low + high) / 2), *(high - low), angle)

    @classmethod
    def about(cls, centre, rim, degrees: float) -> "Region":
        """The box of a circle by its centre and a point of its rim, turned so that the rim's point lies at
        `degrees` (counter-clockwise from the right).
        """
        size = 2 * math.dist(centre[:2], rim[:2])
        return cls(centre[0], centre[1], size, size, angle_to(centre, rim, degrees))

    def squared(self, scale: float, shift: float = 0.0) -> "Region":
        """Moved down its own axis by a share of its height, then a square, `scale` times its longer side."""
        x = self.x - self.height * shift * math.sin(self.angle)
        y = self.y + self.height * shift * math.cos(self.angle)
        side = max(self.width, self.height) * scale
        return Region(x, y, side, side, self.angle)

    def scaled(self, factor: float) -> "Region":
        """The same region of a photo of another size."""
        x, y, width, height = (factor * side for side in self[:4])
        return Region(x, y, width, height, self.angle)

    def jittered(self, shift: float, size: float, turn: float) -> "Region":
        """Moved up and right by `shift` of its width, `size` times as large, rotated by radians."""
        x, y = self.x + shift * self.width, self.y - shift * self.height
        return Region(x, y, size * self.width, size * self.height, self.angle + turn)

    def letterboxed(self, size: tuple[int, int]) -> "Region":
        """Widened about its centre to the aspect of `size` (height, width)."""
        aspect = size[0] / size[1]
        if aspect > self.height / self.width:
            return self._replace(height=self.width * aspect)
        return self._replace(width=self.height / aspect)

    def crop(
        self, image: np.ndarray, size: tuple[int, int], low: float = 0.0, border: str = "edge"
    ) -> np.ndarray:
        """uint8 [H,W,3] -> float32 [1,h,w,3] in low..1. `border`: beyond the photo its "edge" or "black".

        Pixel (u, v) of the crop lies at the share (u / w, v / h) of the region: MediaPipe shifts by no half
        pixel.
        """
        v, u = np.mgrid[0 : size[0], 0 : size[1]]
        x, y = (u / size[1] - 0.5) * self.width, (v / size[0] - 0.5) * self.height
        c, s = math.cos(self.angle), math.sin(self.angle)
        column = np.rint((self.x + c * x - s * y) * STEPS) / STEPS
        row = np.rint((self.y + s * x + c * y) * STEPS) / STEPS
        mode = {"edge": "nearest", "black": "grid-constant"}[border]
        channels = [
            map_coordinates(image[..., k], (row, column), np.float64, order=1, mode=mode) for k in range(3)
        ]
        whole = np.floor(np.stack(channels, -1) + 0.5)
        return (whole / 255 * (1 - low) + low).astype(np.float32)[None]

    def to_image(self, shares: np.ndarray) -> np.ndarray:
        """Points [n,2] or [n,3] in shares of the region (z in its widths) -> pixels of the photo."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        x, y = (shares[:, 0] - 0.5) * self.width, (shares[:, 1] - 0.5) * self.height
        flat = [self.x + c * x - s * y, self.y + s * x + c * y]
        return np.stack([*flat, *(shares[:, 2:].T * self.width)], 1)

    def turned(self, points: np.ndarray) -> np.ndarray:
        """Metric points [n,3] of the region's own axes in the photo's."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        x, y, z = points.T
        return np.stack([c * x - s * y, s * x + c * y, z], 1)

    def paste(self, mask: np.ndarray, height: int, width: int) -> np.ndarray:
        """A map [h,w] of the region laid into the photo, float32 [height,width], 0 outside the region."""
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        c, s = math.cos(self.angle), math.sin(self.angle)
        dx, dy = x - self.x, y - self.y
        rows, columns = mask.shape
        u = ((c * dx + s * dy) / self.width + 0.5) * columns
        v = ((-s * dx + c * dy) / self.height + 0.5) * rows
        grid = np.stack([u / (columns - 1) * 2 - 1, v / (rows - 1) * 2 - 1], -1).astype(np.float32)
        values = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
        grid = torch.from_numpy(grid)[None]
        return functional.grid_sample(values, grid, padding_mode="zeros", align_corners=True)[0, 0].numpy()


def angle_to(start, end, degrees: float) -> float:
    """The turn, in -pi..pi, that brings the direction from start to end (y down) to `degrees`
    counter-clockwise.
    """
    turn = math.radians(degrees) - math.atan2(-(end[1] - start[1]), end[0] - start[0])
    return turn - 2 * math.pi * math.floor((turn + math.pi) / (2 * math.pi))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(np.asarray(x, np.float64), -100, 100)))
