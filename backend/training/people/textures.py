# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural surfaces and clutter behind synthetic people: sharp down to the pixel, as photographs are.

A network that only sees people in front of soft backgrounds learns that whatever is sharp is a person.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

from .things import plain, turned

SIDE = 320  # pixels of a texture


class TextureBank:
    """`count` textures made once and drawn from many times, each time cut, turned and coloured anew."""

    def __init__(self, rng: np.random.Generator, count: int = 72):
        makers = (spectral, spectral, stones, tiles, clutter, weave)
        self.textures = [makers[index % len(makers)](rng) for index in range(count)]

    def draw(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """float32 [H,W,3] in 0..255."""
        texture = self.textures[rng.integers(len(self.textures))]
        side = int(rng.uniform(0.35, 1.0) * SIDE)
        top, left = rng.integers(0, SIDE - side + 1, 2)
        part = np.rot90(texture[top : top + side, left : left + side], rng.integers(4))
        image = Image.fromarray(np.ascontiguousarray(part)).resize((width, height), Image.BILINEAR)
        pixels = np.asarray(image, np.float32)
        mean = pixels.mean(axis=(0, 1))
        tint = rng.uniform(20, 235) * np.exp(rng.normal(0, 0.25, 3)).astype(np.float32)
        return np.clip((pixels - mean) * np.float32(np.exp(rng.normal(0, 0.4))) + tint, 0, 255)

    def scene(self, rng: np.random.Generator, base: np.ndarray | None, height: int, width: int) -> np.ndarray:
        """uint8 [H,W,3]: `base` or one or two surfaces, with things of any shape in front of them."""
        if base is None:
            canvas = self.draw(rng, height, width)
            if rng.random() < 0.5:  # wall and floor
                line = int(height * rng.uniform(0.4, 0.85))
                canvas[line:] = self.draw(rng, height, width)[line:]
        else:
            canvas = base.astype(np.float32)
        for _ in range(rng.integers(0, 5) if base is None else rng.integers(1, 6)):
            self.put_thing(rng, canvas)
        return canvas.astype(np.uint8)

    def put_thing(self, rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
        """A thing somewhere in the float32 picture [H,W,3], in place; returns its coverage [H,W] in 0..1."""
        height, width = canvas.shape[:2]
        if rng.random() < 0.5:
            return self._put_turned(rng, canvas)
        mask = blob(rng, height, width).astype(np.float32) / 255
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) < 2:
            return mask
        region = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        part = mask[region][..., None]
        filling = self.draw(rng, *part.shape[:2]) * shade(rng, *part.shape[:2])[..., None]
        canvas[region] += (np.minimum(filling, 255) - canvas[region]) * part
        return mask

    def _put_turned(self, rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
        height, width = canvas.shape[:2]
        h = max(6, int(np.exp(rng.uniform(np.log(0.07), np.log(0.8))) * height))
        w = min(max(6, int(h * np.exp(rng.normal(-0.4, 0.45)))), width)
        top, left = int(rng.uniform(-0.3 * h, height - 0.7 * h)), int(rng.uniform(-0.3 * w, width - 0.7 * w))
        skin = self.draw(rng, h, w) if rng.random() < 0.4 else plain(rng, h, w)
        colour, inside = turned(rng, skin)
        mask = np.zeros((height, width), np.float32)
        rows, columns = slice(max(top, 0), top + h), slice(max(left, 0), left + w)
        seen = (slice(max(-top, 0), height - top), slice(max(-left, 0), width - left))
        mask[rows, columns] = inside[seen]
        part = inside[seen][..., None]
        canvas[rows, columns] += (colour[seen] - canvas[rows, columns]) * part
        return mask


def blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 [H,W] mask of a smooth or angular shape; often upright and as large as a person or a limb."""
    smooth = rng.random() < 0.6
    angles = np.linspace(0, 2 * np.pi, 40 if smooth else rng.integers(4, 8), endpoint=False)
    radius = np.ones_like(angles)
    if smooth:
        for order in (2, 3, 5):
            radius += rng.normal(0, 0.5 / order) * np.cos(order * angles + rng.uniform(0, 6.3))
    size = np.exp(rng.uniform(np.log(0.04), np.log(0.45))) * height
    tall = np.exp(rng.normal(0.3, 0.6))
    x, y = np.cos(angles) * radius * size / tall**0.5, np.sin(angles) * radius * size * tall**0.5
    turn = rng.normal(0, 0.5)
    px = x * np.cos(turn) - y * np.sin(turn) + rng.uniform(0, width)
    py = x * np.sin(turn) + y * np.cos(turn) + rng.uniform(0, height)
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).polygon(list(zip(px.tolist(), py.tolist(), strict=True)), fill=255)
    return np.asarray(image)


def shade(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """[H,W] light falling over a rounded or flat thing, about 1."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    round_off = 1 - rng.uniform(0, 0.6) * np.clip(x**2 * rng.uniform(0, 1) + y**2 * rng.uniform(0, 1), 0, 1)
    return (
        (round_off * (1 + rng.normal(0, 0.25) * x + rng.normal(0, 0.25) * y))
        .clip(0.15, 1.8)
        .astype(np.float32)
    )


def spectral(rng: np.random.Generator) -> np.ndarray:
    """Noise with a power-law spectrum, exponent 0.6 to 2.2: from grass to clouds; uint8 [SIDE,SIDE,3]."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None] * rng.uniform(0.4, 2.5), np.fft.rfftfreq(SIDE)[None])
    amplitude = 1 / np.maximum(frequency, 1 / SIDE) ** rng.uniform(0.6, 2.2)
    common = rng.normal(size=(SIDE, SIDE))
    channels = []
    for _ in range(3):
        mixed = common + rng.uniform(0.05, 0.6) * rng.normal(size=(SIDE, SIDE))
        value = np.fft.irfft2(np.fft.rfft2(mixed) * amplitude, s=(SIDE, SIDE))
        channels.append(value / value.std())
    return _bytes(np.stack(channels, axis=-1), rng)


def stones(rng: np.random.Generator) -> np.ndarray:
    """Cells round scattered points with their own grey, dark in the joints: gravel, leaves, paving."""
    count = int(np.exp(rng.uniform(np.log(30), np.log(2500))))
    points = rng.uniform(0, SIDE, (count, 2)) * (1, rng.uniform(0.4, 1))
    y, x = np.mgrid[:SIDE, :SIDE] * np.array([1, rng.uniform(0.4, 1)])[:, None, None]
    distance, index = cKDTree(points).query(np.stack([y, x], axis=-1).reshape(-1, 2), k=2)
    joint = (distance[:, 1] - distance[:, 0]) / np.sqrt(SIDE * SIDE / count)
    value = rng.normal(size=count)[index[:, 0]] * rng.uniform(0.2, 1.2)
    value -= rng.uniform(0, 3) * np.exp(-(joint / rng.uniform(0.03, 0.2)))
    value -= rng.uniform(0, 1.5) * distance[:, 0] / np.sqrt(SIDE * SIDE / count)
    colour = value.reshape(SIDE, SIDE, 1) + rng.normal(0, 0.15, (SIDE, SIDE, 3))
    return _bytes(colour + 0.25 * rng.normal(size=(count, 3))[index[:, 0]].reshape(SIDE, SIDE, 3), rng)


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Bricks, planks, tiles or windows: a shifted grid with joints."""
    h = np.exp(rng.uniform(np.log(6), np.log(90)))
    w = h * np.exp(rng.uniform(np.log(0.4), np.log(5)))
    turn = rng.choice([0, 0, rng.normal(0, 0.3)])
    yy, xx = np.mgrid[:SIDE, :SIDE] - SIDE / 2.0
    y, x = yy * np.cos(turn) - xx * np.sin(turn), yy * np.sin(turn) + xx * np.cos(turn)
    row = np.floor(y / h)
    x = x + row * w * rng.choice([0, 0.5, 0.33])
    column = np.floor(x / w)
    grey = rng.normal(size=(512, 512))[row.astype(int) % 512, column.astype(int) % 512] * rng.uniform(0, 0.8)
    joint = np.minimum.reduce([y % h, h - y % h, x % w, w - x % w])
    value = grey + np.where(joint < h * rng.uniform(0.02, 0.15), rng.normal(0, 2), 0)
    grain = rng.normal(0, rng.uniform(0, 0.4), (SIDE, SIDE, 1))
    return _bytes(value[..., None] + grain + rng.normal(0, 0.05, (SIDE, SIDE, 3)), rng)


def clutter(rng: np.random.Generator) -> np.ndarray:
    """Hundreds of overlapping ellipses and bars in a few colours: shelves, foliage, crowds of things."""
    palette = rng.integers(0, 255, (rng.integers(3, 9), 3))
    image = Image.new("RGB", (SIDE, SIDE), tuple(int(c) for c in palette[0]))
    draw = ImageDraw.Draw(image)
    typical = np.exp(rng.uniform(np.log(4), np.log(40)))
    for _ in range(int(min(1500, 6 * (SIDE / typical) ** 2))):
        w, h = np.maximum(2, typical * np.exp(rng.normal(0, 0.5, 2)))
        x, y = rng.uniform(-10, SIDE, 2)
        colour = palette[rng.integers(len(palette))] * rng.uniform(0.5, 1.2)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(int(c) for c in np.clip(colour, 0, 255)))
    return np.asarray(image)


def weave(rng: np.random.Generator) -> np.ndarray:
    """Stripes and checks, bent a little: curtains, blinds, cloth."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    bend = rng.uniform(0, 12) * np.sin(y / rng.uniform(15, 80)) + rng.uniform(0, 8) * np.sin(
        x / rng.uniform(15, 80)
    )
    period = np.exp(rng.uniform(np.log(4), np.log(60)))
    value = (
        np.sign(np.sin(2 * np.pi * (x + bend) / period))
        if rng.random() < 0.5
        else np.sin(2 * np.pi * (x + bend) / period)
    )
    if rng.random() < 0.4:
        value = value + np.sign(np.sin(2 * np.pi * (y + bend) / (period * rng.uniform(0.7, 1.5))))
    return _bytes(value[..., None] * rng.normal(0.8, 0.3, 3) + rng.normal(0, 0.1, (SIDE, SIDE, 3)), rng)


def _bytes(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standard units -> uint8 about mid-grey."""
    return np.clip(128 + value * rng.uniform(15, 55), 0, 255).astype(np.uint8)
