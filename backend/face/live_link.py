# SPDX-License-Identifier: GPL-3.0-or-later
"""CSV files of Epic's Live Link Face: 52 units by ARKit's names in capitals, the head's and the eyes' turns.

    Timecode,BlendShapeCount,EyeBlinkLeft,...,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,...
    14:03:52:28.207,61,0.0123,...

A timecode is hours:minutes:seconds:frame with a fraction of a frame; the file does not say at how many frames
a second. Angles are radians. Their signs are those of Unreal's axes, found by its conversion from ARKit's
face anchor (its x, y, z are ARKit's -z, x, y): yaw to the right, pitch downwards, roll towards the left
shoulder.
"""

import csv
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from ..body.arkit import ARKIT_INDEX, ARKIT_NAMES
from ..errors import UserError
from ..files import write_text
from .performance import LONGEST, FacePerformance

HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = tuple(f"{side}Eye{axis}" for side in ("Left", "Right") for axis in ("Yaw", "Pitch", "Roll"))
SIGNS = np.array([-1.0, -1.0, 1.0])  # from Unreal's yaw, pitch and roll to ours, and back
LOOK = np.radians((35.0, 30.0))  # what eyeLookOut and eyeLookUp of 1 are taken to be; ARKit gives no scale
RATES = (24, 25, 30, 50, 60, 120)
TIMECODE = re.compile(r"(\d{1,3}):(\d{1,2}):(\d{1,2})[:;](\d{1,4}(?:\.\d*)?)")
DAY = 24 * 3600.0
_UNITS = {name.lower(): name for name in ARKIT_NAMES}


def parse_live_link(lines: Iterable[str], name: str, rate: float = 0.0) -> FacePerformance:
    """The performance in the lines of a CSV file called `name`; `rate` frames a second in its timecodes, 0:
    the smallest usual rate that its frame numbers allow.

    Columns are known by name, in any order and case; missing ones are neutral, which is said. Rows without a
    time or without values are passed over, and their moments are interpolated. UserError where none is left.
    """
    rows = csv.reader(lines)
    titles = [title.strip().lstrip("\ufeff").lower() for title in next(_sound(rows, name), [])]
    column = {title: i for i, title in enumerate(titles)}
    if not set(_UNITS) & set(column):
        raise UserError(
            f"{name} has no column named after an ARKit unit, such as JawOpen.",
            "Choose a CSV of Live Link Face, or one with its titles in the first line.",
        )
    wanted = [name.lower() for name in (*ARKIT_NAMES, *HEAD, *EYES)]
    places = [column.get(title) for title in wanted]
    values, clock, missed = [], [], 0
    for number, row in enumerate(islice(_sound(rows, name), LONGEST)):
        numbers = [0.0 if place is None else _number(row, place) for place in places]
        moment = _moment(row, column["timecode"]) if "timecode" in column else (number / (rate or 60.0), 0.0)
        if None in numbers or moment is None:
            missed += bool(row)
            continue
        values.append(numbers)
        clock.append(moment)
    if not values:
        raise UserError(
            f"{name} holds no row with all its numbers.", "Record it again with the face in view."
        )
    seconds, frames = np.array(clock).T
    seconds = seconds + frames / (rate or _rate(frames))
    seconds, order = _ascending(seconds)
    missed += len(values) - len(order)
    present = [place is not None for place in places]
    return _performance(seconds - seconds[0], np.array(values)[order], present, missed)


def live_link_csv(performance: FacePerformance, rate: float) -> str:
    """A CSV as Live Link Face writes it, of `rate` frames a second; where the gaze turns further than the
    units of glances say, those are raised, so that programs without the eyes' angles see it too."""
    titles = [name[0].upper() + name[1:] for name in ARKIT_NAMES]
    lines = [",".join(["Timecode", "BlendShapeCount", *titles, *HEAD, *EYES])]
    head = np.zeros((len(performance.seconds), 3)) if performance.head is None else performance.head
    units = performance.arkit.copy()
    for eye, side in enumerate(("Left", "Right")):
        for axis, (plus, minus) in enumerate(_glances(eye)):
            share = performance.gaze[:, eye, axis] / LOOK[axis]
            for unit, way in ((plus, share), (minus, -share)):
                number = ARKIT_INDEX[f"{unit}{side}"]
                units[:, number] = np.clip(np.maximum(units[:, number], way), 0, 1)
    eyes = np.concatenate([performance.gaze, np.zeros((len(head), 2, 1))], 2) * SIGNS
    count = len(ARKIT_NAMES) + len(HEAD) + len(EYES)
    for moment, row in zip(
        performance.seconds, np.concatenate([units, head * SIGNS, eyes.reshape(-1, 6)], 1), strict=True
    ):
        lines.append(",".join([_timecode(moment, rate), str(count), *(f"{value:.6f}" for value in row)]))
    return "\n".join(lines) + "\n"


