# SPDX-License-Identifier: GPL-3.0-or-later
"""A small performance to be relit, and jobs of it by real processes."""

import json
import subprocess
import sys

import bpy
import numpy as np

SIZE = (48, 64)


def write_performance(scene, avatar, tmp_path):
    """A folder with scene.blend, an avatar that turns for four frames before two cameras, a light rig, and
    three environment maps: red, green, blue."""
    folder = tmp_path / "performance"
    folder.mkdir()
    avatar.name = "Ann"
    for frame, angle in ((1, 0.0), (4, 0.9)):
        avatar.rotation_euler.z = angle
        avatar.keyframe_insert("rotation_euler", frame=frame)
    scene.frame_end = 4
    side = bpy.data.objects.new("Side", scene.camera.data)
    side.location, side.rotation_euler = (4, 0, 0.9), (1.5708, 0, 1.5708)
    scene.collection.objects.link(side)
    rig = bpy.data.collections.new("Key")
    scene.collection.children.link(rig)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.location = 200, (0, -2, 2)
    rig.objects.link(lamp)
    for number, name in enumerate(("blue", "green", "red")):
        picture = np.zeros((8, 16, 4), np.float32)
        picture[..., 2 - number] = 0.8
        write_map(folder / "maps" / f"{name}.exr", picture)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    return folder


def write_map(path, pixels):
    """Writes colours [H,W,4], row 0 at the bottom, as an opaque OpenEXR."""
    path.parent.mkdir(exist_ok=True)
    pixels[..., 3] = 1
    image = bpy.data.images.new(path.stem, pixels.shape[1], pixels.shape[0], float_buffer=True)
    image.pixels.foreach_set(pixels.ravel())
    image.file_format, image.filepath_raw = "OPEN_EXR", str(path)
    image.save()
    bpy.data.images.remove(image)


def write_job(folder, **fields):
    job = {"blend": "scene.blend", "lights": ["maps"], "size": SIZE, **fields}
    job.setdefault("output", "out/{avatar}/{light}/{camera}/{frame:04}.exr")
    (folder / "job.json").write_text(json.dumps(job))
    return folder / "job.json"


def start(job, *options):
    command = [sys.executable, "-m", "lca_blender.backend.cli", "relit", str(job), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def relit(job, *options):
    process = start(job, *options)
    said = process.communicate(timeout=300)[0]
    return process.returncode, said
