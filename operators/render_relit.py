# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the scene's avatars under all lights of the list, by other Blenders in the background."""

import json
import math
import tempfile
from pathlib import Path

import bpy

from ..backend.errors import UserError
from ..relit import worker_command
from ..scene.avatar_data import is_avatar
from ..scene.rendered import rendered_objects
from .common import UnsavedFile, need_torch
from .running import LongWork

SUFFIXES = {"EXR": (".exr",), "PNG": (".png",), "BOTH": (".exr", ".png")}


class LCA_OT_render_relit(LongWork, bpy.types.Operator):
    """Render all avatars under all lights of the list in the background, but for pictures that are there"""

    bl_idname = "lca.render_relit"
    bl_label = "Render Relit Sequences"
    bl_options = {"REGISTER"}
    kept = "the finished pictures were kept, and the next time it goes on from there"

    def prepare(self, context: bpy.types.Context):
        need_torch()
        from ..backend.relit.job import read_job
        from ..backend.relit.run import run_job

        fields = job_fields(context.scene)
        folder = tempfile.TemporaryDirectory(prefix="lca_relit_")
        fields["blend"] = str(copy_of_scene(Path(folder.name)))
        file = Path(folder.name, "job.json")
        file.write_text(json.dumps(fields), encoding="utf-8")
        job = read_job(file)
        command = worker_command()

        def target(progress, _cancelled):
            with folder:
                return run_job(job, command, progress=progress)

        return target

    def finish(self, context: bpy.types.Context, outcome) -> None:
        if outcome.failed:
            reason = next(iter(outcome.failed.values()))
            raise UserError(f"{len(outcome.failed)} pictures could not be rendered: {reason}")
        self.report({"INFO"}, f"{outcome.made} pictures rendered, {outcome.skipped} were there")


def job_fields(scene: bpy.types.Scene) -> dict:
    """The job of a scene's list and settings, without its .blend; paths are absolute. UserError where it has
    no light, no avatar or no camera."""
    relit = scene.lca.relit
    if not relit.lights:
        raise UserError("The list has no light.", "Add environment maps, or collections of lamps.")
    avatars = sorted(obj.name for obj in rendered_objects(scene) if is_avatar(obj))
    if not avatars:
        raise UserError("The scene renders no avatar.", "Create or import one, and show it in renders.")
    cameras = [obj.name for obj in scene.objects if obj.type == "CAMERA"]
    if scene.camera is None and not (relit.all_cameras and cameras):
        raise UserError("The scene has no camera.", "Add one.")
    if relit.output.startswith("//") and not bpy.data.filepath:
        raise UnsavedFile(
            "The pictures go beside the .blend file, which is not saved yet.",
            "Save the .blend, or give another output.",
        )
    output = bpy.path.abspath(relit.output)
    return {
        "scene": scene.name,
        "avatars": avatars,
        "lights": [_light(one) for one in relit.lights],
        "cameras": cameras if relit.all_cameras else [],
        "output": [f"{output}{suffix}" for suffix in SUFFIXES[relit.kind]],
        "depth": int(relit.depth),
        "transparent": scene.render.film_transparent,
        "movie": relit.movie,
        "sheet": relit.sheet,
        "workers": relit.workers,
    }


def _light(one) -> dict:
    if one.rig is not None:
        return {"rig": one.rig.name}
    path, turn = bpy.path.abspath(one.path), round(math.degrees(one.rotation), 3)
    name = f"{Path(path).stem}_{turn:.0f}" if turn else Path(path).stem
    return {"map": path, "rotation": turn, "strength": one.strength, "name": name}


def copy_of_scene(folder: Path) -> Path:
    """Saves the open file as it is now in a folder; returns the copy."""
    copy = folder / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True, check_existing=False)
    return copy


CLASSES = (LCA_OT_render_relit,)
