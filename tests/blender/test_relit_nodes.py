# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder written for a farm, rendered by Open Job Description's own runner as two nodes would."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
from lca_blender.backend.relit.pictures import is_whole
from relit_jobs import SIZE

OPENJD = [sys.executable, "-m", "openjd"]
LCA = f"{sys.executable} -m lca_blender.backend.cli relit"


def node(folder, *options):
    command = [*OPENJD, "run", str(folder / "template.json"), "-p", f"JobFolder={folder}", "-p"]
    command += [f"Command={LCA}", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process):
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said[-3000:]


def test_two_nodes_render_a_job_that_was_moved(performance, tmp_path):
    scene = bpy.context.scene
    bpy.ops.lca.add_relit_maps(directory=str(performance / "maps"))
    scene.frame_end, scene.render.resolution_x, scene.render.resolution_y = 2, *SIZE
    before = bpy.data.objects["Ann"].lca.filepath
    (tmp_path / "written").mkdir()
    bpy.ops.lca.write_relit_job(directory=str(tmp_path / "written"), frames=1, lights=2)
    assert bpy.data.objects["Ann"].lca.filepath == before
    folder = Path(shutil.move(tmp_path / "written", tmp_path / "node"))
    shutil.rmtree(performance)  # a node has the folder alone
    assert list(folder.glob("avatars/*.lca"))
    check = subprocess.run([*OPENJD, "check", str(folder / "template.json")], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    parts = [json.dumps([{"Frames": f, "Lights": few} for few in ("1-2", "3-3")]) for f in ("1", "2")]
    nodes = [node(folder, "--step", "Render", "--tasks", part) for part in parts]
    for one in nodes:
        ended(one)
    files = sorted(folder.glob("out/Ann/*/Camera/000?.exr"))
    assert len(files) == 3 * 2
    assert all(is_whole(file, SIZE) for file in files)
    times = [file.stat().st_mtime_ns for file in files]
    ended(node(folder, "--step", "Finish", "--no-run-dependencies"))
    assert [file.stat().st_mtime_ns for file in files] == times
    assert len(list(folder.glob("out/Ann/*/Camera.mp4"))) == 3
    assert (folder / "out/lights.png").is_file()
