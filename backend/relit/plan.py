# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job comes to in a scene: its pictures, their files, and the sequences that they make."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import NamedTuple

from .job import Job, JobError, Light, file_name

FRAME = re.compile(r"[-_. ]*\{frame[^}]*\}")
OWN_CAMERA = ""  # the scene's, with the timeline's changes of it


@dataclass(frozen=True)
class Facts:
    """What a scene has: avatars and cameras by name, the name of its own camera, its frames, the first and
    last frame of each action, collections, size in pixels and frames a second."""

    avatars: list[str]
    cameras: list[str]
    camera: str
    frames: list[int]
    actions: dict[str, list[int]]
    collections: list[str]
    size: list[int]
    fps: float


class Picture(NamedTuple):
    """A picture of a shot: under which light, by which camera, and its files."""

    light: str
    camera: str
    files: tuple[Path, ...]
    film: Path


class Shot(NamedTuple):
    """Avatars at a frame of an action: what is posed once for all its pictures."""

    avatars: tuple[str, ...]
    action: str
    frame: int
    pictures: tuple[Picture, ...]


@dataclass
class ImageSequence:
    """The pictures of one avatar, action, light and camera in the order of frames; files by kind, and the
    film that is made of them."""

    avatar: str
    action: str
    light: str
    camera: str
    film: Path
    files: dict[str, list[Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """shots in the order of frames; size in pixels; fps; folder: the one above all that is written."""

    shots: list[Shot]
    size: tuple[int, int]
    fps: float
    folder: Path

    def files(self) -> list[Path]:
        return [file for shot in self.shots for picture in shot.pictures for file in picture.files]

    def sequences(self) -> list[ImageSequence]:
        found: dict[tuple, ImageSequence] = {}
        for shot in self.shots:
            for picture in shot.pictures:
                key = ("+".join(shot.avatars), shot.action, picture.light, picture.camera)
                one = found.setdefault(key, ImageSequence(*key, picture.film))
                for file in picture.files:
                    one.files.setdefault(file.suffix.lower(), []).append(file)
        return list(found.values())


def plan(
    job: Job, facts: Facts, frames: Iterable[int] | None = None, lights: Iterable[int] | None = None
) -> Plan:
    """All pictures of a job; of the given frames and lights (numbers from 1) alone where these are given.

    JobError with a sentence for everything that the scene lacks, and where two pictures are one file.
    """
    groups = list(job.avatars) or [(name,) for name in facts.avatars]
    cameras = list(job.cameras) or [OWN_CAMERA]
    faults = _missing(job, facts, groups)
    if faults:
        raise JobError("\n".join(faults))
    chosen = _chosen(job.lights, lights)
    wanted = None if frames is None else set(frames)
    shots = []
    for group in groups:
        for action in job.actions or ("",):
            for frame in _frames(job, facts, action):
                if wanted is None or frame in wanted:
                    shots.append(_shot(job, facts, group, action, frame, chosen, cameras))
    shots.sort(key=lambda shot: shot.frame)
    made = Plan(shots, job.size or tuple(facts.size), facts.fps, output_folder(job))
    if not shots:
        raise JobError("The job has no frame that is to be rendered.")
    _require_different_files(job, made)
    return made


def output_folder(job: Job) -> Path:
    """The folder above all of a job's files: that of the first pattern before its first field."""
    literal = next(iter(Formatter().parse(job.outputs[0])))[0]
    return Path(literal + "_").parent


def _missing(job: Job, facts: Facts, groups: Sequence[tuple[str, ...]]) -> list[str]:
    faults = [] if groups else ["The scene has no avatar that is rendered."]
    wanted = [name for group in groups for name in group]
    kinds = (
        ("avatar", wanted, facts.avatars),
        ("camera", job.cameras, facts.cameras),
        ("action", job.actions, facts.actions),
        ("collection", [light.rig for light in job.lights if light.rig], facts.collections),
    )
    for kind, names, present in kinds:
        for name in dict.fromkeys(names):
            if name not in present:
                faults.append(f"The .blend has no {kind} \u201c{name}\u201d.")
    if not job.cameras and not facts.camera:
        faults.append("The scene has no camera: name one in the job's 'cameras'.")
    return faults


def _chosen(lights: Sequence[Light], numbers: Iterable[int] | None) -> list[Light]:
    if numbers is None:
        return list(lights)
    numbers = sorted(set(numbers))
    if not numbers or numbers[0] < 1 or numbers[-1] > len(lights):
        raise JobError(f"The job has the lights 1 to {len(lights)}.")
    return [lights[number - 1] for number in numbers]


def _frames(job: Job, facts: Facts, action: str) -> Iterable[int]:
    if job.frames:
        return job.frames
    first, last = facts.actions[action] if action else (0, -1)
    return range(first, last + 1) if action else facts.frames


def _shot(job, facts, group, action, frame, lights, cameras) -> Shot:
    pictures = []
    for light in lights:
        for camera in cameras:
            names = {
                "avatar": file_name("+".join(group)),
                "action": file_name(action or "action"),
                "light": file_name(light.name),
                "camera": file_name(camera or facts.camera),
            }
            files = tuple(Path(pattern.format(**names, frame=frame)) for pattern in job.outputs)
            pictures.append(Picture(light.name, camera, files, _film(job.outputs[0], names)))
    return Shot(tuple(group), action, frame, tuple(pictures))


def _film(pattern: str, names: dict[str, str]) -> Path:
    """The film beside the pictures, by their name without its frame; by their folder's where none is left:
    Ann/sunset.mp4 of Ann/sunset/0001.exr."""
    path = Path(FRAME.sub("", pattern[: -len(Path(pattern).suffix)] + "\0").format(**names))
    name = path.name.rstrip("\0")
    return path.with_name(f"{name}.mp4") if name else path.parent.with_name(f"{path.parent.name}.mp4")


def _require_different_files(job: Job, made: Plan) -> None:
    files = made.files()
    if len({str(file).casefold() for file in files}) == len(files):
        return
    varying = {
        "avatar": {shot.avatars for shot in made.shots},
        "action": {shot.action for shot in made.shots},
        "light": {picture.light for shot in made.shots for picture in shot.pictures},
        "camera": {picture.camera for shot in made.shots for picture in shot.pictures},
    }
    lacking = [
        f"{{{name}}}"
        for name, found in varying.items()
        if len(found) > 1 and any(f"{{{name}}}" not in pattern for pattern in job.outputs)
    ]
    if lacking:
        raise JobError(f"Several pictures would be one file: the output needs {', '.join(lacking)}.")
    raise JobError("Two pictures would be one file: names differ in letters only that no file can have.")
