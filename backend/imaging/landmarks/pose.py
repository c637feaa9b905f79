# SPDX-License-Identifier: GPL-3.0-or-later
"""Body landmarks: 33 points of a person with a mask (BlazePose, Bazarevsky et al. 2020, arXiv 2006.10204)."""

from dataclasses import dataclass

import numpy as np

from .detectors import Detection
from .graph import load_graph
from .regions import Region, sigmoid

COUNT = 33
NAMES = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky",
    "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot", "right_foot",
)  # fmt: skip
INDEX = {name: number for number, name in enumerate(NAMES)}
REACH = 4  # cells about a point's cell in its heat map that its centre of mass is taken over


@dataclass(frozen=True)
class Pose:
    """One person. Left and right are the person's own.

    score 0..1: is there a person in the region; points [33,3] pixels (x, y; z on the scale of x, smaller is
    nearer, 0 at the hips); visibility and presence [33] 0..1; world [33,3] metres, origin between the hips,
    axes of the photo (x right, y down, z away); mask [256,256] in 0..1 over `region`; alignment [2,2] pixels:
    the centre and a rim point of the region for the next pass."""

    score: float
    points: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world: np.ndarray
    mask: np.ndarray
    alignment: np.ndarray
    region: Region

    @property
    def next_region(self) -> Region:
        """The region that these landmarks give for the next pass."""
        return person_region(*self.alignment)

    def likelihood(self) -> np.ndarray:
        """[33]: probability that a point is visible and inside the photo."""
        return self.visibility * self.presence

    def mask_in(self, height: int, width: int) -> np.ndarray:
        """float32 [height,width], the mask in the photo."""
        return self.region.paste(self.mask, height, width)


def person_region(hips, rim) -> Region:
    """The region about a person by the middle of the hips and a point on the body's circle."""
    return Region.about(hips, rim, 90).squared(1.25)


def region_of(detection: Detection) -> Region:
    return person_region(detection.points[0], detection.points[1])


def read_pose(image: np.ndarray, region: Region, device: str = "cpu") -> Pose:
    """Reads the pose in a region of uint8 [H,W,3]."""
    network = load_graph("pose_landmark_full", device)
    landmarks, score, mask, heat, world = network(region.crop(image, network.size))
    landmarks = landmarks.reshape(-1, 5).astype(np.float64)
    shares = landmarks[:, :3] / network.size[0]
    _refine(shares, sigmoid(heat[0]))
    points = region.to_image(shares)
    return Pose(
        score=float(score.ravel()[0]),
        points=points[:COUNT],
        visibility=sigmoid(landmarks[:COUNT, 3]),
        presence=sigmoid(landmarks[:COUNT, 4]),
        world=region.turned(world.reshape(-1, 3)[:COUNT].astype(np.float64)),
        mask=sigmoid(mask[0, ..., 0]).astype(np.float32),
        alignment=points[COUNT : COUNT + 2, :2],
        region=region,
    )


def _refine(shares: np.ndarray, heat: np.ndarray) -> None:
    """Moves points [n,3] to the centre of mass of their heat maps [h,w,n] nearby, in place, where these are
    above 0.5 (mediapipe's RefineLandmarksFromHeatmapCalculator with a kernel of 9).
    """
    height, width = heat.shape[:2]
    for number, (x, y) in enumerate(shares[:, :2]):
        column, row = int(x * width), int(y * height)
        if x < 0 or y < 0 or column >= width or row >= height:
            continue
        top, left = max(0, row - REACH), max(0, column - REACH)
        near = heat[top : row + REACH + 1, left : column + REACH + 1, number]
        if near.max() >= 0.5:
            rows, columns = near.sum(1), near.sum(0)
            shares[number, 0] = (left + columns @ np.arange(len(columns)) / columns.sum()) / width
            shares[number, 1] = (top + rows @ np.arange(len(rows)) / rows.sum()) / height
