# SPDX-License-Identifier: GPL-3.0-or-later
"""Degradations of a photograph: occluding things, camera settings, blur, noise and compression."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Occluder = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""(rng, picture float32 [H,W,3] in 0..255, changed in place) -> coverage [H,W] of what was put there"""


def tone(rng: np.random.Generator, colour: np.ndarray, strength: float) -> np.ndarray:
    """Exposure, contrast, gamma, white balance and saturation: uint8 [H,W,3] -> float32 in 0..255."""
    x = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** np.exp(rng.normal(0, 0.25 * strength))
    x = x * np.exp(rng.normal(0, 0.25 * strength)) * np.exp(rng.normal(0, 0.08 * strength, 3))
    x = 0.5 + (x - 0.5) * np.exp(rng.normal(0, 0.2 * strength))
    curves = (np.clip(x, 0, 1) * 255).astype(np.float32)
    toned = np.stack([curves[:, channel][colour[..., channel]] for channel in range(3)], axis=-1)
    grey = toned @ np.full((3, 1), 1 / 3, np.float32)
    toned = grey + (toned - grey) * np.float32(np.exp(rng.normal(0, 0.3 * strength)))
    return np.clip(toned, 0, 255, out=toned)


def occlude(
    rng: np.random.Generator, picture: np.ndarray, alpha: np.ndarray, put_thing: Occluder | None = None
) -> None:
    """One or two things, or plain or noisy bars and boxes, in front of the person, in place."""
    height, width = alpha.shape
    for _ in range(rng.integers(1, 3)):
        if put_thing is not None and rng.random() < 0.6:
            alpha[put_thing(rng, picture) > 0.5] = 0
            continue
        h, w = (rng.uniform(0.08, 0.4, 2) * (height, width)).astype(int)
        if rng.random() < 0.3:
            w = width
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        region = (slice(top, top + h), slice(left, left + w))
        grain = rng.normal(0, rng.uniform(0, 30), (h, w, 1))
        picture[region] = np.clip(rng.uniform(0, 255, 3) + grain, 0, 255)
        alpha[region] = 0


def degrade(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Blur, low resolution, noise and JPEG, each in some pictures: uint8 [H,W,3] -> uint8."""
    image = Image.fromarray(pixels)
    size = image.size
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.001, 0.006) * size[1]))
    if rng.random() < 0.2:
        scale = rng.uniform(0.35, 0.9)
        image = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.BILINEAR)
        image = image.resize(size, Image.BICUBIC)
    if rng.random() < 0.4:
        noise = rng.standard_normal((size[1], size[0], 3), dtype=np.float32) * rng.uniform(1, 14)
        image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=int(rng.integers(25, 90)))
        image = Image.open(buffer)
    return np.array(image)
