# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads photos of one person: finds the person in each and fits one body to all."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..jobs import Cancelled
from .correspondence import Correspondence, Estimator, NoPersonError
from .photos import KEEP, Photo, PhotoError, load_photos
from .sighting import Sighting


@dataclass(frozen=True)
class Reading:
    """The result for photos of one person: `photos` with `found`, one for one; `refused`, name and sentence
    of those that could not be used; `remarks`, one sentence each, on all of them.
    """

    photos: tuple[Photo, ...]
    found: tuple[Correspondence, ...]
    refused: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


def read_photos(
    photos: Iterable[Photo | str | Path],
    estimator: Estimator,
    people: Mapping[str, int] | None = None,
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Reading:
    """Finds the person in every photo and fits one body to all.

    `photos`: files or loaded photos, in any order (the result does not depend on it); people: which person to
    use in the photos of these names, counted from the left from 1, and under "" in all others. A photo that
    cannot be used adds a remark. Raises `NoPersonError` when no photo shows a person, `PhotoError` when
    there is no usable photo, `Cancelled` when `cancelled()` becomes true.
    """
    report, people = progress or (lambda fraction, message="": None), people or {}
    loaded, remarks = _load(photos, report)
    seen: list[tuple[Photo, Sighting]] = []
    refused: list[tuple[str, str]] = []
    for index, photo in enumerate(loaded):
        _stop(cancelled)
        report(
            0.1 + 0.6 * index / len(loaded), f"Looking for the person in photo {index + 1} of {len(loaded)}"
        )
        number = people.get(photo.name, people.get(""))
        try:
            seen.append((photo, estimator.see(photo.rgb, photo.alpha, photo.name, number)))
        except NoPersonError as error:
            refused.append((photo.name, str(error)))
            continue
        remarks += seen[-1][1].remarks(photo.name)
    if not seen:
        message = "No photo shows a person." if len(loaded) > 1 else refused[0][1]
        raise NoPersonError(message, "Use photos in which the person is clearly visible.")
    _stop(cancelled)
    report(0.7, "Fitting the body")
    found = estimator.explain([sighting for _, sighting in seen])
    remarks += [f"{sentence} It was left out." for _, sentence in refused]
    return Reading(tuple(photo for photo, _ in seen), tuple(found), tuple(refused), tuple(remarks))


def _stop(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled


def _load(photos: Iterable[Photo | str | Path], report) -> tuple[list[Photo], list[str]]:
    """All photos in the order of their hashes, each once, and the remarks on them."""
    photos = list(photos)
    paths = [photo for photo in photos if not isinstance(photo, Photo)]
    loaded = {photo.sha256: photo for photo in photos if isinstance(photo, Photo)}
    remarks = [note for photo in loaded.values() for note in photo.warnings]
    if paths:
        try:
            read, notes = load_photos(
                paths, KEEP, lambda fraction, message="": report(0.1 * fraction, message)
            )
            loaded |= {photo.sha256: photo for photo in read}
            remarks += notes
        except PhotoError as error:
            if not loaded:
                raise
            remarks.append(str(error))
    if not loaded:
        raise PhotoError("There are no photos.", "Add at least one photo.")
    return [loaded[key] for key in sorted(loaded)], sorted(remarks)
