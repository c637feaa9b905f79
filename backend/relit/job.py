# SPDX-License-Identifier: GPL-3.0-or-later
"""The job file: which avatars, frames, actions, lights and cameras of a .blend are rendered, and to where.

JSON; `docs/farm.md` lists its fields. Paths are relative to the job file.
"""

import json
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError, printable

VERSION = 1
MAPS = (".exr", ".hdr", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")  # files taken out of a folder
KINDS = (".exr", ".png")
PASSES = ("Depth", "Normal", "Alpha", "Albedo", "Diffuse Light", "Specular")  # beside Combined
FIELDS = ("avatar", "action", "light", "camera", "frame")
MOST_FRAMES = 1_000_000
SIDES = range(1, 32769)  # pixels
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')  # in the name of a file, on some system
KNOWN = {
    *("version", "blend", "scene", "avatars", "frames", "actions", "lights", "cameras", "output", "size"),
    *("passes", "depth", "transparent", "movie", "sheet", "workers", "retries"),
}


class JobError(UserError):
    """A job that cannot be rendered as it is; one sentence for every fault, in lines."""


@dataclass(frozen=True)
class Light:
    """An environment map, turned about Z by `rotation` degrees and times `strength`, or the lamps of the
    collection `rig`. name: what {light} in the output stands for."""

    name: str
    map: Path | None = None
    rotation: float = 0.0
    strength: float = 1.0
    rig: str = ""


@dataclass(frozen=True)
class Job:
    """What a job file says; every path is absolute. Empty fields mean: as the scene has it.

    avatars: names of avatar objects that are rendered together, each such group by itself; actions: of the
    avatars' armatures, in turn; outputs: patterns of the files, one for each kind; size: width and height in
    pixels; depth: bits of a channel of OpenEXR; retries: how often a picture is tried again.
    """

    file: Path
    blend: Path
    lights: tuple[Light, ...]
    outputs: tuple[str, ...]
    scene: str = ""
    avatars: tuple[tuple[str, ...], ...] = ()
    frames: tuple[int, ...] = ()
    actions: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    passes: tuple[str, ...] = PASSES
    depth: int = 16
    transparent: bool = True
    movie: bool = True
    sheet: bool = True
    workers: int = 1
    retries: int = 1


def read_job(path: str | Path) -> Job:
    """The job in a file. JobError, with a sentence for every fault, where it cannot be rendered."""
    path = Path(path).absolute()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JobError(f"The job file {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise JobError(f"{path.name} is no JSON: {printable(str(error))}.") from error
    if not isinstance(raw, dict):
        raise JobError(f"{path.name} is no job: it must be an object in braces.")
    reader = _Reader(raw, path)
    job = reader.job()
    if reader.faults:
        raise JobError("\n".join(reader.faults))
    return job


def frames_of(text: str) -> list[int] | None:
    """ "1-4, 10-20x5, 7" -> [1, 2, 3, 4, 7, 10, 15, 20]; None where it does not say frames."""
    frames: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(-?\d{1,7})(?:\s*-\s*(-?\d{1,7})(?:\s*x\s*(\d{1,7}))?)?\s*", part, re.ASCII)
        if found is None:
            return None
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if last < first or not step or len(frames) + (last - first) // step >= MOST_FRAMES:
            return None
        frames.update(range(first, last + 1, step))
    return sorted(frames)


def frames_text(frames: Iterable[int]) -> str:
    """The inverse: [1, 2, 3, 7] -> "1-3,7"."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def file_name(name: str) -> str:
    """A name as part of a path: what some file system forbids becomes an underscore."""
    return FORBIDDEN.sub("_", name) or "_"


def pattern_fault(pattern: str) -> str:
    """What is wrong with an output pattern; empty where nothing is."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        return f"The output {pattern!r} is no pattern: {error}."
    for _, field, spec, conversion in parts:
        if field is None:
            continue
        if field not in FIELDS or conversion:
            return f"The output holds {{{field}}}, which is not known: use {', '.join(FIELDS)}."
        if spec and (field != "frame" or not re.fullmatch(r"0?[1-9]", spec)):
            return f"The output's {{{field}:{spec}}} is not known: write {{frame:04}}, the others plain."
    if "frame" not in (field for _, field, _, _ in parts):
        return "The output has no {frame}: all frames would be one file."
    if Path(pattern).suffix.lower() not in KINDS:
        return f"The output {Path(pattern).name} must end in .exr or .png."
    return ""


class _Reader:
    """Reads a job's fields and keeps a sentence for every fault."""

    def __init__(self, raw: dict, path: Path):
        self.raw, self.path, self.faults = raw, path, []

    def fault(self, text: str) -> None:
        self.faults.append(printable(text))

    def job(self) -> Job:
        for name in sorted(set(self.raw) - KNOWN):
            self.fault(f"The job's field {name!r} is not known.")
        if self.raw.get("version", VERSION) != VERSION:
            self.fault("The job is of a newer version: update LCA for artists.")
        frames = self.frames()
        return Job(
            self.path,
            self.blend(),
            self.lights(),
            self.outputs(),
            self.value("scene", str, ""),
            self.avatars(),
            frames,
            self.names("actions"),
            self.names("cameras"),
            self.size(),
            self.passes(),
            self.chosen("depth", (16, 32), 16),
            self.value("transparent", bool, True),
            self.value("movie", bool, True),
            self.value("sheet", bool, True),
            self.chosen("workers", range(1, 257), 1),
            self.chosen("retries", range(11), 1),
        )

    def value(self, name: str, kind: type, default):
        found = self.raw.get(name, default)
        if isinstance(found, kind):
            return found
        self.fault(f"The job's {name!r} must be {'text' if kind is str else 'true or false'}.")
        return default

    def chosen(self, name: str, known, default: int) -> int:
        found = self.raw.get(name, default)
        if type(found) is int and found in known:
            return found
        said = f"{known[0]} to {known[-1]}" if isinstance(known, range) else " or ".join(map(str, known))
        self.fault(f"The job's {name!r} must be {said}.")
        return default

    def names(self, name: str) -> tuple[str, ...]:
        found = self.raw.get(name, [])
        texts = isinstance(found, list) and all(isinstance(one, str) and one for one in found)
        if texts and len(set(found)) == len(found):
            return tuple(found)
        self.fault(f"The job's {name!r} must be a list of names, each of them once.")
        return ()

    def blend(self) -> Path:
        text = self.raw.get("blend")
        if not isinstance(text, str) or not text:
            self.fault("The job names no 'blend': the .blend file of the performance.")
            return self.path
        if not (found := self.place(text)).is_file():
            self.fault(f"The .blend file {found} is missing.")
        return found

    def place(self, text: str) -> Path:
        return self.path.parent / text.removeprefix("//")

    def frames(self) -> tuple[int, ...]:
        found = self.raw.get("frames", "")
        text = ",".join(map(str, found)) if isinstance(found, list) else found
        text = str(text) if type(text) is int else text
        if isinstance(text, str):
            if not text.strip():
                return ()
            if (frames := frames_of(text)) is not None:
                return tuple(frames)
        self.fault("The job's 'frames' are not valid: write for instance \"1-24, 30\".")
        return ()

    def avatars(self) -> tuple[tuple[str, ...], ...]:
        found = self.raw.get("avatars", [])
        groups = found if isinstance(found, list) else [found]
        groups = [one if isinstance(one, list) else [one] for one in groups]
        if all(one and all(isinstance(name, str) and name for name in one) for one in groups):
            return tuple(tuple(one) for one in groups)
        self.fault("The job's 'avatars' must be a list of names, or of lists of names that go together.")
        return ()

    def size(self) -> tuple[int, int] | None:
        found = self.raw.get("size")
        if found is None:
            return None
        if isinstance(found, list) and len(found) == 2 and all(type(n) is int and n in SIDES for n in found):
            return found[0], found[1]
        self.fault("The job's 'size' must be [width, height] in pixels.")
        return None

    def passes(self) -> tuple[str, ...]:
        found = self.raw.get("passes", list(PASSES))
        if isinstance(found, list) and all(name in ("Combined", *PASSES) for name in found):
            return tuple(name for name in PASSES if name in found)
        self.fault(f"The job's 'passes' must be a list of {', '.join(PASSES)}.")
        return ()

    def outputs(self) -> tuple[str, ...]:
        found = self.raw.get("output", "relit/{avatar}/{light}/{camera}/{frame:04}.exr")
        patterns = found if isinstance(found, list) else [found]
        if not patterns or not all(isinstance(one, str) and one for one in patterns):
            self.fault("The job's 'output' must be a pattern, or a list of patterns.")
            return ()
        for one in patterns:
            if fault := pattern_fault(one):
                self.fault(fault)
        suffixes = [Path(one).suffix.lower() for one in patterns]
        if len(set(suffixes)) < len(suffixes):
            self.fault("The job's 'output' names one kind of file twice.")
        folder = str(self.path.parent).replace("{", "{{").replace("}", "}}")
        return tuple(str(Path(folder, one.removeprefix("//"))) for one in patterns)

    def lights(self) -> tuple[Light, ...]:
        found = self.raw.get("lights")
        entries = found if isinstance(found, list) else [found]
        lights = [light for entry in entries for light in self.light(entry)]
        if not lights and not self.faults:
            self.fault("The job has no 'lights': name a folder of environment maps, files, or rigs.")
        names = [file_name(light.name).lower() for light in lights]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.fault(f"Two lights are called {name}: give one of them another 'name'.")
        return tuple(lights)

    def light(self, entry) -> list[Light]:
        """The lights of an entry: a path, or {"map" or "rig", "rotation", "strength", "name"}."""
        entry = {"map": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or ("map" in entry) == ("rig" in entry):
            self.fault("A light must be a path, or an object with a 'map' or a 'rig'.")
            return []
        for name in sorted(set(entry) - {"map", "rig", "name", "rotation", "strength"}):
            self.fault(f"A light's field {name!r} is not known.")
        source, named = entry.get("map", entry.get("rig")), entry.get("name", "")
        turns, strength = entry.get("rotation", 0.0), entry.get("strength", 1.0)
        turns = turns if isinstance(turns, list) else [turns]
        if not isinstance(source, str) or not source or not isinstance(named, str):
            self.fault("A light's 'map', 'rig' and 'name' must be texts.")
            return []
        if not turns or not all(_finite(turn) for turn in turns) or not (_finite(strength) and strength >= 0):
            self.fault(f"The light {source!r} needs a rotation in degrees, and a strength of 0 or more.")
            return []
        if "rig" in entry:
            return [Light(named or source, rig=source)]
        maps = self.maps(source)
        if named and len(maps) > 1:
            self.fault(f"The light {named!r} is a folder of several maps, which have their own names.")
        return [
            Light(_light_name(named or one.stem, turn, len(turns) > 1), one, float(turn), float(strength))
            for one in maps
            for turn in turns
        ]

    def maps(self, text: str) -> list[Path]:
        place = self.place(text)
        if place.is_file():
            return [place]
        if not place.is_dir():
            self.fault(f"The environment map {place} is missing.")
            return []
        found = [one for one in place.iterdir() if one.suffix.lower() in MAPS and one.name[0] != "."]
        if not found:
            self.fault(f"The folder {place} holds no environment map ({', '.join(MAPS)}).")
        return sorted(found, key=lambda one: one.name)


def _finite(value) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9  # of a NaN, too, this is False


def _light_name(name: str, turn: float, several: bool) -> str:
    return f"{name}_{turn % 360:03.0f}" if several else name
