# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes relit sequences as a folder that a render farm takes."""

import json
import shutil
from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from .. import relit
from ..backend.errors import UserError
from ..scene.avatar_data import avatar_path, avatar_problem, is_avatar, is_packed
from ..scene.rendered import rendered_objects
from .common import Attempt, writable
from .render_relit import job_fields

MANIFEST = "blender_manifest.toml"


class LCA_OT_write_relit_job(Attempt, bpy.types.Operator):
    """Write the relit sequences into a folder for a render farm: the scene, avatars and maps, this extension,
    an Open Job Description, a Flamenco job type and shell lines"""

    bl_idname = "lca.write_relit_job"
    bl_label = "Write Relit Job"
    bl_options = {"REGISTER"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    frames: IntProperty(name="Frames of a Task", default=8, min=1)
    lights: IntProperty(name="Lights of a Task", default=20, min=1)
    extension: BoolProperty(
        name="With Extension", description="Send this extension along, for nodes that lack it", default=True
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        from ..backend.relit.farm.write import write_farm
        from ..backend.relit.job import read_job

        if not self.directory:
            raise UserError("No folder was chosen.", "Choose an empty folder.")
        scene, folder = context.scene, Path(bpy.path.abspath(self.directory))
        writable(folder / "job.json")
        fields = job_fields(scene)
        copy_scene(scene, folder)
        (folder / "job.json").write_text(json.dumps({**fields, "blend": "scene.blend"}), encoding="utf-8")
        job = read_job(folder / "job.json")
        frames = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
        package = Path(relit.__file__).parents[1]
        sent = package if self.extension and (package / MANIFEST).is_file() else None
        files = write_farm(folder, job, frames, self.frames, self.lights, sent)
        self.report({"INFO"}, f"{len(files)} files written to {folder}")


def copy_scene(scene: bpy.types.Scene, folder: Path) -> None:
    """Saves the open file as scene.blend in a folder, with the files of its avatars beside it. UserError for
    a missing avatar, and for linked libraries, which are not copied."""
    if bpy.data.libraries:
        names = ", ".join(bpy.path.basename(one.filepath) for one in bpy.data.libraries)
        raise UserError(f"The scene links {names}, which a node would miss.", "Make it local first.")
    avatars = [obj for obj in rendered_objects(scene) if is_avatar(obj) and not is_packed(obj)]
    for obj in avatars:
        if problem := avatar_problem(obj):
            raise problem
    blocks = {obj.lca.file: avatar_path(obj) for obj in avatars}
    before = {block: block.filepath for block in blocks}
    try:
        for number, (block, path) in enumerate(sorted(blocks.items(), key=lambda pair: pair[1])):
            copy = folder / "avatars" / f"{number:02}_{path.name}"
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
            block.filepath = bpy.path.relpath(str(copy), start=None if bpy.data.filepath else str(folder))
        bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"), copy=True, check_existing=False)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.", "Choose another folder.") from error
    finally:
        for block, path in before.items():
            block.filepath = path


CLASSES = (LCA_OT_write_relit_job,)
