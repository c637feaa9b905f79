# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames spread over a film, at low resolution: at most `MOST_SAMPLES`, which bounds the memory."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from .movies import raw_frames, upright
from .photos import MIN_SIDE, PhotoError

LONGEST_FILM = 300.0  # seconds that are read
MOST_SAMPLES = 240
SMALL, FINE, CELL = 512, 1280, 16  # pixels: a sample's longer side; that of its grey picture; cells of edges
HDR = (16, 18)  # transfer functions PQ and HLG in FFmpeg's numbers (ITU-T H.273)


@dataclass(frozen=True)
class Sample:
    """One frame: rgb uint8 [h,w,3], `SMALL` on the longer side; edges float32 [2,rows,columns]: mean squared
    differences of its grey values across and down in cells of `CELL` pixels.
    """

    seconds: float
    rgb: np.ndarray
    edges: np.ndarray


def sample_film(path: str | Path, remarks: list[str], report: Callable[[float], None]) -> list[Sample]:
    """Between half of `MOST_SAMPLES` and all of it, evenly spread in time; every frame of a short film.

    Whenever there are more, every other one is dropped, so that the film's length need not be known.
    """
    samples: list[Sample] = []
    name, apart = Path(path).name, 0.0
    for seconds, share, frame in raw_frames(path, remarks):
        report(max(share, seconds / LONGEST_FILM))
        if not samples and frame.color_trc in HDR:
            remarks.append(
                f"{name} is an HDR film, whose colours become pale; film without HDR for true ones."
            )
        if seconds > LONGEST_FILM:
            remarks.append(f"{name} is long; its first {LONGEST_FILM / 60:.0f} minutes were used.")
            break
        if samples and seconds - samples[-1].seconds < apart:
            continue
        samples.append(Sample(seconds, *_reduced(frame, name)))
        if len(samples) > MOST_SAMPLES:
            samples = samples[::2]
            apart = 0.99 * min(b.seconds - a.seconds for a, b in pairwise(samples))
    return samples


def _reduced(frame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """rgb and edges of a `Sample`."""
    grey = upright(frame, FINE, "gray").astype(np.float32)
    if min(grey.shape) < MIN_SIDE:
        size = f"{frame.width} x {frame.height}"
        raise PhotoError(f"{name} is only {size} pixels.", f"At least {MIN_SIDE} are needed.")
    rows, columns = ((side - 1) // CELL for side in grey.shape)
    grey = grey[: rows * CELL + 1, : columns * CELL + 1]
    differences = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    cells = [(d**2).reshape(rows, CELL, columns, CELL).mean((1, 3)) for d in differences]
    return np.ascontiguousarray(upright(frame, SMALL)), np.stack(cells)
