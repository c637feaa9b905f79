# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces that people make: ARKit weights and gazes."""

from __future__ import annotations

import numpy as np

from ...body.arkit import ARKIT_INDEX

# Weights of whole expressions; a trailing * stands for Left and Right.
PRESETS = {
    "smile": {"mouthSmile*": 0.8, "cheekSquint*": 0.4, "eyeSquint*": 0.2},
    "laugh": {"mouthSmile*": 0.9, "jawOpen": 0.45, "cheekSquint*": 0.6, "mouthUpperUp*": 0.4},
    "surprise": {"browInnerUp": 0.9, "browOuterUp*": 0.8, "eyeWide*": 0.8, "jawOpen": 0.5},
    "anger": {"browDown*": 0.9, "noseSneer*": 0.4, "mouthPress*": 0.5, "eyeSquint*": 0.4},
    "sadness": {"browInnerUp": 0.8, "mouthFrown*": 0.7, "mouthShrugLower": 0.4},
    "disgust": {"noseSneer*": 0.8, "mouthUpperUp*": 0.5, "browDown*": 0.4, "eyeSquint*": 0.4},
    "fear": {"eyeWide*": 0.9, "browInnerUp": 0.7, "mouthStretch*": 0.6, "jawOpen": 0.2},
    "kiss": {"mouthPucker": 0.9, "mouthFunnel": 0.2},
    "blink": {"eyeBlink*": 1.0},
    "wink": {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.5, "cheekSquintLeft": 0.5},
    "a": {"jawOpen": 0.6, "mouthLowerDown*": 0.2},
    "o": {"jawOpen": 0.4, "mouthFunnel": 0.7},
    "u": {"jawOpen": 0.1, "mouthPucker": 0.7},
    "e": {"jawOpen": 0.25, "mouthStretch*": 0.4, "mouthUpperUp*": 0.25, "mouthLowerDown*": 0.35},
    "m": {"mouthPress*": 0.4, "mouthRollUpper": 0.4, "mouthRollLower": 0.4},
    "f": {"mouthRollLower": 0.5, "mouthUpperUp*": 0.4, "jawOpen": 0.1},
    "puff": {"cheekPuff": 0.9, "mouthPress*": 0.3},
    "doubt": {"browDownLeft": 0.6, "browOuterUpRight": 0.8, "mouthLeft": 0.5},
}  # fmt: skip
# Shapes that work against each other: where both are up, the weaker is dropped.
_RIVALS = (
    ("eyeBlink*", "eyeWide*"), ("mouthSmile*", "mouthFrown*"), ("browDown*", "browOuterUp*"),
    ("mouthPucker", "mouthStretch*"), ("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"),
)  # fmt: skip
_YAW_FULL, _DOWN_FULL, _UP_FULL = np.radians(35), np.radians(30), np.radians(25)


def _names(pattern: str) -> list[str]:
    return [pattern[:-1] + side for side in ("Left", "Right")] if pattern.endswith("*") else [pattern]


def expression(weights: dict[str, float]) -> np.ndarray:
    """{"mouthSmile*": 0.8, "jawOpen": 0.1, ...} -> ARKit weights [52]; a trailing * means both sides."""
    out = np.zeros(len(ARKIT_INDEX), np.float32)
    for pattern, weight in weights.items():
        for name in _names(pattern):
            out[ARKIT_INDEX[name]] = weight
    return out


def random_expression(rng: np.random.Generator) -> np.ndarray:
    """ARKit weights [52]: a quarter nearly neutral, half known expressions, a quarter any few shapes."""
    kind = rng.random()
    out = np.zeros(len(ARKIT_INDEX), np.float32)
    if 0.25 <= kind < 0.75:
        for preset in rng.choice(list(PRESETS), 1 + (rng.random() < 0.3), replace=False):
            out = np.maximum(out, expression(PRESETS[preset]) * rng.uniform(0.35, 1.15))
        out *= rng.uniform(0.8, 1.2, len(out))
    elif kind >= 0.75:
        names = [n for n in ARKIT_INDEX if not n.startswith(("eyeLook", "tongue"))]
        for name in rng.choice(names, rng.integers(2, 9), replace=False):
            out[ARKIT_INDEX[name]] = rng.uniform(0.15, 1.0)
            if rng.random() < 0.7:  # mostly even
                other = name.replace("Left", "Right") if "Left" in name else name.replace("Right", "Left")
                if not name.startswith(("jaw", "mouthLeft", "mouthRight")):
                    out[ARKIT_INDEX[other]] = out[ARKIT_INDEX[name]] * rng.uniform(0.8, 1.2)
    if rng.random() < 0.1:
        out[[ARKIT_INDEX[n] for n in _names("eyeBlink*")]] = rng.uniform(0.2, 1.0)
    for first, second in _RIVALS:
        for a, b in zip(_names(first) * 2, _names(second) * 2, strict=False):
            i, j = ARKIT_INDEX[a], ARKIT_INDEX[b]
            out[j if out[i] >= out[j] else i] = 0
    out[ARKIT_INDEX["mouthClose"]] = min(out[ARKIT_INDEX["mouthClose"]], out[ARKIT_INDEX["jawOpen"]])
    return np.clip(out, 0, 1)


def random_gaze(rng: np.random.Generator) -> np.ndarray:
    """[2, 2] (yaw to the subject's left, pitch up) radians of the left and right eye, mostly near straight
    ahead.
    """
    yaw, pitch = np.radians(rng.normal(0, 11)), np.radians(rng.normal(-1, 7))
    vergence = np.radians(rng.uniform(0, 3))
    yaw, pitch = np.clip(yaw, -_YAW_FULL, _YAW_FULL), np.clip(pitch, -_DOWN_FULL, _UP_FULL)
    return np.array([[yaw - vergence, pitch], [yaw + vergence, pitch]], np.float32)


def with_gaze(weights: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Sets the eyeLook shapes, by which the lids follow the eyes, to what a gaze [2, 2] asks for."""
    out = np.array(weights, np.float32)
    for (yaw, pitch), side, out_sign in zip(gaze, ("Left", "Right"), (1, -1), strict=True):
        for name, value in (
            ("Out", out_sign * yaw / _YAW_FULL), ("In", -out_sign * yaw / _YAW_FULL),
            ("Up", pitch / _UP_FULL), ("Down", -pitch / _DOWN_FULL),
        ):  # fmt: skip
            out[ARKIT_INDEX[f"eyeLook{name}{side}"]] = np.clip(value, 0, 1)
    return out
