# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a photo: every person with body landmarks, the most prominent first.

People are looked for by the detectors of people and of faces in the whole photo; where that finds nobody, in
overlapping windows of it (people far away) and wherever a person could stand (a body without a head, a
drawing). What is found is looked at again from shaken regions: the landmarks of a person stay where they are,
those of anything else wander.
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

# The thresholds were measured on 39 photos of people and 53 pictures without: docs/measurements.md.
FAINT, SURE = 0.2, 0.8  # a detector's score that is worth a look, and one that hardly ever errs
SCORE = 0.5  # of the landmark networks, MediaPipe's own threshold
STEADY, SHAKY, AGREED = 0.012, 0.04, 0.02  # wander up to which a body is believed at FAINT and at SURE, and
# where three searches agree; in sizes of its region
VISIBLE, VISIBLE_UNDETECTED = (
    0.2,
    0.5,
)  # least mean likelihood of the landmarks; where no detector saw anybody
SHAKES = ((0.04, 1.08, 0.1), (-0.04, 0.92, -0.1))  # shift and size in sizes of the region, turn in radians
WINDOWS, IN_WINDOW = (0.5, 0.25), 0.6  # sides in sizes of the photo's longer one; least score there
BESIDE, BESIDE_SCORE = 0.35, 0.8  # least scores of detector and landmarks once other people are painted over
HIPS_BELOW_FACE, BODY = 3.4, 11.0  # in sizes of the face: from the face to the hips, the body's region
SAME = 0.5  # intersection over union of the masks of one person
INSIDE = 0.5  # of a mask that another, larger one holds: no person of its own
GRID = 192  # cells along the photo's longer side on which masks are compared
ASIDE = 0.6  # of the prominence is lost at the photo's left and right border
SMALL = 0.1  # of the largest person's mask; smaller ones are bystanders who are not listed


@dataclass(frozen=True)
class Person:
    """One person in a photo.

    pose; wander: mean distance of the landmarks under shaken looks, in sizes of the region; mask [h,w] bool,
    the person on a grid of the photo's shape whose longer side has `GRID` cells.
    """

    pose: Pose
    wander: float
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
    def prominence(self) -> float:
        """The size, less for who stands at the side of the photo."""
        return self.size * (1 - ASIDE * abs(2 * self.place[0] - 1))

    @property
    def place(self) -> tuple[float, float]:
        """The middle of the mask, in shares of the photo's width and height."""
        rows, columns = np.nonzero(self.mask)
        return (columns.mean() + 0.5) / self.mask.shape[1], (rows.mean() + 0.5) / self.mask.shape[0]


def find_people(image: np.ndarray, device: str = "cpu") -> list[Person]:
    """The people in uint8 [H,W,3], the most prominent first; bystanders far away are left out."""
    people = _believed(image, list(_by_detectors(image, device)), device)
    if not people:
        harder = [*_in_windows(image, device), *_anywhere(image, device)]
        people = _believed(image, harder, device)
    if not people:
        return []
    people = _distinct(people + _beside(image, people, device))
    people = [person for person in people if person.size >= SMALL * people[0].size]
    return sorted(people, key=lambda person: -person.prominence)


# --- where people may be -------------------------------------------------------------------------


def _by_detectors(image: np.ndarray, device: str) -> Iterator[tuple[Pose, float]]:
    """Bodies, with the scores of the detectors that led to them."""
    for detection in detect(PERSON, image, threshold=FAINT, device=device):
        yield _settled(image, pose.region_of(detection), device), detection.score
    for detector in (FACE_NEAR, FACE_FAR):
        for detection in detect(detector, image, device=device):
            seen = face.read_face(image, face.region_of(detection), device)
            if seen.score > SCORE:
                yield _settled(image, _body_below(seen), device), seen.score * detection.score


def _in_windows(image: np.ndarray, device: str) -> Iterator[tuple[Pose, float]]:
    for share in WINDOWS:
        found = False
        for window in _windows(image, share):
            for detection in detect(PERSON, image, window, IN_WINDOW, device)[:2]:
                body = _settled(image, pose.region_of(detection), device)
                found = found or (detection.score > SURE and body.score > SCORE)
                yield body, detection.score
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


def _anywhere(image: np.ndarray, device: str) -> Iterator[tuple[Pose, float]]:
    """Regions of several sizes, the hips on the photo's middle line."""
    height, width = image.shape[:2]
    for share in (0.3, 0.6, 0.9):
        for size in (1.2, 1.8, 2.5):
            side = size * max(height, width)
            yield _settled(image, Region(width / 2, share * height, side, side), device), 0.0