def write_live_link(path: str | Path, performance: FacePerformance, rate: float) -> None:
    write_text(path, live_link_csv(performance, rate))


def _performance(seconds, table, present, missed) -> FacePerformance:
    count = len(ARKIT_NAMES)
    arkit, head, eyes = table[:, :count].clip(0, 1), table[:, count : count + 3], table[:, count + 3 :]
    gaze, remarks = _glancing(arkit), []
    eyes = eyes.reshape(-1, 2, 3)[..., :2]
    if all(present[count + 3 :]) and eyes.any():
        # The file itself says which way its angles go: as its units do.
        agree = np.sign((eyes * gaze).sum((0, 1)))
        gaze = eyes * np.where(agree == 0, SIGNS[:2], agree)
    absent = [name for name, there in zip(ARKIT_NAMES, present, strict=False) if not there]
    if absent:
        named = ", ".join(absent[:6]) + (f" and {len(absent) - 6} more" if len(absent) > 6 else "")
        remarks.append(f"The file has no column for {named}: neutral.")
    turned = all(present[count : count + 3]) and head.any()
    head = np.unwrap(head, axis=0) * SIGNS if turned else None
    return FacePerformance(seconds, arkit, gaze, head, missed, tuple(remarks))


def _glances(eye: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """(units that turn an eye to the subject's left, right), (up, down)."""
    sideways = ("eyeLookOut", "eyeLookIn") if eye == 0 else ("eyeLookIn", "eyeLookOut")
    return sideways, ("eyeLookUp", "eyeLookDown")


def _glancing(arkit: np.ndarray) -> np.ndarray:
    """Gaze [n,2,2] by the units of glances."""
    gaze = np.zeros((len(arkit), 2, 2))
    for eye, side in enumerate(("Left", "Right")):
        for axis, (plus, minus) in enumerate(_glances(eye)):
            share = arkit[:, ARKIT_INDEX[f"{plus}{side}"]] - arkit[:, ARKIT_INDEX[f"{minus}{side}"]]
            gaze[:, eye, axis] = share * LOOK[axis]
    return gaze


def _sound(rows, name: str):
    """Rows; UserError for what no CSV holds."""
    try:
        yield from rows
    except csv.Error as error:
        raise UserError(f"{name} is not a CSV file: {error}.", "Choose a CSV of Live Link Face.") from error


def _number(row: list[str], place: int) -> float | None:
    """A finite number of a row; None for an empty cell or anything else."""
    try:
        value = float(row[place])
    except (ValueError, IndexError):
        return None
    return value if abs(value) < 1e6 else None


def _moment(row: list[str], place: int) -> tuple[float, float] | None:
    """(second of the day, frame of the second) of a row's timecode."""
    match = TIMECODE.fullmatch(row[place].strip()) if place < len(row) else None
    if match is None:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups()[:3])
    return hours * 3600.0 + minutes * 60 + seconds, float(match[4])


def _rate(frames: np.ndarray) -> float:
    """The smallest usual rate with that many frames in a second; a take too short to tell has 60."""
    most = int(frames.max())
    return 60.0 if most < RATES[0] - 1 else float(next((rate for rate in RATES if most < rate), most + 1))


def _ascending(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times, and the rows that they are of: each later than all before; a clock goes on past midnight."""
    seconds = seconds + DAY * np.cumsum(np.diff(seconds, prepend=seconds[:1]) < -DAY / 2)
    before = np.maximum.accumulate(np.append(-np.inf, seconds[:-1]))
    order = np.flatnonzero(seconds > before)
    return seconds[order], order


def _timecode(moment: float, rate: float) -> str:
    whole = int(moment + 1e-9)
    frame = (moment - whole) * rate
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}:{max(frame, 0):06.3f}"
