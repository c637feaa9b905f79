# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a movie, decoded by FFmpeg (PyAV), upright and scaled down."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .accepted import is_movie
from .photos import Photo, PhotoError, photo_from_array

LONGEST = 960  # pixels of a frame's longer side; larger frames are scaled down
# FFmpeg opens these formats, from the disk: not the lists of other files and addresses that it would follow.
OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,ogg,m4v",
    "protocol_whitelist": "file",
}
LONGEST_PAUSE = 60.0  # seconds between two frames, which bounds what is made of them; more is a damaged time
RATES = (1.0, 1000.0)  # frames a second that a movie may claim
MOST_PIXELS = 40_000_000  # of a frame: above 8K; a larger one fills the memory before it can be scaled down
SAME_TIME = 1e-4  # seconds between two readings of one frame's time


def require_movie(path: str | Path) -> None:
    """Raises `PhotoError` unless the file is there and its name is that of a movie."""
    path = Path(path)
    if not path.is_file():
        raise PhotoError(f"There is no file {path.name}.", "Choose another one.")
    if not is_movie(path):
        raise PhotoError(f"{path.name} is no movie by its name.", "Use an MP4 or MOV file.")


def movie_frames(
    path: str | Path, apart: float = 0.0, remarks: list[str] | None = None
) -> Iterator[tuple[float, float, Photo]]:
    """Yields (seconds since the first frame, share of the movie up to here in 0..1, frame) in order.

    Frames that follow the one before in less than `apart` seconds are left out. A damaged movie gives what
    can be read of it, and a sentence to `remarks`. Errors: as `raw_frames`.
    """
    name, last = Path(path).name, None
    for number, (seconds, share, frame) in enumerate(raw_frames(path, remarks), 1):
        if last is None or seconds - last >= apart:
            last = seconds
            yield seconds, share, photo_from_array(upright(frame, LONGEST), f"{name}, frame {number}")


def raw_frames(path: str | Path, remarks: list[str] | None = None) -> Iterator[tuple[float, float, object]]:
    """The same for every frame, as PyAV's `VideoFrame`, decoded but not yet converted: see `upright`.

    Errors: `PhotoError` for a file that is missing or no movie, for frames of more than `MOST_PIXELS`, and
    where PyAV is not installed.
    """
    movie = yield from _read(path, _Movie.frames)
    if not movie.count:
        raise PhotoError(f"{movie.name} cannot be read as a movie.", "Use an MP4 or MOV file.")
    if remarks is not None and not movie.whole:
        remarks.append(f"{movie.name} is damaged; parts of it could not be read.")


def frames_at(path: str | Path, seconds: Sequence[float]) -> Iterator[tuple[float, object]]:
    """Yields (seconds, PyAV's frame) for the frames at these times since the first frame, as `raw_frames`
    gave them, ascending. The decoder jumps to key frames on the way; what it misses is found by reading the
    whole movie. Errors: as `raw_frames`.
    """
    missed = sorted(set(seconds))
    for at, frame in _read(path, lambda movie, container: movie.frames_by_jumps(container, list(missed))):
        missed.remove(at)
        yield at, frame
    for at, _, frame in raw_frames(path) if missed else ():
        if abs(at - missed[0]) < SAME_TIME:
            yield missed.pop(0), frame
        if not missed:
            return


def _read(path: str | Path, frames: Callable[[_Movie, object], Iterator]) -> Generator:
    """Yields what `frames` of the movie and PyAV's container yields, until an error of the decoder ends it;
    returns the movie.
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
    movie = _Movie(path.name, av.FFmpegError)
    try:
        with av.open(str(path.absolute()), options=OPTIONS) as container:
            yield from frames(movie, container)
    except av.FFmpegError:
        movie.whole = False
    return movie


@dataclass
class _Movie:
    """Decodes one movie. broken: the decoder's errors; count: frames decoded; whole: nothing was missing so
    far.
    """

    name: str
    broken: type[Exception]
    count: int = 0
    whole: bool = True

    def frames(self, container) -> Iterator[tuple[float, float, object]]:
        stream = self._stream(container)
        rate, length = float(stream.average_rate or 25), _seconds(container, stream)
        rate = rate if RATES[0] <= rate <= RATES[1] else 25.0
        first = end = None
        for frame in self._decoded(container, stream):
            at = frame.time if frame.time is not None else self.count / rate
            if end is not None and at - end > LONGEST_PAUSE:
                self.whole = False
                continue
            end = at
            first = end if first is None else first
            self.count += 1
            yield end - first, min(1.0, (end - first) / length) if length else 0.0, frame
        if end is not None and end - first < 0.9 * length - 1:
            self.whole = False

    def frames_by_jumps(self, container, wanted: list[float]) -> Iterator[tuple[float, object]]:
        """Frames at the times that are wanted, ascending; less those that cannot be found so."""
        stream = self._stream(container)
        decoded = self._decoded(container, stream)
        first = at = getattr(next(decoded, None), "time", None)
        if first is None:
            return
        for seconds in wanted:
            target = int((first + seconds) / stream.time_base)
            if seconds == 0 or _key_before(stream, target) > at / stream.time_base:
                container.seek(target, stream=stream)
                decoded = self._decoded(container, stream)
            for frame in decoded:
                if frame.time is None or frame.is_corrupt:
                    continue
                at = frame.time
                if abs(at - first - seconds) < SAME_TIME:
                    yield seconds, frame
                if at - first > seconds - SAME_TIME:
                    break

    def _stream(self, container):
        if not container.streams.video:
            raise PhotoError(f"{self.name} has no pictures.", "Use a movie with a video track.")
        stream = container.streams.video[0]
        self._bound(stream)
        stream.thread_type = "AUTO"
        return stream

    def _bound(self, picture) -> None:
        if picture.width * picture.height > MOST_PIXELS:
            size = f"{picture.width} x {picture.height}"
            raise PhotoError(f"{self.name} has {size} pixels: too many.", "Export it in 4K or smaller.")

    def _decoded(self, container, stream):
        """The frames of every packet that can be decoded."""
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except self.broken:
                self.whole = False
                continue
            for frame in frames:
                self._bound(frame)
                yield frame


def _key_before(stream, target: int) -> float:
    """The time, in the stream's units, of the key frame at or before one; -inf where there is no index."""
    index = stream.index_entries
    entry = index.search_timestamp(target) if len(index) else -1
    return index[entry].timestamp if entry >= 0 else -np.inf


def _seconds(container, stream) -> float:
    """How long the movie says it is; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else 0.0


def upright(frame, longest: int, kind: str = "rgb24") -> np.ndarray:
    """uint8 [H,W,3] of PyAV's frame, or [H,W] for the kind "gray", its longer side at most `longest` pixels.
    Phones store how they were held beside the picture.
    """
    scale = min(1.0, longest / max(frame.width, frame.height))
    size = [max(2, round(side * scale)) for side in (frame.width, frame.height)]
    return np.rot90(frame.reformat(*size, format=kind).to_ndarray(), round(frame.rotation / 90))
