# SPDX-License-Identifier: GPL-3.0-or-later
"""From a movie or a picture sequence of a face to animated ARKit values and gaze."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import UserError
from .face.performance import FacePerformance
from .imaging.accepted import is_movie
from .imaging.movies import movie_frames
from .imaging.photos import Photo, load_photo
from .jobs import Cancelled

if TYPE_CHECKING:  # it imports torch
    from .imaging.sighting import Sighting

KEYS, FIRST_PASS = 5, 0.1  # pictures that decide the shape; share of the work


def face_from_video(
    pictures: Sequence[str | Path],
    rate: float,
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FacePerformance:
    """Reads one movie, about `rate` frames a second of it, or pictures in order, `rate` a second.

    The body is fitted to every picture with one shape, which a few of them decide. Raises UserError where
    nothing can be read or no picture shows a face, `Cancelled` when `cancelled()`.
    """
    from .imaging.fit.solve import fit_bodies, follow

    def watched(source: Iterator[tuple[float, float, Photo]], begin: float, end: float):
        for seconds, share, photo in source:
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                progress(begin + (end - begin) * share, f"Reading {photo.name}")
            yield seconds, share, photo

    paths, remarks = [Path(p) for p in pictures], []
    keys = _key_frames(watched(_pictures(paths, rate, []), 0, FIRST_PASS))
    if not keys:
        raise UserError(
            "No picture shows a face well enough to read it.", "Film the face larger and from the front."
        )
    fits = [fit for _, fit in fit_bodies(keys)]
    times, found, last = [], [], fits[:1]
    for seconds, _, photo in watched(_pictures(paths, rate, remarks), FIRST_PASS, 1):
        times.append(seconds)
        seen = _with_face(photo)
        if seen is not None:
            last = [follow(seen, fits + last)]
            found.append((seconds, last[0].expression, last[0].gaze))
    missed = len(times) - len(found)
    read = FacePerformance(*map(np.stack, zip(*found, strict=True)), missed=missed, remarks=tuple(remarks))
    return read.at(np.array(times))


def _key_frames(source: Iterable[tuple[float, float, Photo]]) -> list[Sighting]:
    """Up to `KEYS` pictures with a face, spread over the whole: what the shape is read from."""
    keys, due = [], 0.0
    for _, share, photo in source:
        if share >= due and (seen := _with_face(photo)) is not None:
            keys.append(seen)
            due = share + 1 / KEYS
        if len(keys) == KEYS:
            break
    return keys


def _with_face(photo: Photo) -> Sighting | None:
    """The most prominent person, or None where no face is seen."""
    from .imaging.sighting import NoPersonError, see

    try:
        seen = see(photo.rgb, photo.alpha, photo.name)
    except NoPersonError:
        return None
    return None if seen.face is None else seen


def _pictures(paths: list[Path], rate: float, remarks: list[str]) -> Iterator[tuple[float, float, Photo]]:
    """(seconds, share done, picture) of a movie or of picture files."""
    if not paths:
        raise UserError(
            "No movie and no picture was chosen.", "Choose a movie or the pictures of a sequence."
        )
    if not any(is_movie(path) for path in paths):
        return ((n / rate, n / len(paths), load_photo(path)) for n, path in enumerate(paths))
    if len(paths) > 1:
        raise UserError("Only one movie can be read at a time.", "Choose a single movie.")
    return movie_frames(paths[0], 0.75 / rate, remarks)
