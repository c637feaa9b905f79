# SPDX-License-Identifier: GPL-3.0-or-later
"""From a movie or a picture sequence of a face to animated ARKit values and gaze."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .errors import UserError
from .imaging.accepted import is_movie
from .imaging.movies import movie_frames
from .imaging.photos import Photo, load_photo
from .jobs import Cancelled

if TYPE_CHECKING:  # it imports torch
    from .imaging.sighting import Sighting

KEYS, FIRST_PASS = 5, 0.1  # pictures that decide the shape; share of the work


@dataclass(frozen=True)
class FacePerformance:
    """Animation of a face: seconds [n] from the start, ascending; arkit [n,52] in 0..1; gaze [n,2] radians,
    yaw and pitch of both eyes' mean. `missed`: pictures without a face; their values are interpolated.
    `remarks`: one sentence each on what could not be read.
    """

    seconds: np.ndarray
    arkit: np.ndarray
    gaze: np.ndarray
    missed: int = 0
    remarks: tuple[str, ...] = ()

    def at_rate(self, rate: float) -> FacePerformance:
        """The same animation at every 1/rate seconds, from its start to its end."""
        times = np.arange(round(self.seconds[-1] * rate) + 1) / rate
        return replace(self, seconds=times, arkit=self._at(times, "arkit"), gaze=self._at(times, "gaze"))

    def smoothed(self, seconds: float) -> FacePerformance:
        """Averaged with a Gaussian of that standard deviation; evenly timed, as `at_rate` makes it."""
        if len(self.seconds) < 2 or seconds <= 0:
            return self
        width = seconds / (self.seconds[1] - self.seconds[0])
        smooth = lambda values: gaussian_filter1d(values, width, axis=0, mode="nearest")  # noqa: E731
        return replace(self, arkit=smooth(self.arkit), gaze=smooth(self.gaze))

    def from_rest(self) -> FacePerformance:
        """Subtract the first frame as the neutral expression."""
        arkit = np.clip(self.arkit - self.arkit[:1], 0, 1)
        return replace(self, arkit=arkit, gaze=self.gaze - self.gaze[:1])

    def stronger(self, factor: float) -> FacePerformance:
        """Sliders times a factor, clipped to 1: the values read are about half of the true ones."""
        return replace(self, arkit=np.clip(self.arkit * factor, 0, 1))

    def _at(self, times: np.ndarray, name: str) -> np.ndarray:
        columns = getattr(self, name).T
        return np.stack([np.interp(times, self.seconds, column) for column in columns], 1)


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
            found.append((seconds, last[0].expression, last[0].gaze.mean(0)))
    read = FacePerformance(
        *(np.stack(part) for part in zip(*found, strict=True)), len(times) - len(found), tuple(remarks)
    )
    every = np.array(times)
    return replace(read, seconds=every, arkit=read._at(every, "arkit"), gaze=read._at(every, "gaze"))


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
