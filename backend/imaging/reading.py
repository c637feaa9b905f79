# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads photos and films of one person: finds the person in each and fits one body to all."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..jobs import Cancelled
from .correspondence import Correspondence, Estimator, NoPersonError
from .film import Film
from .fit.photo_pose import PhotoPose
from .loading import films_among, load
from .photos import Photo
from .sighting import Sighting

LOADED, LOADED_FILMS, SEEN = 0.1, 0.4, 0.7  # progress: photos loaded, or films; the person found


@dataclass(frozen=True)
class Reading:
    """The result for photos of one person: `photos` with `found`, one for one; `refused`, name and sentence
    of those that could not be used; `remarks`, one sentence each, on all of them; `films`, of which some of
    the photos are frames.
    """

    photos: tuple[Photo, ...]
    found: tuple[Correspondence, ...]
    refused: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    films: tuple[Film, ...] = ()


def read_photos(
    photos: Iterable[Photo | str | Path],
    estimator: Estimator,
    people: Mapping[str, int] | None = None,
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    frames: int | None = None,
    poses: Mapping[str, PhotoPose] | None = None,
) -> Reading:
    """Finds the person in every photo and fits one body to all.

    `photos`: files or loaded photos, in any order (the result does not depend on it), and files of films, of
    which `load` takes up to `frames` frames; people: which person to use in the photos and films of these
    names, counted from the left from 1, and under "" in all others; poses: the pose and camera that photos of
    these names keep. A photo that cannot be used adds a
    remark. Raises `NoPersonError` when no photo shows a person, `PhotoError` when there is no usable photo,
    `Cancelled` when `cancelled()` becomes true.
    """
    report, people, photos = progress or (lambda fraction, message="": None), people or {}, list(photos)
    begun = LOADED_FILMS if films_among(photos) else LOADED
    loaded = load(
        photos, frames, people, estimator.device, lambda done, text="": report(begun * done, text), cancelled
    )
    remarks, refused = loaded.remarks, loaded.refused
    seen: list[tuple[Photo, Sighting]] = []
    for index, photo in enumerate(loaded.photos):
        _stop(cancelled)
        report(
            begun + (SEEN - begun) * index / len(loaded.photos),
            f"Looking for the person in photo {index + 1} of {len(loaded.photos)}",
        )
        place = loaded.places.get(photo.sha256)
        person = people.get(photo.name, place or people.get(""))
        try:
            seen.append((photo, estimator.see(photo.rgb, photo.alpha, photo.name, person)))
        except NoPersonError as error:
            refused.append((photo.name, str(error)))
            continue
        remarks += seen[-1][1].remarks(photo.name, people=place is None)
    if not seen:
        message = "No photo shows a person." if len(refused) > 1 else refused[0][1]
        raise NoPersonError(message, "Use photos in which the person is clearly visible.")
    _stop(cancelled)
    report(SEEN, "Fitting the body")
    given = [(poses or {}).get(photo.name) for photo, _ in seen]
    found = estimator.explain([sighting for _, sighting in seen], given)
    remarks += [f"{sentence} It was left out." for _, sentence in refused]
    return Reading(
        tuple(photo for photo, _ in seen), tuple(found), tuple(refused), tuple(remarks), tuple(loaded.films)
    )


def _stop(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled
