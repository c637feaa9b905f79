# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos out of a film of a person: its sharpest frames that differ most.

The film is read once at low resolution, at most `MOST_SAMPLES` frames of it spread over its length, in which
the person is followed by the landmarks of the body. The chosen frames are then read again at full size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..jobs import Cancelled
from .crops import resize
from .frame_choice import choose_frames, describe, facing, relative_sharpness
from .landmarks.detectors import PERSON, detect
from .landmarks.people import SCORE, SURE, Person, find_people
from .landmarks.pose import Pose, read_pose, region_of
from .landmarks.regions import Region
from .movies import frames_at, raw_frames, upright
from .photos import MAX_SIDE, MIN_SIDE, Photo, PhotoError, photo_from_array
from .sighting import NoPersonError, chosen_person

LONGEST_FILM = 300.0  # seconds that are read
MOST_SAMPLES, CANDIDATES = 240, 60  # frames kept while reading; groups of them, one frame of each to choose
SMALL, FINE, CELL = 512, 1280, 16  # pixels: a sample's longer side; that of its grey picture; cells of edges
LOOKS = (5, 16)  # samples in which people are searched; more where these show none
# Of `_moved` between two candidates: more needs a new detection; more is not the same person.
MOVED, LOST = 0.5, 1.5
READ, FOLLOWED = 0.5, 0.85  # progress after reading, after following


