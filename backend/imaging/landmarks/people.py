# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds all people in a photo with body landmarks, the most prominent first.

The detectors of people and of faces search the whole photo; where they find nobody with high confidence,
regions on the photo's middle line (a body without a head, a drawing) and overlapping windows (people far
away) are searched too. Every candidate is read again from jittered regions: landmarks and mask of a person
agree between them, those of a false detection do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import face, pose
from .detectors import FACE_FAR, FACE_NEAR, PERSON, detect
from .face import Face
from .pose import Pose
from .regions import Region

FAINT, IN_WINDOW, BESIDE = 0.2, 0.6, 0.35  # detectors' thresholds: in the whole photo, in a window of it, and
# where the people found first are painted over
SCORE = 0.5  # of the landmark networks, MediaPipe's own threshold
PERHAPS, SURE = 0.6, 2.8  # least quality of a person; of one that needs no further search
JITTERS = ((0.04, 1.08, 0.1), (-0.04, 0.92, -0.1))  # shift and size in sizes of the region, turn in radians
WINDOWS = (0.5, 0.25)  # sides in sizes of the photo's longer one
HIPS_BELOW_FACE, BODY = 3.4, 11.0  # in sizes of the face: from the face to the hips, the body's region
NEAR, LIKE = 0.25, 1.5  # regions of one person: centres apart, in sizes; the ratio of their sizes
INSIDE = 0.5  # share of a mask inside a better person's, from which both are one person
GRID = 192  # cells along the photo's longer side on which masks are compared
ASIDE = 0.6  # of the prominence is lost at the photo's left and right border
SMALL = 0.1  # of the most prominent person's; less prominent people are not listed


@dataclass(frozen=True)
class Person:
    """One person in a photo.

    pose; quality: logarithm of the odds of a correct detection (`_quality`); mask [h,w] bool,
    the person on a grid of the photo's shape whose longer side has `GRID` cells.
    """

    pose: Pose
    quality: float
    mask: np.ndarray

    @property
    def angle(self) -> float:
        """Radians that the body is turned in the picture, clockwise; 0 is upright."""
        return self.pose.region.angle

    @property
    def size(self) -> int:
        """Cells of the mask."""
        return int(self.mask.sum())

    @property
    def place(self) -> tuple[float, float]:
        """The middle of the mask, in shares of the photo's width and height."""
        rows, columns = np.nonzero(self.mask)
        return (columns.mean() + 0.5) / self.mask.shape[1], (rows.mean() + 0.5) / self.mask.shape[0]

    @property
    def prominence(self) -> float:
        """The size, reduced towards the sides of the photo."""
        return self.size * (1 - ASIDE * abs(2 * self.place[0] - 1))


def find_people(image: np.ndarray, device: str = "cpu") -> list[Person]:
    """The people in uint8 [H,W,3], the most prominent first; bystanders far away are left out."""
    people: list[Person] = []
    for search in (_by_detectors, _anywhere, _in_windows):
        for region in search(image, device):
            if not _known(region, people):
                people += read_person(image, region, device)
        least = PERHAPS if search is _anywhere else SURE
        if any(person.quality > least for person in people):
            break
    people = _distinct(people)
    if not people:
        return []
    people = _distinct(people + _beside(image, people, device))
    most = max(person.prominence for person in people)
    listed = [person for person in people if person.prominence >= SMALL * most]
    return sorted(listed, key=lambda person: -person.prominence)


# --- search ---------------------------------------------------------------------------------------


def _by_detectors(image: np.ndarray, device: str) -> Iterator[Region]:
    for detection in detect(PERSON, image, threshold=FAINT, device=device):
        yield pose.region_of(detection)
    for detector in (FACE_NEAR, FACE_FAR):
        for detection in detect(detector, image, device=device):
            seen = face.read_face(image, face.region_of(detection), device)
            if seen.score > SCORE:
                yield _body_below(seen)


def _anywhere(image: np.ndarray, device: str) -> Iterator[Region]:
    """Regions of several sizes, the hips on the photo's middle line."""
    height, width = image.shape[:2]
    for share in (0.3, 0.6, 0.9):
        for size in (1.2, 1.8, 2.5):
            side = size * max(height, width)
            yield Region(width / 2, share * height, side, side)


def _in_windows(image: np.ndarray, device: str) -> Iterator[Region]:
    for share in WINDOWS:
        found = False
        for window in _windows(image, share):
            for detection in detect(PERSON, image, window, IN_WINDOW, device)[:2]:
                found = True
                yield pose.region_of(detection)
        if found:
            return


