# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos out of a film of a person: its sharpest frames that differ most.

The film is read once at low resolution, the person is followed, and the chosen frames are read again at full
size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..jobs import Cancelled
from .following import Candidate, follow, opening, place
from .frame_choice import choose_frames, describe, facing, relative_sharpness
from .landmarks.people import PERHAPS, read_person
from .movies import frames_at, upright
from .photos import MAX_SIDE, Photo, photo_from_array
from .sampling import sample_film
from .sighting import ALIKE, NoPersonError, chosen_person

FEW = 0.5  # of the frames wanted: if there are less, it is said
READ, FOLLOWED, CHOSEN = 0.4, 0.7, 0.85  # progress after reading, following, choosing


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
    start, people = opening(samples, name, lambda: report(READ), device)
    one = chosen_person(people, person, name)
    found = follow(
        samples, start, people[one].pose, lambda share: report(READ + (FOLLOWED - READ) * share), device
    )
    chosen = _choose(found, count, lambda share: report(FOLLOWED + (CHOSEN - FOLLOWED) * share), device)
    photos = _at_full_size(path, [one.sample.seconds for one in chosen], report)
    taken = [candidate for candidate in chosen if candidate.sample.seconds in photos]
    if not taken:
        raise NoPersonError(f"{name} shows no person clearly.", "Film the person larger and in better light.")
    if len(taken) < FEW * count:
        remarks.append(_few(name, len(taken), count))
    least = ALIKE * people[one].prominence
    if any(other.prominence > least for n, other in enumerate(people) if n != one):
        which = f"number {one + 1} of {len(people)} from the left at {samples[start].seconds:.1f} s"
        remarks.append(f"{name} shows {len(people)} people; {which} was used. Another can be chosen.")
    return Film(
        name,
        tuple(photos[candidate.sample.seconds] for candidate in taken),
        tuple(place(candidate) for candidate in taken),
        samples[start].rgb,
        tuple(someone.place for someone in people),
        one,
        tuple(remarks),
    )


def _choose(
    found: list[Candidate], count: int, report: Callable[[float], None], device: str
) -> list[Candidate]:
    """The best choice of candidates that show a person for certain, which is tested of those chosen only:
    a body that is followed out of the picture leaves landmarks on the background.
    """
    longest = max(found[0].sample.rgb.shape[:2])
    descriptors = np.stack([describe(candidate.pose, longest) for candidate in found])
    seconds = np.array([candidate.sample.seconds for candidate in found])
    sharpness = relative_sharpness(np.stack([candidate.energy for candidate in found]), seconds)
    front = np.array([facing(candidate.pose) for candidate in found])
    left, tested = np.arange(len(found)), {}
    while len(left):
        chosen = left[choose_frames(descriptors[left], sharpness[left], front[left], count)]
        for n in chosen:
            if n not in tested:
                report(min(1.0, len(tested) / count))
                tested[n] = _shows_person(found[n], device)
        if all(tested[n] for n in chosen):
            return [found[n] for n in chosen]
        left = np.array([n for n in left if tested.get(n, True)], int)
    return []


def _shows_person(candidate: Candidate, device: str) -> bool:
    read = read_person(candidate.sample.rgb, candidate.pose.next_region, device)
    return any(person.quality > PERHAPS for person in read)


def _few(name: str, used: int, count: int) -> str:
    if used == 1:
        return f"{name} shows the person in one pose only; 1 of its frames was used, not {count}."
    few = f"{name} shows the person in {used} clearly different poses"
    return f"{few}; {used} of its frames were used, not {count}."


def _at_full_size(
    path: str | Path, seconds: list[float], report: Callable[[float], None]
) -> dict[float, Photo]:
    """The frames at these times; less those that a damaged film does not give twice."""
    photos, names = {}, _names(Path(path).name, seconds)
    for at, frame in frames_at(path, seconds):
        report(CHOSEN + (1 - CHOSEN) * len(photos) / len(seconds))
        photos[at] = photo_from_array(upright(frame, MAX_SIDE), names[at])
    return photos


def _names(film: str, seconds: list[float]) -> dict[float, str]:
    """ "film.mp4 at 3.2 s", with more digits where two would be called the same."""
    for digits in (1, 2, 3, 6):
        names = {at: f"{film} at {at:.{digits}f} s" for at in seconds}
        if len(set(names.values())) == len(names):
            break
    return names
