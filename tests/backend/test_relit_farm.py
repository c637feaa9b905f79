# SPDX-License-Identifier: GPL-3.0-or-later
"""A job in the words of render farms: Flamenco's job type in a JavaScript engine, the folder that is sent."""

import json
import zipfile
from pathlib import Path

import quickjs
from hypothesis import given
from hypothesis import strategies as st
from lca_blender.backend.relit.farm.write import FLAMENCO, chunks, shell_lines, write_farm, zip_folder
from lca_blender.backend.relit.job import frames_of, read_job
from openjd.model import decode_job_template

# What Flamenco 3's manager gives to a job type: `author`, `frameChunker` (a range of frames in chunks, as
# text) and a job that takes tasks.
MANAGER = """
const author = {
    Task: (name, type) => ({
        name, type, commands: [], dependsOn: [],
        addCommand(command) { this.commands.push(command); },
        addDependency(task) { this.dependsOn.push(task.name); },
    }),
    Command: (name, parameters) => ({ name, parameters }),
};
function frameChunker(frames, size) {
    const [first, last] = frames.split("-").map(Number), chunks = [];
    for (let at = first; at <= last; at += size) {
        const end = Math.min(at + size - 1, last);
        chunks.push(at === end ? String(at) : at + "-" + end);
    }
    return chunks;
}
const job = { tasks: [], addTask(task) { this.tasks.push(task); } };
"""


def compiled(**settings):
    engine = quickjs.Context()
    engine.eval(MANAGER + FLAMENCO.read_text(encoding="utf-8"))
    engine.eval(f"job.settings = {json.dumps(settings)}; compileJob(job);")
    kinds = json.loads(engine.eval("JSON.stringify(JOB_TYPE)"))
    return json.loads(engine.eval("JSON.stringify(job.tasks)")), kinds


def test_flamenco_gets_a_task_for_every_chunk_and_the_films_after_all():
    tasks, kind = compiled(
        job_file="/farm/job.json", frames="1-20", chunk_size=8, lights=12, lights_per_task=5, workers=2
    )
    *render, finish = tasks
    options = [task["commands"][0]["parameters"]["args"][-2:] for task in render]
    assert options == [
        [f"--frames={frames}", f"--lights={lights}"]
        for frames in ("1-8", "9-16", "17-20")
        for lights in ("1-5", "6-10", "11-12")
    ]
    assert finish["dependsOn"] == [task["name"] for task in render]
    for task in tasks:
        (command,) = task["commands"]
        assert (command["name"], command["parameters"]["exe"]) == ("exec", "{blender}")
        assert command["parameters"]["args"][:4] == [
            "--background", "--command", "lca_relit", "/farm/job.json",
        ]  # fmt: skip
        assert all(isinstance(word, str) for word in command["parameters"]["args"])
    assert {one["key"] for one in kind["settings"]} == {
        "job_file", "frames", "chunk_size", "lights", "lights_per_task", "workers",
    }  # fmt: skip
    assert {one["type"] for one in kind["settings"]} <= {"string", "int32", "float", "bool"}


@given(st.sets(st.integers(0, 99), min_size=1), st.integers(1, 20))
def test_chunks_are_all_numbers_once(numbers, size):
    numbers = sorted(numbers)
    parts = list(chunks(numbers, size))
    assert [n for part in parts for n in part] == numbers
    assert all(len(part) == size for part in parts[:-1])


def test_a_folder_for_a_farm_holds_the_job_and_what_it_needs(tmp_path):
    (tmp_path / "maps").mkdir()
    for place in ("a/sky.exr", "b/sky.exr"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(place)
    (tmp_path / "scene.blend").touch()
    lights = [{"map": "a/sky.exr", "name": "one"}, {"map": "b/sky.exr", "name": "two", "rotation": 90}]
    fields = {"blend": "scene.blend", "lights": [*lights, {"rig": "Key"}], "output": "x/{light}_{frame}.png"}
    (tmp_path / "own.json").write_text(json.dumps(fields))
    folder = tmp_path / "farm"
    folder.mkdir()
    (folder / "scene.blend").touch()
    write_farm(folder, read_job(tmp_path / "own.json"), range(1, 11), 4, 2, package=None)
    made = read_job(folder / "job.json")
    assert [(one.name, one.rotation, one.rig) for one in made.lights] == [
        ("one", 0, ""), ("two", 90, ""), ("Key", 0, "Key"),
    ]  # fmt: skip
    assert [one.map.read_text() for one in made.lights[:2]] == ["a/sky.exr", "b/sky.exr"]
    assert all(folder in one.map.parents for one in made.lights[:2])
    assert made.frames == tuple(range(1, 11))
    template = json.loads((folder / "template.json").read_text())
    decode_job_template(template=template)
    space = template["steps"][0]["parameterSpace"]["taskParameterDefinitions"]
    assert [one["range"] for one in space] == [["1-4", "5-8", "9-10"], ["1-2", "3-3"]]
    lines = [line for line in (folder / "lines.sh").read_text().splitlines() if "--frames" in line]
    assert len(lines) == 6
    sent = json.loads((folder / "asset_references.json").read_text())["assetReferences"]["inputs"][
        "filenames"
    ]
    assert {"scene.blend", "job.json"} <= {Path(name).name for name in sent}
    assert len([name for name in sent if name.endswith("sky.exr")]) == 2


def test_shell_lines_render_every_frame_under_every_light():
    words = [line.split() for line in shell_lines(["1-2", "3"], ["1-4", "5-5"]).splitlines()]
    options = [(one[-2][9:], one[-1][9:]) for one in words if one[-1].startswith("--lights")]
    rendered = {
        (frame, light) for some, few in options for frame in frames_of(some) for light in frames_of(few)
    }
    assert rendered == {(frame, light) for frame in (1, 2, 3) for light in range(1, 6)}


def test_the_extensions_folder_becomes_a_zip_that_installs(tmp_path):
    for name in ("blender_manifest.toml", "backend/a.py", "__pycache__/a.pyc"):
        (tmp_path / "ext" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ext" / name).write_text(name)
    zip_folder(tmp_path / "ext", tmp_path / "ext.zip")
    with zipfile.ZipFile(tmp_path / "ext.zip") as archive:
        assert archive.namelist() == ["backend/a.py", "blender_manifest.toml"]
