# SPDX-License-Identifier: GPL-3.0-or-later
"""Time lines of speech: text files that say when which mouth shape begins, and the keys they become.

Read are lines `time shape [weight]`, separated by tabs, commas, semicolons or spaces, as editors of lip sync
and spreadsheets write them: Rhubarb's TSV, Papagayo's and Moho's switch data, Preston Blair's names, and the
15 visemes' own. Lines that begin with # are comments; a first line of titles is skipped.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from .presets import VISEMES, viseme

LARGEST, MOST = 4_000_000, 100_000  # bytes of a file, shapes in it
MOHO = "mohoswitch1"  # first line of Moho's switch data: times are frames, whatever is asked for
PRESTON_BLAIR = {
    **{"ai": "aa", "e": "E", "o": "O", "u": "U", "etc": "DD", "fv": "FF", "l": "nn", "mbp": "PP"},
    **{"wq": "U", "rest": "sil"},
}
RHUBARB = {"a": "PP", "b": "SS", "c": "E", "d": "aa", "f": "U", "g": "FF", "h": "nn", "x": "sil"}
# Rhubarb's E and the viseme E are two shapes under one letter: where its other letters occur, O is meant.
NAMES = {name.lower(): name for name in VISEMES}


class Shape(NamedTuple):
    """A mouth shape that begins at a time; its name is one of `VISEMES`."""

    seconds: float
    viseme: str
    weight: float = 1.0


def read_timeline(path: str | Path, rate: float, in_frames: bool = False) -> list[Shape]:
    """The shapes of a file in order of time; times in seconds, or in frames of `rate` a second.

    UserError with the number of the line that cannot be read.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(
            f"{path.name} cannot be read: {error.strerror}.", "Choose a text or CSV file."
        ) from error
    if len(content) > LARGEST:
        raise UserError(f"{path.name} is too large for a time line of visemes.", "Choose a text or CSV file.")
    try:
        return parse_timeline(content.decode("utf-8-sig"), rate, in_frames, path.name)
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name} is not UTF-8 text.", "Choose a text or CSV file.") from error


def parse_timeline(text: str, rate: float, in_frames: bool = False, name: str = "The text") -> list[Shape]:
    """As `read_timeline`, of the text of a file called `name`."""
    lines = [(n, _cells(line)) for n, line in enumerate(text.splitlines(), 1) if not line.startswith("#")]
    lines = [(n, cells) for n, cells in lines if cells]
    if lines and lines[0][1][0].lower() == MOHO:
        lines, in_frames = lines[1:], True
    elif lines and _number(lines[0][1][0]) is None:
        lines = lines[1:]
    if not lines:
        raise UserError(
            f"{name} holds no visemes.", "Give lines of a time and a viseme, such as \u201c0.25 aa\u201d."
        )
    if len(lines) > MOST:
        raise UserError(f"{name} holds more than {MOST} visemes.", "Cut it into several files.")
    known = _names({cells[1].lower() for _, cells in lines if len(cells) > 1})
    found = [_shape(number, cells, known, name) for number, cells in lines]
    scale = 1 / rate if in_frames else 1.0
    return sorted((s._replace(seconds=s.seconds * scale) for s in found), key=lambda shape: shape.seconds)


def keyed(shapes: list[Shape], transition: float) -> tuple[np.ndarray, np.ndarray]:
    """Seconds [n] ascending and values [n, len(MOUTH)] of the keys of a time line.

    Every shape is reached half a `transition` (seconds) after it begins, and held until half a transition
    before the next one begins; shapes shorter than that are touched in their middle. The mouth is closed
    before the first and after the last.
    """
    transition = max(transition, 0.01)
    begin, end = shapes[0].seconds - transition, shapes[-1].seconds + max(transition, 0.15)
    if shapes[-1].viseme == "sil":
        end = shapes[-1].seconds + transition
    row = {name: np.array([*viseme(name).values()]) for name in VISEMES}  # in the order of MOUTH
    starts = np.array([s.seconds for s in shapes])
    ends = np.append(starts[1:], end)
    half = np.minimum(transition, ends - starts) / 2
    keys = [(begin, row["sil"])]
    for shape, start, stop, margin in zip(shapes, starts, ends, half, strict=True):
        value = row[shape.viseme] * shape.weight
        keys += [(start + margin, value), (stop - margin, value)]
    keys.append((end + transition / 2, row["sil"]))
    times = np.array([time for time, _ in keys])
    kept = np.append(np.diff(times) > 1e-6, True)  # of keys on one moment the last
    return times[kept], np.array([value for _, value in keys])[kept]


def _names(used: set[str]) -> dict[str, str]:
    """What lower-case names mean in a file that uses these."""
    if used & set(RHUBARB) and used <= {*RHUBARB, "e"}:
        return {**RHUBARB, "e": "O"}
    return PRESTON_BLAIR | NAMES


def _cells(line: str) -> list[str]:
    return [cell for cell in re.split(r"[\s,;]+", line.strip()) if cell]


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _shape(number: int, cells: list[str], known: dict[str, str], name: str) -> Shape:
    seconds, weight = _number(cells[0]), _number(cells[2]) if len(cells) > 2 else 1.0
    if len(cells) < 2 or seconds is None or weight is None or not abs(seconds) < 1e6:
        raise UserError(
            f"Line {number} of {name} is not a time and a viseme: \u201c{' '.join(cells)[:40]}\u201d.",
            "Write lines such as \u201c0.25 aa\u201d.",
        )
    if cells[1].lower() not in known:
        raise UserError(
            f"Line {number} of {name} names \u201c{cells[1][:20]}\u201d, which is no viseme.",
            f"Use {', '.join(VISEMES)}.",
        )
    return Shape(seconds, known[cells[1].lower()], min(max(weight, 0.0), 1.0))
