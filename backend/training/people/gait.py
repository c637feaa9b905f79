# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking and running; angles follow the sagittal curves of Perry & Burnfield 2010, "Gait Analysis"."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Pose
from .stance import arm_down


def walk(phase: float, rng=None, speed: float = 1.0) -> Pose:
    """A stride; phase 0..1, the left heel strikes at 0."""
    rng = np.random.default_rng(0) if rng is None else rng
    figure = Figure()
    figure.pelvis(tilt=3, turn=-5 * speed * np.cos(2 * np.pi * phase))
    figure.spine(2 + 3 * speed, 0, 10 * speed * np.cos(2 * np.pi * phase))
    figure.head(rng.normal(0, 6), rng.normal(0, 3), rng.normal(0, 14))
    for side, p in (("L", phase % 1), ("R", (phase + 0.5) % 1)):
        swing = np.cos(2 * np.pi * p)
        knee = 5 + 14 * _bump(p, 0.14, 0.07) + 55 * _bump(p, 0.73, 0.1)
        ankle = 9 * _bump(p, 0.42, 0.12) - 20 * _bump(p, 0.62, 0.07)
        figure.leg(side, (8 + 21 * swing) * speed, 1, 6, knee, ankle, 25 * _bump(p, 0.58, 0.06))
        arm_down(figure, rng, side, 8, -20 * speed * swing + 3, 16 + 10 * speed - 8 * swing)
    for side in "LR":
        figure.fingers(side, 0.3)
    return figure.finish()


def _bump(p, centre, width):
    d = (p - centre + 0.5) % 1 - 0.5
    return np.exp(-0.5 * (d / width) ** 2)


def run(phase: float, rng=None) -> Pose:
    """A running stride; phase 0..1, left foot strikes at 0."""
    rng = np.random.default_rng(0) if rng is None else rng
    figure = Figure()
    figure.pelvis(tilt=8, turn=-8 * np.cos(2 * np.pi * phase))
    figure.spine(8, 0, 16 * np.cos(2 * np.pi * phase))
    figure.head(-8, 0, rng.normal(0, 10))
    for side, p in (("L", phase % 1), ("R", (phase + 0.5) % 1)):
        swing = np.cos(2 * np.pi * (p + 0.06))
        knee = 15 + 25 * _bump(p, 0.12, 0.08) + 95 * _bump(p, 0.66, 0.13)
        figure.leg(
            side, 18 + 38 * swing, 0, 4, knee, 10 - 30 * _bump(p, 0.4, 0.08), 20 * _bump(p, 0.38, 0.06)
        )
        arm_down(figure, rng, side, 14, -38 * swing - 5, 85 - 15 * swing)
        figure.fingers(side, rng.uniform(0.4, 0.9))
    return figure.finish()
