# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces as plain numbers by channel: the 52 ARKit units and six angles of gaze; mixed, mirrored, swapped.

A face is a dict of channel name to value. Units are 0..1; angles are radians, yaw to the subject's left and
pitch upwards. A channel that a face does not name is one that it leaves alone.
"""

from collections.abc import Iterable

from ..body.arkit import ARKIT_NAMES

GAZE = ("gazeYaw", "gazePitch")  # both eyes
EYES = ("leftEyeYaw", "leftEyePitch", "rightEyeYaw", "rightEyePitch")  # added to it for one eye
CHANNELS = (*ARKIT_NAMES, *GAZE, *EYES)
UNITS = frozenset(ARKIT_NAMES)
MAX_ANGLE = 1.6  # radians: more than an eye or a hostile file may ask for

MOUTH = tuple(n for n in ARKIT_NAMES if n.startswith(("jaw", "mouth", "tongue")) or n == "cheekPuff")
EYES_AND_BROWS = tuple(n for n in CHANNELS if n not in MOUTH and not n.startswith(("cheek", "nose")))
PARTS = {"ALL": CHANNELS, "MOUTH": MOUTH, "EYES": EYES_AND_BROWS}

_GLANCES = ("eyeLookIn", "eyeLookOut")  # a direction, not a shape: the eyes do not mirror it, they share it
Face = dict[str, float]


def neutral(channels: Iterable[str] = CHANNELS) -> Face:
    return dict.fromkeys(channels, 0.0)


def limited(name: str, value: float) -> float:
    """The value within the channel's range."""
    low, high = (0.0, 1.0) if name in UNITS else (-MAX_ANGLE, MAX_ANGLE)
    return min(max(float(value), low), high)


def mixed(present: Face, wanted: Face, amount: float, add: bool = False) -> Face:
    """The channels of `wanted`, laid onto the present face.

    Without `add` the face goes the share `amount` of the way there; with it `amount` times the wanted values
    are added. Units stay within 0..1.
    """
    found = {}
    for name, value in wanted.items():
        now = present.get(name, 0.0)
        found[name] = limited(name, now + amount * (value if add else value - now))
    return found


def other_side(name: str) -> str:
    """The channel of the other side; of one that has no side, itself."""
    for one, two in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(one):
            return name[: -len(one)] + two
    for one, two in (("leftEye", "rightEye"), ("rightEye", "leftEye")):
        if name.startswith(one):
            return two + name[len(one) :]
    return name


def swapped(face: Face) -> Face:
    """The face in a mirror: left and right change places, what goes left goes right."""
    turned = {other_side(name): value for name, value in face.items()}
    return {name: -value if name.endswith("Yaw") else value for name, value in turned.items()}


def mirrored(face: Face, side: str) -> Face:
    """One side's shape on the other side too; `side` is the one that is kept, "Left" or "Right".

    Returns the changed channels. Jaw and mouth sideways, glances and gaze have no side and stay.
    """
    return {
        other_side(name): value
        for name, value in face.items()
        if name.endswith(side)
        and name not in (f"jaw{side}", f"mouth{side}")
        and not name.startswith(_GLANCES)
    }
