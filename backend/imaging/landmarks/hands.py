# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand landmarks: 21 points of a hand (MediaPipe Hands, Zhang et al. 2020, arXiv 2006.10214), found by the
body's.
"""

import math
from dataclasses import dataclass

import numpy as np

from .graph import load_graph
from .pose import INDEX, Pose
from .regions import Region, angle_to

LIKELY, FIRST, SCORE = 0.3, 0.3, 0.7  # least likelihood of the wrist; least scores of the two passes
AWAY = 0.05  # of the body's region, from the hand's wrist to the body's
PALM = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # points that a region is laid around
WRIST = 0
# The joints at the near end of the template's finger bones.
FINGER_JOINTS = {
    "thumb": (1, 2, 3),
    "index": (5, 6, 7),
    "middle": (9, 10, 11),
    "ring": (13, 14, 15),
    "pinky": (17, 18, 19),
}


@dataclass(frozen=True)
class Hand:
    """score 0..1; right 0..1, probability of a right hand; points [21,3] pixels (z on the scale of
    x); world [21,3] metres, axes of the photo; the region it was read from.
    """

    score: float
    right: float
    points: np.ndarray
    world: np.ndarray
    region: Region

    @property
    def next_region(self) -> Region:
        points = self.points[:, :2]
        middle = ((points[6] + points[14]) / 2 + points[10]) / 2
        angle = angle_to(points[WRIST], middle, 90)
        c, s = math.cos(angle), math.sin(angle)
        upright = points[list(PALM)] @ np.array([[c, -s], [s, c]])
        low, high = upright.min(0), upright.max(0)
        x, y = np.array([[c, -s], [s, c]]) @ ((low + high) / 2)
        return Region(x, y, *(high - low), angle).squared(2.0, -0.1)


def read_hand(image: np.ndarray, region: Region, device: str = "cpu") -> Hand:
    """Reads the hand in a square region of uint8 [H,W,3]."""
    network = load_graph("hand_landmark_full", device)
    points, score, right, world = network(region.crop(image, network.size))
    shares = points.reshape(-1, 3).astype(np.float64) / network.size[0]
    shares[:, 2] /= 0.4  # MediaPipe's scale of depth
    return Hand(
        score=float(score.ravel()[0]),
        right=float(right.ravel()[0]),
        points=region.to_image(shares),
        world=region.turned(world.reshape(-1, 3).astype(np.float64)),
        region=region,
    )


def find_hand(image: np.ndarray, body: Pose, side: str, device: str = "cpu") -> Hand | None:
    """The "left" or "right" hand of a person whose body was found; None where its score is too low."""
    wrist = INDEX[f"{side}_wrist"]
    if body.likelihood()[wrist] < LIKELY:
        return None
    first = read_hand(image, region_from_pose(image, body, side, device), device)
    if first.score < FIRST:
        return None
    hand = read_hand(image, first.next_region, device)
    away = np.linalg.norm(hand.points[WRIST, :2] - body.points[wrist, :2])
    return hand if hand.score > SCORE and away < AWAY * body.next_region.height else None


def region_from_pose(image: np.ndarray, pose: Pose, side: str, device: str = "cpu") -> Region:
    """The region of the "left" or "right" hand: by the body's landmarks, then corrected by a network."""
    wrist, pinky, index = (pose.points[INDEX[f"{side}_{name}"], :2] for name in ("wrist", "pinky", "index"))
    middle = (2 * index + pinky) / 3
    first = Region.about(middle, wrist, 90)._replace(angle=angle_to(wrist, middle, 90)).squared(2.7, -0.1)
    network = load_graph("hand_recrop", device)
    shares = network(first.crop(image, network.size))[0].reshape(2, 2) / network.size[0]
    centre, rim = first.to_image(shares.astype(np.float64))
    return Region.about(centre, rim, -90).squared(1.0, -0.1)
