# SPDX-License-Identifier: GPL-3.0-or-later
"""Single-shot detectors (Liu et al. 2016, "SSD") of people and of faces, in MediaPipe's variant: all anchors
have the size 1, a detection brings key points, and overlapping detections are averaged by score.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from .graph import load_graph
from .regions import Region, sigmoid

SAME = 0.3  # intersection over union from which two boxes are one detection


@dataclass(frozen=True)
class Detector:
    """A network with its anchors, (stride, count a cell) a layer, and MediaPipe's score threshold."""

    network: str
    layers: tuple[tuple[int, int], ...]
    threshold: float


# Points: middle of the hips, rim of the body's circle, middle of the shoulders, rim of the upper body's
# circle.
PERSON = Detector("pose_detection", ((8, 2), (16, 2), (32, 6)), 0.5)
# Points: right eye, left eye, nose, mouth, right ear, left ear.
FACE_NEAR = Detector("face_detection_short_range", ((8, 2), (16, 6)), 0.5)
FACE_FAR = Detector("face_detection_full_range_sparse", ((4, 1),), 0.6)


@dataclass(frozen=True)
class Detection:
    """score 0..1; corners [4,2] of the box and key points [k,2], pixels of the photo."""

    score: float
    corners: np.ndarray
    points: np.ndarray


def detect(
    detector: Detector,
    image: np.ndarray,
    region: Region | None = None,
    threshold: float | None = None,
    device: str = "cpu",
) -> list[Detection]:
    """Detections in uint8 [H,W,3], best first; in a region of it, or in the whole photo when None."""
    network = load_graph(detector.network, device)
    region = (region or Region.whole(image)).letterboxed(network.size)
    raw, logits = network(region.crop(image, network.size, low=-1.0, border="black"))
    scores = sigmoid(logits[0, :, 0])
    kept = scores >= (detector.threshold if threshold is None else threshold)
    size = network.size[0]
    anchors, raw, scores = _anchors(size, detector.layers)[kept], raw[0][kept] / size, scores[kept]
    centre, half = raw[:, :2] + anchors, raw[:, 2:4] / 2
    boxes = np.concatenate([centre - half, centre + half], 1)
    points = raw[:, 4:].reshape(len(raw), (raw.shape[1] - 4) // 2, 2) + anchors[:, None]
    return [_in_image(region, *merged) for merged in _merged(scores, boxes, points)]


@cache
def _anchors(size: int, layers: tuple[tuple[int, int], ...]) -> np.ndarray:
    """[n,2] centres in shares of the picture, row by row."""
    centres = []
    for stride, count in layers:
        cells = math.ceil(size / stride)
        y, x = np.mgrid[0:cells, 0:cells]
        cell = np.stack([(x + 0.5) / cells, (y + 0.5) / cells], -1).reshape(-1, 2)
        centres.append(np.repeat(cell, count, 0))
    return np.concatenate(centres)


def _merged(scores: np.ndarray, boxes: np.ndarray, points: np.ndarray):
    """Weighted non-maximum suppression: like boxes become their mean by score; the best score stays."""
    rest = np.argsort(-scores, kind="stable")
    while len(rest):
        alike = _overlap(boxes[rest[0]], boxes[rest]) > SAME
        alike[0] = True
        group = rest[alike]
        weight = scores[group] / scores[group].sum()
        yield float(scores[rest[0]]), weight @ boxes[group], np.tensordot(weight, points[group], 1)
        rest = rest[~alike]


def _overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box [4] (left, top, right, bottom) with boxes [n,4]."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), 1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return common / (areas + np.prod(box[2:] - box[:2]) - common)


def _in_image(region: Region, score: float, box: np.ndarray, points: np.ndarray) -> Detection:
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Detection(score, region.to_image(corners), region.to_image(points))
