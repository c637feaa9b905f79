# SPDX-License-Identifier: GPL-3.0-or-later
"""What poses are put together from: ranges of motion, a stance, hanging arms, hands, places to put them.

Ranges: Boone & Azen 1979 (J Bone Joint Surg 61-A, men aged 19 to 54, means) for the limbs; the American
Academy of Orthopaedic Surgeons' "Joint Motion" 1965 for spine, neck and fingers.
"""

from __future__ import annotations

import numpy as np

from .figure import Figure

# Degrees, (least, most); a negative value is the opposite movement.
RANGES = {
    "shoulder_flex": (-62, 167), "shoulder_abduct": (0, 184), "shoulder_roll": (-104, 69), "elbow": (0, 143),
    "pronation": (-82, 76), "wrist_flex": (-75, 76), "wrist_ulnar": (-22, 36), "hip_flex": (-10, 122),
    "hip_abduct": (-27, 46), "hip_rotate": (-47, 47), "knee": (0, 143), "ankle": (-56, 13),
    "spine_bend": (-25, 80), "spine_side": (-35, 35), "spine_turn": (-45, 45),
    "neck_nod": (-45, 45), "neck_side": (-45, 45), "neck_turn": (-60, 60),
}  # fmt: skip


def angle(rng: np.random.Generator, name: str, extent: float = 1.0) -> float:
    """A random angle within `extent` of a joint's range, smaller ones more often."""
    low, high = RANGES[name]
    return float(extent * (low + (high - low) * rng.beta(2.0, 2.0)))


# Places for the left wrist in the canonical body, metres.
HIP = np.array([0.235, -0.03, 1.03])
PLACES = {
    "hip": (HIP, (1.0, 0.55, 0.0)),
    "pocket": (np.array([0.2, -0.1, 0.93]), (0.9, 0.9, 0.0)),
    "chest": (np.array([0.0, -0.21, 1.3]), (1.0, -0.1, -0.6)),
    "belly": (np.array([0.04, -0.21, 1.1]), (1.0, 0.3, -0.5)),
    "chin": (np.array([0.06, -0.19, 1.42]), (0.6, -0.2, -1.0)),
    "ear": (np.array([0.15, -0.13, 1.55]), (0.9, -0.2, -0.9)),
    "shoulder": (np.array([-0.12, -0.17, 1.36]), (0.5, -0.8, -0.6)),
    "brow": (np.array([0.17, -0.19, 1.62]), (1.0, 0.0, -0.2)),
    "nape": (np.array([0.1, 0.07, 1.55]), (1.0, -0.3, 0.4)),
    "ahead": (np.array([0.14, -0.5, 1.36]), (0.6, 0.1, -1.0)),
    "high": (np.array([0.24, -0.15, 1.95]), (1.0, -0.3, 0.0)),
    "aside": (np.array([0.66, -0.15, 1.4]), (0.2, 0.6, -1.0)),
    "book": (np.array([0.11, -0.36, 1.24]), (1.0, 0.2, -0.8)),
    "back": (np.array([0.1, 0.18, 1.05]), (1.0, 0.5, 0.0)),
}
PALMS = {
    "ahead": (0, -1, 0), "high": (0, -1, 0), "book": (-0.6, 0.6, 0.5), "ear": (-1, 0, 0), "chest": (0, 1, 0),
    "belly": (0, 1, 0), "chin": (-0.3, 0.8, 0.2), "shoulder": (0.3, 1, 0), "brow": (0, 0.3, -1),
    "back": (0, 1, 0), "aside": (0, -1, 0.3),
}  # fmt: skip


def hands(figure: Figure, rng: np.random.Generator, free="LR"):
    """Fingers relaxed, a fist, spread, pointing or anything; `free` sides also get a wrist angle."""
    for side in "LR":
        kind = rng.choice(5, p=[0.5, 0.15, 0.13, 0.1, 0.12])
        if kind == 0:
            figure.fingers(
                side, np.clip(rng.normal(0.22, 0.08) + np.arange(4) * 0.04, 0, 1), rng.uniform(-2, 5)
            )
        elif kind == 1:
            figure.fingers(side, rng.uniform(0.75, 1.0), thumb=rng.uniform(0.6, 1))
        elif kind == 2:
            figure.fingers(side, rng.uniform(0, 0.08), rng.uniform(5, 14), thumb=0)
        elif kind == 3:
            figure.fingers(side, [0.03, 0.85, 0.9, 0.9], thumb=rng.uniform(0.3, 0.9))
        else:
            figure.fingers(side, rng.uniform(0, 1, 4), rng.uniform(0, 8), rng.uniform(0, 1))
        if side in free:
            figure.hand(side, rng.normal(0, 14), rng.normal(4, 7), rng.normal(8, 22))


def bearing(figure: Figure, rng: np.random.Generator, strength=1.0):
    """Small turns of trunk and head that nobody is without."""
    figure.spine(rng.normal(2, 4) * strength, rng.normal(0, 3) * strength, rng.normal(0, 6) * strength)
    figure.head(rng.normal(2, 9) * strength, rng.normal(0, 6) * strength, rng.normal(0, 18) * strength)


def arm_down(figure: Figure, rng: np.random.Generator, side, away=10.0, forward=0.0, elbow=None):
    """An arm that hangs: degrees away from the body and forward."""
    a, f = np.radians(away + 4), np.radians(forward)
    direction = (np.sin(a), -np.sin(f) * np.cos(a), -np.cos(f) * np.cos(a))
    bend = abs(rng.normal(12, 9)) if elbow is None else elbow
    figure.arm(side, direction, bend, roll=rng.normal(15, 12))


def stance(figure: Figure, rng: np.random.Generator):
    """Both feet on the ground, about shoulder width."""
    width = rng.uniform(-1, 9)
    for side in "LR":
        bend = abs(rng.normal(0, 3))
        figure.leg(side, bend, width * 0.7 + rng.normal(0, 1), rng.uniform(0, 15), 2 * bend, bend)
