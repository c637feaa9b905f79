# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a movie, decoded by FFmpeg (PyAV), upright and scaled down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .photos import Photo, PhotoError, photo_from_array

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".mts")
LONGEST = 960  # pixels of a frame's longer side; larger frames are scaled down


def is_movie(path: str | Path) -> bool:
    """By its name alone."""
    return Path(path).suffix.lower() in SUFFIXES


def movie_frames(
    path: str | Path, apart: float = 0.0, remarks: list[str] | None = None
) -> Iterator[tuple[float, float, Photo]]:
    """Yields (seconds since the first frame, share of the movie up to here in 0..1, frame) in order.

    Frames that follow the one before in less than `apart` seconds are left out. A damaged movie gives what
    can be read of it, and a sentence to `remarks`. Errors: `PhotoError` for a file that is missing or no
    movie, and where PyAV is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise PhotoError(f"There is no file {path.name}.", "Choose another one.")
    try:
        import av
    except ImportError as error:
        raise PhotoError(
            "Movies are read with PyAV, which is not installed.", "Choose the pictures of a sequence instead."
        ) from error
    movie = _Movie(path.name, apart)
    try:
        with av.open(str(path)) as container:
            yield from movie.frames(container, av.FFmpegError)
    except av.FFmpegError:
        movie.whole = False
    if not movie.count:
        raise PhotoError(f"{path.name} cannot be read as a movie.", "Use an MP4 or MOV file.")
    if remarks is not None and not movie.whole:
        remarks.append(f"{path.name} is damaged; parts of it could not be read.")


@dataclass
class _Movie:
    """Decodes one movie. count: frames decoded; whole: nothing was missing so far."""

    name: str
    apart: float
    count: int = 0
    whole: bool = True

    def frames(self, container, broken: type[Exception]) -> Iterator[tuple[float, float, Photo]]:
        if not container.streams.video:
            raise PhotoError(f"{self.name} has no pictures.", "Use a movie with a video track.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate, length = float(stream.average_rate or 25), _seconds(container, stream)
        first = last = end = None
        for frame in self._decoded(container, stream, broken):
            end = frame.time if frame.time is not None else self.count / rate
            first = end if first is None else first
            self.count += 1
            if last is None or end - last >= self.apart:
                last = end
                share = min(1.0, (end - first) / length) if length else 0.0
                yield (
                    end - first,
                    share,
                    photo_from_array(_upright(frame), f"{self.name}, frame {self.count}"),
                )
        if end is not None and end - first < 0.9 * length - 1:
            self.whole = False

    def _decoded(self, container, stream, broken: type[Exception]):
        """The frames of every packet that can be decoded."""
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except broken:
                self.whole = False


def _seconds(container, stream) -> float:
    """How long the movie says it is; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else 0.0


def _upright(frame) -> np.ndarray:
    """uint8 [H,W,3]; telephones store how they were held beside the picture."""
    scale = min(1.0, LONGEST / max(frame.width, frame.height))
    size = [max(2, round(side * scale)) for side in (frame.width, frame.height)]
    rgb = frame.reformat(*size, format="rgb24").to_ndarray()
    return np.rot90(rgb, round(frame.rotation / 90))
