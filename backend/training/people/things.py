# SPDX-License-Identifier: GPL-3.0-or-later
"""Turned things with light on them: cups, bottles, balls, posts. They stand behind people and before them.

Round, shaded and skin-coloured now and then, they are what a network takes for a head or a limb that has
seen round things on people alone.
"""

import numpy as np


def turned(rng: np.random.Generator, texture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A solid of revolution, its axis anyhow in the picture, its skin the `texture` [h,w,3] in 0..255.

    Returns colour float32 [h,w,3] in 0..255 and coverage [h,w] in 0..1.
    """
    h, w = texture.shape[:2]
    angle = rng.normal(0, 0.35) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x, y = (x + 0.5 - w / 2) / (min(h, w) / 2), (y + 0.5 - h / 2) / (h / 2)
    along = y * np.cos(angle) - x * np.sin(angle)
    across = x * np.cos(angle) + y * np.sin(angle)
    radius, slope = _profile(rng, along)
    tilt = rng.uniform(0, 0.3)  # the axis leans to the viewer: ends are ellipses
    inside = (np.abs(across) < radius) & (
        np.abs(along) < 0.92 + tilt * np.sqrt(np.maximum(1 - (across / radius) ** 2, 0)) * 0.3
    )
    u = np.clip(across / radius, -1, 1)
    front = np.sqrt(1 - u * u)
    light = rng.normal(size=3)
    light[2] = abs(light[2]) + 0.3
    light /= np.linalg.norm(light)
    shade = u * light[0] - slope * light[1] + front * light[2]
    diffuse = rng.uniform(0.2, 0.6) + rng.uniform(0.5, 1.0) * np.maximum(shade, 0)
    gloss = rng.uniform(0, 120) * np.maximum(shade, 0) ** rng.uniform(6, 60) if rng.random() < 0.4 else 0.0
    column = ((0.5 + np.arcsin(u) / np.pi) * (w - 1)).astype(int)
    row = np.clip((0.5 + along / 2) * (h - 1), 0, h - 1).astype(int)
    colour = texture[row, column] * diffuse[..., None] + np.asarray(gloss)[..., None]
    return np.clip(colour, 0, 255).astype(np.float32), inside.astype(np.float32)


def _profile(rng: np.random.Generator, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radius over the axis (-1..1) and its slope, of a ball, a cylinder, a cone or a vase."""
    t = np.linspace(-1.2, 1.2, 96)
    kind = rng.integers(4)
    if kind == 0:
        radius = np.sqrt(np.maximum(0.85 - t * t, 1e-3))
    else:
        radius = np.full_like(t, rng.uniform(0.3, 0.85)) * (1 + (kind == 2) * rng.uniform(-0.6, 0.6) * t)
        for order in (1, 2, 3):
            radius *= 1 + (kind == 3) * rng.normal(0, 0.18) * np.sin(order * 2.2 * t + rng.uniform(0, 6.3))
    radius = np.clip(radius, 0.05, 0.95)
    slope = np.clip(np.gradient(radius, t), -1, 1)
    return np.interp(along, t, radius), np.interp(along, t, slope)


def plain(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A skin of one colour, every third time of a human one; float32 [H,W,3] in 0..255."""
    if rng.random() < 0.33:
        lightness = rng.uniform(0.2, 0.95)
        colour = 255 * lightness * np.array([1.0, rng.uniform(0.68, 0.85), rng.uniform(0.5, 0.75)])
    else:
        colour = rng.uniform(10, 250, 3)
    grain = rng.normal(0, rng.uniform(0, 8), (height, width, 1))
    return (colour + grain).astype(np.float32)
