# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a job with all that it needs into one folder, for a farm."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import UserError
from ...files import disk_error, write_text
from ..job import Job, frames_text
from .openjd import EXTENSION, asset_references, parameter_values, template

FLAMENCO = Path(__file__).with_name("lca_relit.js")
OUTPUT = "out/{avatar}/{light}/{camera}/{frame:04}"
MOST_TASKS = 1000  # chunks of frames, or of lights: what a template may list


def write_farm(
    folder: Path, job: Job, frames: Sequence[int], chunk: int, lights: int, package: Path | None
) -> list[Path]:
    """Writes job.json with its maps beside scene.blend, which is there already, and what farms read of it:
    template.json with its parameters and attachments, lca_relit.js, lines.sh. Returns the files.

    chunk: frames of a task, lights: lights of a task; package: the installed extension's folder, to be sent
    along as a zip. UserError where something cannot be written.
    """
    try:
        maps = _copy_maps(folder, job)
        if package is not None:
            zip_folder(package, folder / EXTENSION)
    except OSError as error:
        raise disk_error(error, folder) from error
    write_text(folder / "job.json", json.dumps(_fields(job, frames, maps), indent=1) + "\n")
    parts = (
        list(chunks(frames, chunk)),
        [_span(part) for part in chunks(range(1, len(job.lights) + 1), lights)],
    )
    frame_parts = [frames_text(part) for part in parts[0]]
    if max(len(frame_parts), len(parts[1])) > MOST_TASKS:
        raise UserError(f"The job has more than {MOST_TASKS} chunks.", "Give larger chunks.")
    place = str(folder.absolute())
    found = [str(one.absolute()) for one in _files(folder)]
    made = {
        "template.json": template(f"Relit {job.blend.stem}", place, frame_parts, parts[1]),
        "parameter_values.json": parameter_values(place),
        "asset_references.json": asset_references(found, place),
    }
    for name, content in made.items():
        write_text(folder / name, json.dumps(content, indent=1) + "\n")
    write_text(folder / FLAMENCO.name, FLAMENCO.read_text(encoding="utf-8"))
    write_text(folder / "lines.sh", shell_lines(frame_parts, parts[1]))
    return _files(folder)


def shell_lines(frames: Sequence[str], lights: Sequence[str]) -> str:
    """A line for every task, in the job's folder, then the one that makes the films when all have ended."""
    command = "blender --background --command lca_relit job.json"
    tasks = [f"{command} --frames={some} --lights={few}" for some in frames for few in lights]
    return "\n".join([*tasks, "# then, once:", command, ""])


def chunks(numbers: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    """The numbers in parts of `size`."""
    return (numbers[first : first + size] for first in range(0, len(numbers), size))


def zip_folder(folder: Path, path: Path) -> None:
    """A folder's files as a zip, as Blender installs extensions from one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(folder))


def _files(folder: Path) -> list[Path]:
    """What is in the folder, but for pictures that have been rendered there."""
    inside = (one for one in folder.rglob("*") if one.relative_to(folder).parts[0] != "out")
    return sorted(one for one in inside if one.is_file())


def _copy_maps(folder: Path, job: Job) -> dict[Path, str]:
    """Copies the maps; their paths relative to the folder."""
    made: dict[Path, str] = {}
    for path in dict.fromkeys(light.map for light in job.lights if light.map):
        (folder / "maps").mkdir(exist_ok=True)
        name = path.name
        while f"maps/{name}" in made.values():
            name = f"_{name}"
        shutil.copyfile(path, folder / "maps" / name)
        made[path] = f"maps/{name}"
    return made


def _fields(job: Job, frames: Sequence[int], maps: dict[Path, str]) -> dict:
    lights = [
        {"name": one.name, "rig": one.rig}
        if one.rig
        else {"name": one.name, "map": maps[one.map], "rotation": one.rotation, "strength": one.strength}
        for one in job.lights
    ]
    return {
        "version": 1,
        "blend": "scene.blend",
        "scene": job.scene,
        "avatars": [list(group) for group in job.avatars],
        "frames": frames_text(frames),
        "lights": lights,
        "cameras": list(job.cameras),
        "output": [f"{OUTPUT}{Path(one).suffix}" for one in job.outputs],
        **({"size": list(job.size)} if job.size else {}),
        "passes": list(job.passes),
        "depth": job.depth,
        "transparent": job.transparent,
        "movie": job.movie,
        "sheet": job.sheet,
        "retries": job.retries,
    }


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]}-{numbers[-1]}"