def _beside(image: np.ndarray, people: list[Person], device: str) -> list[Person]:
    """Who is found once the others are painted over: the detector is made for one person at a time."""
    height, width = image.shape[:2]
    hidden = ndimage.binary_dilation(np.any([person.mask for person in people], axis=0), iterations=2)
    rows = np.arange(height) * hidden.shape[0] // height
    columns = np.arange(width) * hidden.shape[1] // width
    hidden = hidden[rows[:, None], columns]
    painted = image.copy()
    painted[hidden] = image[~hidden].mean(0) if (~hidden).any() else 128
    more = []
    for detection in detect(PERSON, painted, threshold=BESIDE, device=device):
        body = _settled(painted, pose.region_of(detection), device)
        wander, least = _wander(painted, body, device)
        if least > BESIDE_SCORE and wander < AGREED and body.likelihood().mean() > VISIBLE:
            more.append(Person(body, wander, _mask(image, body)))
    return more


def _body_below(seen: Face) -> Region:
    size, (x, y), angle = seen.size, seen.points[: face.MESH, :2].mean(0), seen.region.angle
    down = HIPS_BELOW_FACE * size
    return Region(x - down * np.sin(angle), y + down * np.cos(angle), BODY * size, BODY * size, angle)


def _settled(image: np.ndarray, region: Region, device: str) -> Pose:
    """A second look, at the region that the first one asks for, as MediaPipe takes in a film."""
    return pose.read_pose(image, pose.read_pose(image, region, device).next_region, device)


# --- who is believed -----------------------------------------------------------------------------


def _believed(image: np.ndarray, bodies: list[tuple[Pose, float]], device: str) -> list[Person]:
    """The people among bodies with their detectors' scores, each once, the largest first."""
    groups: list[list[tuple[Pose, float, np.ndarray]]] = []
    for body, score in sorted(bodies, key=lambda entry: (-entry[1], -entry[0].score)):
        mask = _mask(image, body)
        if body.score < SCORE or not mask.any():
            continue
        group = next((group for group in groups if _overlap(group[0][2], mask) > SAME), None)
        if group is None:
            groups.append([(body, score, mask)])
        else:
            group.append((body, score, mask))
    people = []
    for group in groups:
        body, score, mask = group[0]
        wander, least = _wander(image, body, device)
        visible = body.likelihood().mean() > (VISIBLE if score else VISIBLE_UNDETECTED)
        if visible and least > SCORE and wander < _limit(score, len(group)):
            people.append(Person(body, wander, mask))
    return _distinct(people)


def _limit(score: float, agreeing: int) -> float:
    """The wander up to which a body is believed: its detector's score, and how many searches led to it."""
    limit = np.interp(score, (2 * FAINT, SURE), (STEADY, SHAKY))
    return float(max(limit, AGREED) if agreeing > 2 else limit)


def _wander(image: np.ndarray, body: Pose, device: str) -> tuple[float, float]:
    """Mean distance of the landmarks from their means under shaken looks, in sizes of the region, weighted by
    likelihood; and the least score.
    """
    region = body.next_region
    looks = [body, *(pose.read_pose(image, region.shaken(*shake), device) for shake in SHAKES)]
    points = np.stack([look.points[:, :2] for look in looks])
    weight = np.mean([look.likelihood() for look in looks], 0)
    apart = np.linalg.norm(points - points.mean(0), axis=2).mean(0) / region.width
    return float((apart * weight).sum() / max(weight.sum(), 1e-6)), min(look.score for look in looks)


def _distinct(people: list[Person]) -> list[Person]:
    """Every person once, the largest first; nobody who lies mostly within another."""
    kept: list[Person] = []
    for person in sorted(people, key=lambda person: -person.size):
        inside = [(person.mask & other.mask).sum() / max(person.size, 1) for other in kept]
        if person.size and all(share < INSIDE for share in inside):
            kept.append(person)
    return kept


def _mask(image: np.ndarray, body: Pose) -> np.ndarray:
    height, width = image.shape[:2]
    scale = GRID / max(height, width)
    size = max(1, round(scale * height)), max(1, round(scale * width))
    return body.region.scaled(scale).paste(body.mask, *size) > 0.5


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))
