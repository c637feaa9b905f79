# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows one person through the samples of a film, by the landmarks of the body."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .crops import resize
from .landmarks.detectors import PERSON, detect
from .landmarks.people import SCORE, SURE, Person, find_people
from .landmarks.pose import Pose, read_pose, region_of
from .landmarks.regions import Region
from .sampling import Sample
from .sighting import NoPersonError

CANDIDATES = 60  # groups of samples, of each of which the sharpest can be chosen
LOOKS = (5, 16)  # samples in which people are searched; more where these show none
# Of `_moved` between two candidates: more needs a new detection; more is not the same person.
MOVED, LOST = 0.5, 1.5


@dataclass(frozen=True)
class Candidate:
    """A sample with the person in it. energy [2]: mean of the sample's edges on the person."""

    sample: Sample
    pose: Pose
    energy: np.ndarray


def opening(
    samples: list[Sample], name: str, report: Callable[[], None], device: str
) -> tuple[int, list[Person]]:
    """The sample that shows people best, and the people in it from left to right."""
    for looks in LOOKS:
        best = None
        for n in sorted({round(x) for x in np.linspace(0, len(samples) - 1, looks + 2)[1:-1]}):
            report()
            people = find_people(samples[n].rgb, device)
            value = any(one.quality > SURE for one in people), sum(one.prominence for one in people)
            if people and (best is None or value > best[0]):
                best = (value, n, people)
        if best is not None:
            return best[1], sorted(best[2], key=lambda person: person.place[0])
    raise NoPersonError(f"{name} shows no person.", "Use a film in which the person is clearly visible.")


def follow(
    samples: list[Sample], start: int, pose: Pose, report: Callable[[float], None], device: str
) -> list[Candidate]:
    """One candidate of every group of samples in which the person is found, in order of time: followed from
    the sample `start` onwards and backwards.
    """
    size = -(-len(samples) // CANDIDATES)
    groups = [samples[n : n + size] for n in range(0, len(samples), size)]
    first, found, done = start // size, {}, 0
    for way in (range(first, len(groups)), range(first - 1, -1, -1)):
        last = found[first].pose if first in found else pose
        for n in way:
            report(done / len(groups))
            done += 1
            candidate = _sharpest(groups[n], last, device)
            if candidate is not None:
                found[n], last = candidate, candidate.pose
    if not found:  # the landmarks of a low resolution are worse than those that `find_people` agreed on
        found[first] = Candidate(samples[start], pose, _energy(samples[start], pose))
    return [found[n] for n in sorted(found)]


def _sharpest(group: list[Sample], last: Pose, device: str) -> Candidate | None:
    """The sample of a group in which the person is sharpest; last: the person in a neighbouring group."""
    try_first = max(group, key=lambda sample: float(sample.edges.mean()))
    pose = _seen(try_first, last, device)
    if pose is None:
        return None
    best = max(group, key=lambda sample: float(_energy(sample, pose).sum()))
    if best is not try_first:
        pose = _seen(best, pose, device)
    return None if pose is None else Candidate(best, pose, _energy(best, pose))


def _seen(sample: Sample, last: Pose, device: str) -> Pose | None:
    """The person in the region of the `last` pose, or else, if near, in that of the nearest detection."""
    near = last.next_region
    pose = read_pose(sample.rgb, near, device)
    if pose.score > SCORE and _moved(pose.next_region, near) < MOVED:
        return pose
    regions = [region_of(detection) for detection in detect(PERSON, sample.rgb, device=device)]
    region = min(regions, key=lambda region: _moved(region, near), default=None)
    if region is None or _moved(region, near) > LOST:
        return None
    pose = read_pose(sample.rgb, read_pose(sample.rgb, region, device).next_region, device)
    return pose if pose.score > SCORE else None


def _moved(region: Region, last: Region) -> float:
    """By how much a region moved and changed its size, in sizes."""
    sizes = sorted((region.width, last.width))
    return float(np.hypot(region.x - last.x, region.y - last.y) / last.width + sizes[1] / sizes[0] - 1)


def _energy(sample: Sample, pose: Pose) -> np.ndarray:
    """[2] mean of the sample's edges on the person, who is about where `pose` is."""
    mask = resize(_mask(sample, pose)[..., None], *sample.edges.shape[1:])[..., 0]
    return (sample.edges * mask).sum((1, 2)) / max(float(mask.sum()), 1e-6)


def _mask(sample: Sample, pose: Pose) -> np.ndarray:
    return pose.mask_in(*sample.rgb.shape[:2])


def place(candidate: Candidate) -> tuple[float, float]:
    """The middle of the person, x and y in shares of the frame's width and height."""
    mask = _mask(candidate.sample, candidate.pose) > 0.5
    rows, columns = np.nonzero(mask if mask.any() else np.ones_like(mask))
    return float((columns.mean() + 0.5) / mask.shape[1]), float((rows.mean() + 0.5) / mask.shape[0])
