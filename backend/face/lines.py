# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own files of a face's animation, JSON lines: a head line, then one line a moment.

    {"format": "lca-face", "version": 1}
    {"seconds": 0.0, "units": {"jawOpen": 0.2}, "gaze": [[0.1, 0.0], [0.1, 0.0]], "head": [0.0, 0.1, 0.0]}

`units` lists what is not 0; `gaze` is yaw and pitch of the left and the right eye, `head` yaw, pitch and
roll, in the axes of `FacePerformance`, radians. `gaze` and `head` may be left out, of all lines or of some.
"""

import json
import math
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from ..body.arkit import ARKIT_INDEX, ARKIT_NAMES
from ..errors import UserError
from ..files import write_text
from .live_link import parse_live_link
from .performance import LONGEST, FacePerformance

HEADLINE = {"format": "lca-face", "version": 1}
LARGEST = 500_000_000  # bytes: an hour of Live Link Face at 60 frames a second is 130 MB


def read_face(path: str | Path, rate: float = 0.0) -> FacePerformance:
    """A performance of a Live Link Face CSV or of JSON lines, told apart by their content.

    `rate`: frames a second in a CSV's timecodes, 0 if not known. UserError for all that is neither.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path.name} is too large for a face's animation.", "Cut the take.")
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline(100_000)
            file.seek(0)
            if first.lstrip().startswith("{"):
                return parse_lines(file, path.name)
            return parse_live_link(file, path.name, rate)
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}.", "Choose another file.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path.name} is not text.", "Choose a CSV of Live Link Face, or JSON lines."
        ) from error


def parse_lines(lines: Iterable[str], name: str) -> FacePerformance:
    """The performance in JSON lines of a file called `name`; UserError with the number of a bad line."""
    found = [(n, _object(line, n, name)) for n, line in enumerate(islice(lines, LONGEST), 1) if line.strip()]
    if not found or found[0][1].get("format") != HEADLINE["format"] or found[0][1].get("version") != 1:
        raise UserError(
            f"{name} does not begin with the line {json.dumps(HEADLINE)}.", "Choose a face's JSON lines."
        )
    moments = [_moment(entry, number, name) for number, entry in found[1:]]
    if not moments:
        raise UserError(f"{name} holds no moment of a face.", "Choose another file.")
    seconds = np.array([moment[0] for moment in moments])
    if (np.diff(seconds) <= 0).any():
        number = found[2 + int((np.diff(seconds) <= 0).argmax())][0]
        raise UserError(
            f"Line {number} of {name} is not later than the one before.", "Sort the lines by time."
        )
    arkit, gaze, head = (np.array([moment[i] for moment in moments]) for i in (1, 2, 3))
    turned = any("head" in entry for _, entry in found[1:])
    return FacePerformance(seconds - seconds[0], arkit, gaze, head if turned else None)


def face_lines(performance: FacePerformance) -> str:
    """JSON lines of a performance."""
    lines = [json.dumps(HEADLINE)]
    for i, moment in enumerate(performance.seconds.tolist()):
        values = performance.arkit[i].round(6).tolist()
        entry = {
            "seconds": round(moment, 6),
            "units": {name: value for name, value in zip(ARKIT_NAMES, values, strict=True) if value},
            "gaze": performance.gaze[i].round(6).tolist(),
        }
        if performance.head is not None:
            entry["head"] = performance.head[i].round(6).tolist()
        lines.append(json.dumps(entry))
    return "\n".join(lines) + "\n"


def write_face_lines(path: str | Path, performance: FacePerformance) -> None:
    write_text(path, face_lines(performance))


def _object(line: str, number: int, name: str) -> dict:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"Line {number} of {name} is not JSON.", "Repair the line, or leave it out."
        ) from error
    if not isinstance(value, dict):
        raise _bad(number, name)
    return value


def _moment(entry: dict, number: int, name: str) -> tuple:
    """(seconds, arkit [52], gaze [2,2], head [3]) of a line."""
    units = entry.get("units", {})
    if not isinstance(units, dict) or not set(units) <= set(ARKIT_INDEX):
        raise _bad(number, name)
    arkit = np.zeros(len(ARKIT_NAMES))
    arkit[[ARKIT_INDEX[unit] for unit in units]] = _numbers([*units.values()], (len(units),), number, name)
    seconds = _numbers(entry.get("seconds"), (), number, name)
    gaze = _numbers(entry.get("gaze", [[0, 0], [0, 0]]), (2, 2), number, name)
    return seconds, arkit.clip(0, 1), gaze, _numbers(entry.get("head", [0, 0, 0]), (3,), number, name)


def _numbers(value, shape: tuple[int, ...], number: int, name: str) -> np.ndarray:
    """Finite numbers of that shape."""
    flat = [value]
    for size in shape:
        if not all(isinstance(part, list) and len(part) == size for part in flat):
            raise _bad(number, name)
        flat = [entry for part in flat for entry in part]
    if not all(type(one) in (int, float) and math.isfinite(one) and abs(one) < 1e6 for one in flat):
        raise _bad(number, name)
    return np.array(flat, float).reshape(shape)


def _bad(number: int, name: str) -> UserError:
    return UserError(
        f"Line {number} of {name} is no moment of a face: seconds, units by ARKit's names, gaze, head.",
        "Repair the line, or leave it out.",
    )
