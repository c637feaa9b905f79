# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the photos of a person, and frames of films as further photos."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from .accepted import KEEP, is_movie
from .film import Film, read_film
from .photos import Photo, PhotoError, load_photos

PHOTOS = 0.2  # progress after the photos, where there are films too


@dataclass
class Loaded:
    """photos: all, each once, in the order of their hashes; remarks, one sentence each; refused: name and
    sentence of films that could not be used; films: what was taken from the others; places: hash -> where
    the person is, x and y in shares of width and height, for the frames of films.
    """

    photos: list[Photo] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)


def films_among(photos: Iterable[Photo | str | Path]) -> list[Path]:
    """The films among photos, each once, in the order of their paths."""
    return sorted({Path(one) for one in photos if not isinstance(one, Photo) and is_movie(one)})


def load(
    photos: list[Photo | str | Path],
    frames: int | None = None,
    people: Mapping[str, int] | None = None,
    device: str = "cpu",
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Loaded:
    """Loads photos, and frames of films as further photos.

    photos: files, films and loaded photos, in any order; frames: the most of all films together, who share
    what the photos leave of `KEEP`; people: which person is meant in the films of these names, and under ""
    in all others. What cannot be read adds a remark. Raises the `UserError` of a film or `PhotoError` where
    nothing is left, `Cancelled`.
    """
    report, films = progress or (lambda fraction, message="": None), films_among(photos)
    done = PHOTOS if films else 1.0
    given, remarks = _photos(photos, bool(films), _part(report, 0.0, done))
    loaded = Loaded(remarks=remarks)
    room = KEEP - len(given)
    left, errors = room if frames is None else min(frames, room), []
    for number, path in enumerate(films):
        begin, end = (done + (1 - done) * n / len(films) for n in (number, number + 1))
        count, person = -(-left // (len(films) - number)), _meant(path, people or {})
        try:
            film = _film(path, count, person, device, _part(report, begin, end), cancelled)
        except UserError as error:
            errors.append(error)
            loaded.refused.append((path.name, str(error)))
            continue
        left -= len(film.photos)
        loaded.films.append(film)
        loaded.remarks += film.remarks
        loaded.places |= {one.sha256: place for one, place in zip(film.photos, film.places, strict=True)}
    given |= {photo.sha256: photo for film in loaded.films for photo in film.photos}
    if not given:
        raise _nothing(errors, remarks)
    loaded.photos = [given[key] for key in sorted(given)]
    return loaded


def _photos(photos: list[Photo | str | Path], more: bool, report) -> tuple[dict[str, Photo], list[str]]:
    """Photos by their hashes, and remarks; more: there is something else, so that there may be none."""
    paths = [one for one in photos if not isinstance(one, Photo) and not is_movie(one)]
    given = {photo.sha256: photo for photo in photos if isinstance(photo, Photo)}
    remarks = [note for photo in given.values() for note in photo.warnings]
    if paths:
        try:
            read, notes = load_photos(paths, KEEP, report)
            given |= {photo.sha256: photo for photo in read}
            remarks += notes
        except PhotoError as error:
            if not given and not more:
                raise
            remarks.append(str(error))
    return given, sorted(remarks)


def _film(path: Path, count: int, person: int | None, device: str, report, cancelled) -> Film:
    if count < 1:
        raise PhotoError(f"{path.name} was not read: the other pictures leave no room.", "Use fewer photos.")
    return read_film(path, count, person, device, report, cancelled)


def _meant(path: Path, people: Mapping[str, int]) -> int | None:
    return people.get(path.name, people.get(""))


def _nothing(errors: list[UserError], remarks: list[str]) -> UserError:
    """The error where nothing could be loaded."""
    if len(errors) == 1 and not remarks:
        return errors[0]
    if not errors:
        return PhotoError("There are no photos.", "Add at least one photo.")
    sentences = [*remarks, *(str(error) for error in errors)]
    return PhotoError("None of the photos and films can be used.", " ".join(sentences))


def _part(report: Callable[..., None], begin: float, end: float) -> Callable[..., None]:
    """Maps progress to the part begin..end of the whole."""
    return lambda fraction, message="": report(begin + (end - begin) * fraction, message)
