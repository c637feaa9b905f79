# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m lca_blender.demo`: the demo, through the operators of the sidebar, with a report."""

import argparse
import json
import math
import os
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from PIL import Image

from .. import register
from ..backend.avatar import Avatar
from ..backend.relit.films import write_mp4
from ..engine.engine import ENGINE
from . import performance, photos
from .sheet import contact_sheet

RESOLUTION = (480, 640)


class Stopwatch:
    """Seconds of each named step, in order."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str):
        print(f"{step} ...", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 2)
        print(f"{step}: {self.seconds[step]:.1f} s", flush=True)


def main() -> None:
    options = parse()
    out = Path(options.out).resolve()
    (out / "frames").mkdir(parents=True, exist_ok=True)
    timed = Stopwatch()
    with timed("photos"):
        truth = None
        files = [Path(photo).resolve() for photo in options.photos or []]
        if not files:
            files, truth = photos.photograph(options.seed, out / "photos")
    with timed("blender"):
        scene = new_scene()
    with timed("create"):
        avatar = create(files, out / "avatar.lca")
    with timed("rig"):
        rig = performance.generate_rig()
    with timed("bind"):
        bind(avatar, rig)
    with timed("perform"):
        performance.perform(rig, avatar)
        add_camera(scene, rig)
        bpy.ops.wm.save_as_mainfile(filepath=str(out / "demo.blend"))
    with timed("render"):
        scene.render.filepath = str(out / "frames" / "frame_")
        bpy.ops.render.render(animation=True)
        frames = sorted((out / "frames").glob("frame_*.png"))
    with timed("video"):
        write_mp4(map(Image.open, frames), out / "performance.mp4", scene.render.fps)
    with timed("contact sheet"):
        views = new_views(scene, rig, out / "views")
        made = Avatar.load(out / "avatar.lca")
        again, psnr = photos.render_again(made, truth, out / "views") if truth else ([], None)
        sheet(out, files, again, views, frames)
    report(out, timed, made, frames, psnr)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lca_blender.demo")
    parser.add_argument("--photos", nargs="+", metavar="FILE")
    parser.add_argument("--out", default="out/demo")
    parser.add_argument("--seed", type=int, default=photos.DEFAULT_SEED)
    return parser.parse_args()


def new_scene() -> bpy.types.Scene:
    """An empty file with our engine, a camera, a plain backdrop and the performance's frame range."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    register()
    scene = bpy.context.scene
    scene.render.engine = ENGINE
    scene.render.resolution_x, scene.render.resolution_y = RESOLUTION
    scene.render.fps = 24
    scene.frame_start, scene.frame_end = 1, performance.FRAMES
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.world = backdrop(0.5)
    return scene


def backdrop(grey: float) -> bpy.types.World:
    """A world of one grey; linear."""
    world = bpy.data.worlds.new("Backdrop")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (grey, grey, grey, 1.0)
    return world


def create(files: list[Path], path: Path) -> bpy.types.Object:
    bpy.ops.lca.create_avatar(photos=[{"name": str(file)} for file in files], filepath=str(path))
    avatar = bpy.context.object
    for warning in avatar.lca.warnings.splitlines():
        print(f"  note: {warning}")
    return avatar


def bind(avatar: bpy.types.Object, rig: bpy.types.Object) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    avatar.select_set(True)
    rig.select_set(True)
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.bind_to_armature(armature=rig.name)


def add_camera(scene: bpy.types.Scene, rig: bpy.types.Object) -> None:
    """Adds a camera that shows the walking figure, then moves to the face and the waving hand."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.lens = 60
    height = stature(rig)
    for frame, distance, azimuth, aim in (
        (1, 2.0, 38, 0.5),
        (20, 2.0, 18, 0.5),
        (34, 1.8, 4, 0.72),
        (48, 1.75, -6, 0.74),
    ):
        aim_camera(camera, height, distance, azimuth, aim)
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def stature(rig: bpy.types.Object) -> float:
    """Metres from the ground to the highest deforming bone; the controls around a rig reach further."""
    return max(bone.tail_local.z for bone in rig.data.bones if bone.use_deform)


def aim_camera(camera: bpy.types.Object, height: float, distance: float, azimuth: float, aim: float) -> None:
    """Looks at `aim` of the figure's height from `distance` heights away; azimuth in degrees, 0 ahead."""
    angle = math.radians(azimuth)
    target = Vector((0, 0, aim * height))
    camera.location = target + distance * height * Vector((math.sin(angle), -math.cos(angle), 0.08))
    camera.rotation_euler = (target - camera.location).to_track_quat("-Z", "Y").to_euler()


def new_views(scene: bpy.types.Scene, rig: bpy.types.Object, folder: Path) -> list[Path]:
    """The avatar at rest on the artist's rig, from sides that no photo shows, and the face up close."""
    folder.mkdir(exist_ok=True)
    camera = scene.camera
    camera.animation_data_clear()
    rig.data.pose_position = "REST"
    scene.frame_set(1)
    shots = [("turn", 2.0, azimuth, 0.5) for azimuth in (0, 60, 120, 180, 240, 300)]
    shots += [("face", 0.45, azimuth, 0.92) for azimuth in (-35, 0, 35)]
    paths = []
    for kind, distance, azimuth, aim in shots:
        aim_camera(camera, stature(rig), distance, azimuth, aim)
        scene.render.filepath = str(folder / f"{kind}_{azimuth:+04d}.png")
        bpy.ops.render.render(write_still=True)
        paths.append(Path(scene.render.filepath))
    rig.data.pose_position = "POSE"
    return paths


def sheet(out: Path, files: list[Path], again: list[Path], views: list[Path], frames: list[Path]) -> None:
    pairs = [path for pair in zip(files, again, strict=True) for path in pair] if again else files[:8]
    picked = [frames[i] for i in np.linspace(0, len(frames) - 1, 9).round().astype(int)]
    title = "Photos, each beside the avatar in the same pose" if again else "Photos"
    contact_sheet(
        [(title, pairs), ("New views", views), ("The performance", picked)], out / "contact_sheet.png"
    )


def report(out: Path, timed: Stopwatch, avatar: Avatar, frames: list[Path], psnr: list[float] | None) -> None:
    values = {
        "seconds": timed.seconds | {"total": round(sum(timed.seconds.values()), 2)},
        "gaussians": len(avatar),
        "frames": len(frames),
        "psnr_input_views": psnr,
        "model": avatar.header["model"],
        "device": "cpu",
        "not_seen": avatar.header.get("warnings", []),
    }
    (out / "report.json").write_text(json.dumps(values, indent=2) + "\n")
    print(json.dumps(values, indent=2))


if __name__ == "__main__":
    # bpy 4.5 hangs at interpreter exit while Python classes are registered: leave without tearing down.
    status = 1
    try:
        main()
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
