# SPDX-License-Identifier: GPL-3.0-or-later
"""From a clean render to the picture that a camera delivers: what stands behind and before the person, and
what the camera does to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .surroundings import Backgrounds
from .wear import degrade, occlude, tone

OCCLUDED = 0.25  # share of wild pictures in which something stands before the person
_BACKDROPS = ((0.72, 0.72, 0.72), (0.9, 0.9, 0.9), (0.45, 0.45, 0.46), (0.1, 0.1, 0.1), (0.25, 0.6, 0.32))


@dataclass(frozen=True)
class Picture:
    """rgb [H, W, 3] uint8, the whole frame; matte [H, W] uint8 of the person, whatever stands before them;
    covered [H, W] bool: pixels of theirs that something hides.
    """

    rgb: np.ndarray
    matte: np.ndarray
    covered: np.ndarray


@lru_cache(maxsize=1)
def _surroundings() -> Backgrounds:
    return Backgrounds(None, 0)


def photograph(
    rng: np.random.Generator, rgba: np.ndarray, regime: str, seed: int, backdrop=None, worn: bool = True
) -> Picture:
    """The frame of a render [H, W, 4] uint8, straight alpha.

    wild: a random background; blur, noise and compression; sometimes objects before the person; exposure and
    white balance of the camera, which are `seed`'s but for a little drift; not `worn`: a background and the
    camera's settings alone. Otherwise: a plain `backdrop` [3] in 0..1, and nothing else.
    """
    matte = rgba[..., 3]
    share = matte[..., None].astype(np.float32) / 255
    if regime != "wild":
        behind = np.asarray(backdrop, np.float32) * 255
        frame = rgba[..., :3] * share + behind * (1 - share)
        return Picture((frame + 0.5).astype(np.uint8), matte, np.zeros(matte.shape, bool))
    behind = _surroundings()(rng, *matte.shape).astype(np.float32)
    frame = rgba[..., :3] * share + behind * (1 - share)
    visible = matte.copy()
    if worn and rng.random() < OCCLUDED:
        occlude(rng, frame, visible, _surroundings().put_thing)
    frame = tone(np.random.default_rng([seed, 3]), np.clip(frame, 0, 255).astype(np.uint8), 0.45)
    if not worn:
        return Picture((frame + 0.5).astype(np.uint8), matte, np.zeros(matte.shape, bool))
    frame = tone(rng, frame.astype(np.uint8), 0.12)
    return Picture(degrade(rng, frame.astype(np.uint8)), matte, (matte > 0) & (visible == 0))


def studio_backdrop(rng: np.random.Generator) -> np.ndarray:
    """sRGB [3] of the paper or paint behind a capture stage: greys, white, black or green."""
    base = np.array(_BACKDROPS[rng.choice(len(_BACKDROPS), p=[0.35, 0.25, 0.15, 0.1, 0.15])])
    return np.clip(base * rng.uniform(0.92, 1.08), 0, 1)
