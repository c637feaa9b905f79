# SPDX-License-Identifier: GPL-3.0-or-later
"""What may vary between people, and the joint positions that follow from it."""

from dataclasses import dataclass, field, replace

import numpy as np

ARM_ANGLE = np.deg2rad(45.0)  # A-pose: upper arms this far below the horizontal
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@dataclass(frozen=True)
class FaceParameters:
    """Head-local sizes; the defaults are midway between the mean man and the mean woman."""

    width: float = 0.9775  # of the skull
    jaw: float = 0.93  # width of the lower face
    brow: float = 0.5  # amplitude of the brow ridge
    nose_length: float = 0.965
    nose_width: float = 0.94
    nose_projection: float = 0.925
    nose_hook: float = 0.0  # cm of bump at the rhinion
    lip: float = 1.0
    mouth_width: float = 2.475  # cm, half the mouth
    chin: float = -0.075  # cm forward
    cheek: float = 1.05
    eye_x: float = 3.14  # cm, half the distance of the pupils
    eye_height: float = 1.1
    eye_tilt: float = 0.14
    ear: float = 1.0
    length: float = 1.0  # of the face below the pupils
    fullness: float = 0.0  # fat in the cheeks and under the chin
    female: float = 0.5


@dataclass(frozen=True)
class BodyParameters:
    """`sex` runs from 0 (the mean man, 175 cm) to 1 (the mean woman, 163 cm)."""

    sex: float = 0.5
    fat: float = 0.0
    muscle: float = 0.0
    bust: float = 0.4
    shoulders: float = 0.0  # cm added to half the width
    hips: float = 0.0  # cm added to half the width
    face: FaceParameters = field(default_factory=FaceParameters)


def for_sex(sex):
    """The mean body and face at `sex` (values between and beyond 0 and 1 are interpolated)."""

    def mix(man, woman):
        return man + (woman - man) * sex

    face = FaceParameters(
        width=mix(1.0, 0.955), jaw=mix(0.97, 0.89), brow=mix(0.85, 0.15), nose_length=mix(1.0, 0.93),
        nose_width=mix(1.0, 0.88), nose_projection=mix(1.0, 0.85), lip=mix(0.95, 1.05),
        mouth_width=mix(2.55, 2.40), chin=mix(0.0, -0.15), eye_x=mix(3.2, 3.08),
        eye_height=mix(1.03, 1.17), female=sex,
    )  # fmt: skip
    return BodyParameters(sex=sex, bust=max(1.0 * sex, 0.0), face=face)


def with_face(parameters, **changes):
    return replace(parameters, face=replace(parameters.face, **changes))


class Frame:
    """Scales, joints and local frames of one body; everything in centimetres."""

    def __init__(self, parameters):
        p = parameters
        self.scale = 1 + p.sex * (163 / 175 - 1)  # k: lengths
        self.girth = 0.5 + 0.5 * self.scale  # radii shrink half as much as lengths
        self.head_scale = 1 + p.sex * (0.965 - 1)
        self.hand_scale = self.foot_scale = 1 + p.sex * (0.9 - 1)
        self.head_centre = np.array([0, 163.4 * self.scale + 0.45 * p.sex, 1.6])
        self.joints = self._joints(p)
        self._arm()
        self._hand()

    def _joints(self, p):
        k = self.scale
        shoulder_x = 17.2 + p.sex * (15.3 - 17.2) + p.shoulders
        hip_x = 8.8 + p.sex * 0.1 + 0.5 * p.hips
        down = np.array([np.cos(ARM_ANGLE), -np.sin(ARM_ANGLE), 0])
        shoulder = np.array([shoulder_x, 142.6 * k, -2.2])
        elbow = shoulder + 29.0 * k * down + np.array([0, 0, -0.6])
        fore = np.array([down[0], down[1], 0.09])
        wrist = elbow + 25.6 * k * fore / np.linalg.norm(fore)
        joints = {
            "pelvis": (0, 97 * k, -0.5), "spine1": (0, 105 * k, -1.5), "spine2": (0, 117 * k, -2.5),
            "spine3": (0, 130 * k, -3.5), "neck1": (0, 149 * k, -3.0), "neck2": (0, 154 * k, -1.6),
            "head": (0, 159.3 * k, 0.2), "clavicle": (1.8, 145 * k, 2.5), "upper_arm": shoulder,
            "forearm": elbow, "forearm_twist": (elbow + wrist) / 2, "hand": wrist,
            "thigh": (hip_x, 92 * k, -0.3), "shin": (hip_x + 0.9, 49.5 * k, 0.3),
            "foot": (hip_x + 1.5, 8.2 * k, -3.2), "toe": (hip_x + 3.0, 2.4, 9.0 * k),
            "toe_end": (hip_x + 3.5, 1.6, 15.5 * k),
        }  # fmt: skip
        return {name: np.asarray(at, float) for name, at in joints.items()}

    def _arm(self):
        """Axis of the straight arm and the two directions across it: up and front."""
        axis = self.joints["hand"] - self.joints["upper_arm"]
        self.arm_length = np.linalg.norm(axis)
        axis = axis / self.arm_length
        front = np.array([0, 0, 1.0]) - axis * axis[2]
        front /= np.linalg.norm(front)
        up = np.cross(front, axis)
        self.arm_axes = np.stack([axis, up if up[1] > 0 else -up, front])

    def _hand(self):
        """Rows of `hand_axes`: along the fingers, dorsal, towards the thumb (pronated 15 degrees)."""
        from .tables import FINGER_BENDS, FINGER_TABLE, THUMB_POINTS, THUMB_RADII

        axis = self.joints["hand"] - self.joints["forearm"]
        axis /= np.linalg.norm(axis)
        thumb = np.array([0, 0, 1.0]) - axis * axis[2]
        thumb /= np.linalg.norm(thumb)
        dorsal = np.cross(thumb, axis)
        dorsal = dorsal if dorsal[1] > 0 else -dorsal
        c, s = np.cos(np.deg2rad(-15)), np.sin(np.deg2rad(-15))
        self.hand_axes = np.stack([axis, c * dorsal - s * thumb, c * thumb + s * dorsal])
        self.fingers = {"thumb": (np.array(THUMB_POINTS), np.array(THUMB_RADII))}
        for name, (knuckle, lengths, radii, splay) in FINGER_TABLE.items():
            points, bend = [np.array(knuckle, float)], 0.0
            splay = np.deg2rad(splay)
            for length, turn in zip(lengths, FINGER_BENDS, strict=True):
                bend += np.deg2rad(turn)
                step = [np.cos(bend) * np.cos(splay), -np.sin(bend), np.cos(bend) * np.sin(splay)]
                points.append(points[-1] + length * np.array(step))
            self.fingers[name] = (np.array(points), np.array(radii))
        for name, (points, _) in self.fingers.items():
            world = self.joints["hand"] + points @ self.hand_axes * self.hand_scale
            for i in range(3):
                self.joints[f"{name}{i + 1}"] = world[i]
            self.joints[f"{name}_end"] = world[3]


def to_metres(points):
    """Centimetres, y up, facing +z -> metres, Z up, facing -Y; the subject's left stays +X."""
    points = np.asarray(points)
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1) / 100


def to_centimetres(points):
    """The inverse of `to_metres`."""
    points = np.asarray(points)
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1) * 100