@dataclass(frozen=True)
class Film:
    """What was taken from a film.

    photos: the chosen frames in order of time, named "film.mp4 at 3.2 s"; places: where in each the
    person is, x and y in shares of its width and height; opening uint8 [h,w,3]: the frame in which people
    are counted; people: their places in it from left to right; chosen: which of them this is; remarks: one
    sentence each.
    """

    name: str
    photos: tuple[Photo, ...]
    places: tuple[tuple[float, float], ...]
    opening: np.ndarray
    people: tuple[tuple[float, float], ...]
    chosen: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One frame: rgb uint8 [h,w,3], `SMALL` on the longer side; edges float32 [2,rows,columns]: mean squared
    differences of its grey values across and down in cells of `CELL` pixels.
    """

    seconds: float
    rgb: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True)
class _Candidate:
    sample: Sample
    pose: Pose
    energy: np.ndarray  # [2] of `Sample.edges` on the person


def read_film(
    path: str | Path,
    count: int,
    person: int | None = None,
    device: str = "cpu",
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Film:
    """Chooses up to `count` frames of the film, fewer where it shows fewer clearly different poses.

    person: which one, counted from the left from 1 in the film's `opening`; None takes the most prominent
    there. Equal films give equal frames. Raises `PhotoError` where the film cannot be read, `NoPersonError`
    where it shows no person or fewer people, `Cancelled` when `cancelled()`.
    """
    name, remarks = Path(path).name, []

    def report(fraction: float) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled
        if progress is not None:
            progress(fraction, f"Reading {name}")

    samples = sample_film(path, remarks, lambda share: report(READ * share))
    start, people = _opening(samples, name, report, device)
    one = chosen_person(people, person, name)
    found = _follow(samples, start, people[one].pose, report, device)
    longest = max(samples[0].rgb.shape[:2])
    chosen = choose_frames(
        np.stack([describe(candidate.pose, longest) for candidate in found]),
        relative_sharpness(np.stack([candidate.energy for candidate in found])),
        np.array([facing(candidate.pose) for candidate in found]),
        count,
    )
    photos = _at_full_size(path, [found[n].sample.seconds for n in chosen], report)
    taken = [found[n] for n in chosen if found[n].sample.seconds in photos]
    if len(photos) < count:
        remarks.append(_few(name, len(photos), count))
    if len(people) > 1:
        which = f"number {one + 1} of {len(people)} from the left at {samples[start].seconds:.1f} s"
        remarks.append(f"{name} shows {len(people)} people; {which} was used. Another can be chosen.")
    return Film(
        name,
        tuple(photos[candidate.sample.seconds] for candidate in taken),
        tuple(_place(candidate) for candidate in taken),
        samples[start].rgb,
        tuple(someone.place for someone in people),
        one,
        tuple(remarks),
    )


def _few(name: str, used: int, count: int) -> str:
    if used == 1:
        return f"{name} shows the person in one pose only; 1 of its frames was used, not {count}."
    few = f"{name} shows the person in {used} clearly different poses"
    return f"{few}; {used} of its frames were used, not {count}."


# --- reading --------------------------------------------------------------------------------------


def sample_film(path: str | Path, remarks: list[str], report: Callable[[float], None]) -> list[Sample]:
    """Between half of `MOST_SAMPLES` and all of it, evenly spread in time; every frame of a short film.

    Whenever there are more, every other one is dropped, so that the film's length need not be known.
    """
    samples: list[Sample] = []
    name, apart = Path(path).name, 0.0
    for seconds, share, frame in raw_frames(path, remarks):
        report(max(share, seconds / LONGEST_FILM))
        if seconds > LONGEST_FILM:
            remarks.append(f"{name} is long; its first {LONGEST_FILM / 60:.0f} minutes were used.")
            break
        if samples and seconds - samples[-1].seconds < apart:
            continue
        samples.append(Sample(seconds, *_reduced(frame, name)))
        if len(samples) > MOST_SAMPLES:
            samples = samples[::2]
            apart = 0.99 * min(b.seconds - a.seconds for a, b in pairwise(samples))
    return samples


def _reduced(frame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """rgb and edges of a `Sample`."""
    grey = upright(frame, FINE, "gray").astype(np.float32)
    if min(grey.shape) < MIN_SIDE:
        size = f"{frame.width} x {frame.height}"
        raise PhotoError(f"{name} is only {size} pixels.", f"At least {MIN_SIDE} are needed.")
    rows, columns = ((side - 1) // CELL for side in grey.shape)
    grey = grey[: rows * CELL + 1, : columns * CELL + 1]
    differences = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    cells = [(d**2).reshape(rows, CELL, columns, CELL).mean((1, 3)) for d in differences]
    return np.ascontiguousarray(upright(frame, SMALL)), np.stack(cells)


def _at_full_size(
    path: str | Path, seconds: list[float], report: Callable[[float], None]
) -> dict[float, Photo]:
    """The frames at these times; less those that a damaged film does not give twice."""
    photos, names = {}, _names(Path(path).name, seconds)
    for at, frame in frames_at(path, seconds):
        report(FOLLOWED + (1 - FOLLOWED) * len(photos) / len(seconds))
        photos[at] = photo_from_array(upright(frame, MAX_SIDE), names[at])
    return photos


def _names(film: str, seconds: list[float]) -> dict[float, str]:
    """ "film.mp4 at 3.2 s", with more digits where two would be called the same."""
    for digits in (1, 2, 3, 6):
        names = {at: f"{film} at {at:.{digits}f} s" for at in seconds}
        if len(set(names.values())) == len(names):
            break
    return names


# --- the person -----------------------------------------------------------------------------------


def _opening(samples: list[Sample], name: str, report, device: str) -> tuple[int, list[Person]]:
    """The sample that shows somebody best, and the people in it from left to right."""
    for looks in LOOKS:
        best = None
        for n in sorted({round(x) for x in np.linspace(0, len(samples) - 1, looks + 2)[1:-1]}):
            report(READ)
            people = find_people(samples[n].rgb, device)
            value = (people[0].quality > SURE, people[0].prominence) if people else (False, 0.0)
            if people and (best is None or value > best[0]):
                best = (value, n, people)
        if best is not None:
            return best[1], sorted(best[2], key=lambda person: person.place[0])
    raise NoPersonError(f"{name} shows no person.", "Use a film in which the person is clearly visible.")


def _follow(samples: list[Sample], start: int, pose: Pose, report, device: str) -> list[_Candidate]:
    """One candidate of every group of samples in which the person is found, in order of time: followed from
    the sample `start` onwards and backwards.
    """
    size = -(-len(samples) // CANDIDATES)
    groups = [samples[n : n + size] for n in range(0, len(samples), size)]
    first, found, done = start // size, {}, 0
    for way in (range(first, len(groups)), range(first - 1, -1, -1)):
        last = found[first].pose if first in found else pose
        for n in way:
            report(READ + (FOLLOWED - READ) * done / len(groups))
            done += 1
            candidate = _sharpest(groups[n], last, device)
            if candidate is not None:
                found[n], last = candidate, candidate.pose
    if not found:  # the landmarks of a low resolution are worse than those that `find_people` agreed on
        found[first] = _Candidate(samples[start], pose, _energy(samples[start], pose))
    return [found[n] for n in sorted(found)]


def _sharpest(group: list[Sample], last: Pose, device: str) -> _Candidate | None:
    """The sample of a group in which the person is sharpest; last: the person in a neighbouring group."""
    try_first = max(group, key=lambda sample: float(sample.edges.mean()))
    pose = _seen(try_first, last, device)
    if pose is None:
        return None
    best = max(group, key=lambda sample: float(_energy(sample, pose).sum()))
    if best is not try_first:
        pose = _seen(best, pose, device)
    return None if pose is None else _Candidate(best, pose, _energy(best, pose))


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


def _place(candidate: _Candidate) -> tuple[float, float]:
    """The middle of the person, x and y in shares of the frame's width and height."""
    mask = _mask(candidate.sample, candidate.pose) > 0.5
    rows, columns = np.nonzero(mask if mask.any() else np.ones_like(mask))
    return float((columns.mean() + 0.5) / mask.shape[1]), float((rows.mean() + 0.5) / mask.shape[0])
