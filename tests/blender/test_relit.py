# SPDX-License-Identifier: GPL-3.0-or-later
"""Relit sequences: real jobs by real worker processes, killed, resumed, refused."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from lca_blender.backend import exr
from lca_blender.backend.relit.pictures import is_whole
from pictures import channels
from relit_jobs import SIZE, relit, start, write_job, write_map


def events(folder, kind):
    lines = (folder / "out" / "relit_log.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == kind]


def combined(file):
    found = exr.read(file, lambda name: "Combined" in name)
    return {name.rpartition(".")[2]: values.astype(np.float32) for name, values in found.items()}


def test_a_job_that_is_killed_goes_on_where_it_was(performance):
    """Killed without a warning while it renders; what is there then is whole, and is not made again."""
    job = write_job(performance, lights=["maps", {"rig": "Key"}], retries=0)
    process = start(job)
    pattern = "out/Ann/*/Camera/0*.exr"
    until = time.monotonic() + 200
    while len(list(performance.glob(pattern))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    first = {file: file.stat().st_mtime_ns for file in performance.glob(pattern)}
    assert 3 <= len(first) < 16
    assert all(is_whole(file, SIZE) for file in first)
    damaged = sorted(first)[0]
    damaged.write_bytes(damaged.read_bytes()[:-300])
    status, said = relit(job)
    assert status == 0, said
    files = sorted(performance.glob(pattern))
    assert len(files) == 4 * 4
    assert all(is_whole(file, SIZE) for file in files)
    again = [file for file, made in first.items() if file.stat().st_mtime_ns != made]
    assert again == [damaged]
    assert events(performance, "ended")[-1]["skipped"] >= len(first) - 1
    made = [name for one in events(performance, "made") for name in one["files"]]
    assert sorted(name for name in set(made) if made.count(name) > 1) in ([], [str(damaged)])
    for light in ("red", "green", "blue"):
        color = combined(performance / f"out/Ann/{light}/Camera/0002.exr")
        sums = {letter: color[letter].sum() for letter in "RGB"}
        assert max(sums, key=sums.get) == light[0].upper()
    assert (performance / "out/Ann/red/Camera.mp4").is_file()
    assert (performance / "out/lights.png").is_file()


def test_turned_maps_light_the_other_side_and_layers_read_as_by_another_reader(performance):
    """A half-lit world turned by 180 degrees; Blender's own OpenImageIO reads the same numbers."""
    half = np.zeros((8, 16, 4), np.float32)
    half[:, :8] = 1.0
    write_map(performance / "half.exr", half)
    lights = [{"map": "half.exr", "rotation": [0, 180]}]
    job = write_job(performance, lights=lights, frames="1", cameras=["Camera", "Side"], depth=32, movie=False)
    status, said = relit(job)
    assert status == 0, said
    files = [performance / f"out/Ann/half_{turn}/Camera/0001.exr" for turn in ("000", "180")]
    behind, before = (combined(file)["R"].sum() for file in files)
    assert before > 1.5 * behind  # the map's left half is towards +Y, which the person turns its back to
    assert len(list(performance.glob("out/Ann/half_*/Side/0001.exr"))) == 2
    found, own = channels(files[0]), exr.read(files[0])
    assert all(np.array_equal(own[name], found[name], equal_nan=True) for name in own)
    layers = {name.rpartition(".")[0] for name in own}
    wanted = ("Combined", "Depth", "Normal", "Alpha", "Albedo", "Diffuse Light", "Specular")
    assert layers == {f"ViewLayer.{name}" for name in wanted}


def test_what_the_scene_lacks_ends_it_before_the_first_picture(performance):
    status, words = relit(write_job(performance, avatars=["Eve"]))
    assert status == 1
    assert "no avatar \u201cEve\u201d" in words
    assert not list(performance.glob("out/**/*.exr"))


def test_a_missing_avatar_file_ends_it_before_the_first_picture(performance, tmp_path):
    avatar = bpy.data.objects["Ann"]
    avatar.lca.filepath = str(tmp_path / "gone.lca")
    bpy.ops.wm.save_as_mainfile(filepath=str(performance / "scene.blend"))
    status, words = relit(write_job(performance))
    assert status == 1
    assert "gone.lca" in words
    assert not list(performance.glob("out/**/*.exr"))


def test_a_picture_that_cannot_be_written_is_tried_again_and_the_rest_goes_on(performance):
    blocked = performance / "out/Ann/red/Camera/0002.exr"
    blocked.mkdir(parents=True)
    status, words = relit(write_job(performance))
    assert status == 1
    assert str(blocked) in words
    assert len(list(performance.glob("out/Ann/*/Camera/0*.exr"))) == 12
    assert [one["final"] for one in events(performance, "failed")] == [False, True]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_ends_it_and_says_so(performance):
    out = performance / "out"
    out.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(out)])
    if mount.returncode:
        pytest.skip("no disk can be mounted")
    try:
        status, words = relit(write_job(performance, size=[480, 640]))
        assert status == 1
        assert "The disk is full" in words
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_the_operator_renders_the_list(performance, scene):
    scene = bpy.context.scene
    relit = scene.lca.relit
    bpy.ops.lca.add_relit_maps(directory=str(performance / "maps"))
    bpy.ops.lca.add_relit_rigs()
    assert len(relit.lights) == 4
    relit.active_light = 0
    for _ in range(2):
        bpy.ops.lca.remove_relit_light()
    bpy.ops.lca.relit_preset(preset="REVIEW")
    scene.frame_end, scene.render.resolution_x, scene.render.resolution_y = 2, *SIZE
    assert bpy.ops.lca.render_relit() == {"FINISHED"}
    names = {str(file.relative_to(performance / "relit")) for file in performance.glob("relit/**/*.png")}
    assert {f"Ann/{light}/Camera/000{n}.png" for light in ("red", "Key") for n in (1, 2)} <= names
    assert "lights.png" in names
    assert Path(bpy.data.filepath) == performance / "scene.blend"
    assert bpy.data.objects["Ann"].lca.lit_by == "PHOTOS"