def _windows(image: np.ndarray, share: float) -> Iterator[Region]:
    """Squares that overlap by half and cover the photo."""
    height, width = image.shape[:2]
    side = share * max(height, width)

    def middles(length: float) -> np.ndarray:
        count = 1 + int(np.ceil(max(0.0, length - side) / (side / 2)))
        return np.linspace(min(side, length) / 2, length - min(side, length) / 2, count)

    for y in middles(height):
        for x in middles(width):
            yield Region(x, y, side, side)


def _beside(image: np.ndarray, people: list[Person], device: str) -> list[Person]:
    """People found when the others are painted over: the detector is made for one person at a time."""
    height, width = image.shape[:2]
    hidden = ndimage.binary_dilation(np.any([person.mask for person in people], axis=0), iterations=2)
    rows = np.arange(height) * hidden.shape[0] // height
    columns = np.arange(width) * hidden.shape[1] // width
    hidden = hidden[rows[:, None], columns]
    painted = image.copy()
    painted[hidden] = image[~hidden].mean(0) if (~hidden).any() else 128
    regions = map(pose.region_of, detect(PERSON, painted, threshold=BESIDE, device=device))
    return [person for region in regions for person in read_person(painted, region, device)]


def _body_below(seen: Face) -> Region:
    size, (x, y), angle = seen.size, seen.points[: face.MESH, :2].mean(0), seen.region.angle
    down = HIPS_BELOW_FACE * size
    return Region(x - down * np.sin(angle), y + down * np.cos(angle), BODY * size, BODY * size, angle)


def _known(region: Region, people: list[Person]) -> bool:
    """Whether a region is that of a person found with high confidence."""
    for person in people:
        own = person.pose.next_region
        near = np.hypot(region.x - own.x, region.y - own.y) < NEAR * own.width
        if person.quality > SURE and near and 1 / LIKE < region.width / own.width < LIKE:
            return True
    return False


# --- quality --------------------------------------------------------------------------------------


def read_person(image: np.ndarray, region: Region, device: str) -> list[Person]:
    """The person in a region of uint8 [H,W,3] with the quality of the detection, by the agreement of
    landmarks and mask between jittered regions; none for a low score.
    """
    first = pose.read_pose(image, region, device)
    body = pose.read_pose(image, first.next_region, device)  # a second pass, as MediaPipe does in videos
    if body.score < SCORE:
        return []
    region = body.next_region
    passes = [body, *(pose.read_pose(image, region.jittered(*jitter), device) for jitter in JITTERS)]
    points = np.stack([one.points[:, :2] for one in passes])
    apart = np.linalg.norm(points - points.mean(0), axis=2).mean(0) / region.width
    weight = np.mean([one.likelihood() for one in passes], 0)
    masks = [_mask(image, one) for one in passes]
    same = min(_overlap(masks[0], mask) for mask in masks[1:])
    return [Person(body, _quality(_median(apart, weight), same, weight.mean()), masks[0])]


def _quality(spread: float, same: float, likelihood: float) -> float:
    """Logarithm of the odds of a correct detection: spread of the landmarks (weighted median, in sizes of
    the region), intersection over union of the masks, and the landmarks' mean likelihood.

    A logistic regression over 1,224 detections in 60 synthetic pictures (right: the mask's intersection over
    union with the truth over 0.88) and 49 pictures without people. The best in photos of people reach 1.5 to
    8, the median 5; at pictures without people at most 2.3, the median -2 (docs/measurements.md).
    """
    return float(12 * same + 5 * likelihood - 2.6 * np.log(spread + 0.001) - 24.2)


def _median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(below, 0.5 * below[-1])])


def _distinct(people: list[Person]) -> list[Person]:
    """Every person of sufficient quality once, in the best detection."""
    kept: list[Person] = []
    for person in sorted(people, key=lambda person: -person.quality):
        shares = [(person.mask & k.mask).sum() / max(1, min(person.size, k.size)) for k in kept]
        if person.quality > PERHAPS and person.size and max(shares, default=0.0) < INSIDE:
            kept.append(person)
    return kept


def _mask(image: np.ndarray, body: Pose) -> np.ndarray:
    height, width = image.shape[:2]
    scale = GRID / max(height, width)
    size = max(1, round(scale * height)), max(1, round(scale * width))
    return body.region.scaled(scale).paste(body.mask, *size) > 0.5


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))
