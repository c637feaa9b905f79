# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind a synthetic person: plain, graded, blurred, patterned or room-like."""

from __future__ import annotations

import numpy as np
from PIL import Image


def _colour(rng):
    """A random sRGB colour [3], greys as often as hues."""
    grey = rng.uniform(0.03, 0.97)
    return np.clip(grey + rng.normal(0, 0.16 if rng.random() < 0.4 else 0.04, 3), 0, 1).astype(np.float32)


def _noise(rng, height, width, cells):
    """Smooth noise [H, W, 1] in 0..1 with about `cells` features along the height."""
    cells = max(2, int(cells))
    grid = rng.random((cells + 1, max(2, round(cells * width / height) + 1))).astype(np.float32)
    large = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large), 0, 1)[..., None]


def _gradient(rng, height, width):
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    t = x * np.cos(angle) + y * np.sin(angle)
    t = ((t - t.min()) / np.ptp(t))[..., None].astype(np.float32)
    return _colour(rng) * (1 - t) + _colour(rng) * t


def _clouds(rng, height, width):
    """Several octaves of coloured noise: foliage, walls, blurred streets."""
    out = np.full((height, width, 3), _colour(rng), np.float32)
    for cells in (2, 5, 11, 27)[: rng.integers(1, 5)]:
        t = _noise(rng, height, width, cells) * rng.uniform(0.3, 1)
        out = out * (1 - t) + _colour(rng) * t
    return out


def _shapes(rng, height, width):
    """Discs and stripes with soft edges."""
    out = _gradient(rng, height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(rng.integers(2, 9)):
        edge = rng.uniform(0.5, 8)
        if rng.random() < 0.6:
            distance = (
                np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height))
                - rng.uniform(0.04, 0.35) * height
            )
        else:
            a, period = rng.uniform(0, np.pi), rng.uniform(0.06, 0.4) * height
            distance = (np.abs(((x * np.cos(a) + y * np.sin(a)) / period) % 1 - 0.5) - 0.25) * period
        t = np.clip(0.5 - distance / edge, 0, 1)[..., None] * rng.uniform(0.4, 1)
        out = out * (1 - t) + _colour(rng) * t
    return out


def _room(rng, height, width):
    """A wall, a floor and rectangles: doors, frames, shelves, windows."""
    out = np.empty((height, width, 3), np.float32)
    horizon = int(height * rng.uniform(0.55, 0.92))
    shade = 1 + 0.25 * (_noise(rng, height, width, 2) - 0.5)
    out[:horizon], out[horizon:] = _colour(rng), _colour(rng)
    for _ in range(rng.integers(1, 8)):
        w, h = int(width * rng.uniform(0.08, 0.7)), int(height * rng.uniform(0.06, 0.6))
        x0, y1 = rng.integers(-w // 2, width), rng.integers(0, horizon + height // 8)
        out[max(y1 - h, 0) : y1, max(x0, 0) : max(x0 + w, 0)] = _colour(rng)
    if rng.random() < 0.5:
        out += 0.12 * (_noise(rng, height, width, 40) - 0.5)
    return np.clip(out * shade, 0, 1)


def random_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """[H, W, 3] float32 sRGB in 0..1."""
    kind = rng.choice(5, p=[0.15, 0.15, 0.25, 0.2, 0.25])
    if kind == 0:
        return np.tile(_colour(rng), (height, width, 1))
    return np.clip((_gradient, _clouds, _shapes, _room)[kind - 1](rng, height, width), 0, 1).astype(
        np.float32
    )


def compose_background(rng: np.random.Generator, rgba: np.ndarray) -> np.ndarray:
    """Puts a person [H, W, 4] uint8 (straight alpha) before a random background -> [H, W, 3] uint8."""
    back = random_background(rng, *rgba.shape[:2])
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return (rgba[..., :3] * alpha + back * 255 * (1 - alpha) + 0.5).astype(np.uint8)
