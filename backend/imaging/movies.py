# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a movie, decoded by FFmpeg (PyAV), upright and no larger than is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .photos import Photo, PhotoError, photo_from_array

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".mts")
LONGEST = 960  # pixels of a frame's longer side: more is not looked at


def is_movie(path: str | Path) -> bool:
    """By its name alone."""
    return Path(path).suffix.lower() in SUFFIXES


def movie_frames(path: str | Path) -> Iterator[tuple[float, float, Photo]]:
    """Yields (seconds since the first frame, share of the movie up to here in 0..1, frame) in order.

    A movie that breaks off gives what it has. Errors: `PhotoError` for a file that is missing or no movie,
    and where PyAV is not installed.
    """
    path, any_frame = Path(path), False
    if not path.is_file():
        raise PhotoError(f"There is no file {path.name}.", "Choose another one.")
    try:
        import av
    except ImportError as error:
        raise PhotoError(
            "Movies are read with PyAV, which is not installed.", "Choose the pictures of a sequence instead."
        ) from error
    try:
        with av.open(str(path)) as container:
            for frame in _decoded(container, path.name):
                any_frame = True
                yield frame
    except av.FFmpegError as error:
        if any_frame:
            return
        raise PhotoError(f"{path.name} cannot be read as a movie.", "Use an MP4 or MOV file.") from error


def _decoded(container, name: str) -> Iterator[tuple[float, float, Photo]]:
    if not container.streams.video:
        raise PhotoError(f"{name} has no pictures.", "Use a movie with a video track.")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    length = float(stream.duration * stream.time_base) if stream.duration else 0.0
    first = None
    for number, frame in enumerate(container.decode(stream)):
        time = frame.time if frame.time is not None else number / float(stream.average_rate or 25)
        first = time if first is None else first
        share = min(1.0, (time - first) / length) if length else 0.0
        yield time - first, share, photo_from_array(_upright(frame), f"{name}, frame {number + 1}")


def _upright(frame) -> np.ndarray:
    """uint8 [H,W,3]; telephones store how they were held beside the picture."""
    scale = min(1.0, LONGEST / max(frame.width, frame.height))
    size = [max(2, round(side * scale)) for side in (frame.width, frame.height)]
    rgb = frame.reformat(*size, format="rgb24").to_ndarray()
    return np.rot90(rgb, round(frame.rotation / 90))
