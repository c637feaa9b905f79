# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a film are worth using as photos: sharp ones that differ from each other.

The choice is farthest-point sampling (Gonzalez 1985) of descriptors of the person's pose, each distance
weighted by the frame's sharpness.
"""

import numpy as np

from .landmarks.pose import INDEX, Pose

NEIGHBOURS = 0.5  # seconds before and after, within which a frame's sharpness is compared
# Of a person who turns: frames without motion blur 0.6 to 1, with 7 pixels of it or more below 0.1; of a man
# who exercises: 0.25 to 0.4 where he moves (docs/measurements.md).
LEAST_SHARP = 0.2
NEAR = 0.2  # distance of descriptors from which frames differ: a turn by 11 degrees
# Weights of a limb's direction, of a part in the picture, and of the size's logarithm.
LIMB, PART, SIZE = 0.2, 0.3, 0.25
LIMBS = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
)
PARTS = (
    ("nose", "left_ear", "right_ear"),
    ("left_shoulder", "right_shoulder"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_hip", "right_hip"),
    ("left_knee", "right_knee"),
    ("left_ankle", "right_ankle"),
)


def relative_sharpness(energy: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """[n] in 0..1: how sharp each frame is beside its neighbours in time.

    energy [n,2]: mean squared differences of the grey values on the person across and down (Tenengrad,
    Krotkov 1988), of frames at these seconds [n]. Motion blur takes away those along the motion, so that the
    lesser of both ratios to the sharpest neighbour counts.
    """
    near = np.abs(seconds[:, None] - seconds[None]) <= NEIGHBOURS
    most = np.where(near[..., None], energy[None], 0.0).max(1)
    return (energy / np.maximum(most, 1e-9)).min(1)


def trunk_axes(pose: Pose) -> np.ndarray:
    """[3,3]: rows are the trunk's left, up and front in the photo's axes (x right, y down, z away). Hips that
    are not in the picture count little: the trunk is then taken to be upright.
    """
    world, likely = pose.world, pose.likelihood()
    hips = float(min(likely[INDEX["left_hip"]], likely[INDEX["right_hip"]]))
    left_shoulder, right_shoulder, left_hip, right_hip = (
        world[INDEX[name]] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    )
    left = _unit(left_shoulder - right_shoulder + hips * (left_hip - right_hip))
    up = _unit(left_shoulder + right_shoulder - left_hip - right_hip)
    up = hips * up + (1 - hips) * np.array([0.0, -1, 0])
    up = _unit(up - (up @ left) * left)
    return np.stack([left, up, np.cross(left, up)])


def describe(pose: Pose, longest: int) -> np.ndarray:
    """The descriptor [d] of a pose in a picture whose longer side has `longest` pixels.

    Two descriptors lie 2 sin(a/2) apart for a turn of the trunk by a, and farther where limbs are held
    otherwise, other parts are in the picture, or the person is larger.
    """
    axes, likely = trunk_axes(pose), pose.likelihood()
    limbs = []
    for a, b in LIMBS:
        bone = _unit(axes @ (pose.world[INDEX[b]] - pose.world[INDEX[a]]))
        limbs.append(LIMB * min(likely[INDEX[a]], likely[INDEX[b]]) * bone)
    parts = [PART * np.mean([likely[INDEX[name]] for name in names]) for names in PARTS]
    size = SIZE * np.log(max(pose.next_region.width, 1.0) / longest)
    return np.concatenate([axes.ravel() / np.sqrt(2), *limbs, parts, [size]])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / (np.linalg.norm(vector) + 1e-9)


def facing(pose: Pose) -> float:
    """0..1: 1 where the trunk's front and the head are turned to the camera."""
    return float((1 - trunk_axes(pose)[2, 2]) / 2 * pose.likelihood()[INDEX["nose"]])


def choose_frames(descriptors: np.ndarray, sharpness: np.ndarray, first: np.ndarray, count: int) -> list[int]:
    """Up to `count` of n frames, as indices in order.

    descriptors [n,d]; sharpness [n] in 0..1, of which frames below `LEAST_SHARP` are left out unless all
    are; first [n] >= 0: times the sharpness, it decides the first one. Each further one is the farthest from
    those chosen, distance times sharpness. It ends where all are within `NEAR` of a chosen one, blurred ones
    within more: half of it over their sharpness. Of equals the earlier one is taken.
    """
    if not len(descriptors) or count < 1:
        return []
    usable = sharpness >= min(LEAST_SHARP, sharpness.max())
    chosen = [int(np.argmax(np.where(usable, first * sharpness, -1.0)))]
    apart = np.full(len(descriptors), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, np.linalg.norm(descriptors - descriptors[chosen[-1]], axis=1))
        gain = np.where(usable & (apart > NEAR), apart * sharpness, 0.0)
        if gain.max() <= NEAR / 2:
            break
        chosen.append(int(np.argmax(gain)))
    return sorted(chosen)
