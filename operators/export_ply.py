# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports frames as 3DGS PLY files, for other splat viewers."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from ..scene.avatar_data import active_avatar
from .common import Attempt, OnAvatar, SaveDialog, need_torch
from .import_splats import UPS


class LCA_OT_export_ply(OnAvatar, Attempt, SaveDialog, bpy.types.Operator):
    """Write the avatar as a PLY file of Gaussian splats: this frame, or a file for each frame of the scene"""

    bl_idname = "lca.export_ply"
    bl_label = "Export Splats"
    bl_options = {"REGISTER"}
    suffix = ".ply"

    filter_glob: StringProperty(default="*.ply", options={"HIDDEN"})
    up_axis: EnumProperty(name="Up", description="Which way is up in the file", items=UPS, default="Z")
    global_scale: FloatProperty(name="Scale", description="Units per metre", default=1.0, min=1e-6, max=1e6)
    sh_degree: EnumProperty(
        name="SH Degree",
        description="Bands of view-dependent colour that are written, as zeros, for programs that want them",
        items=[(str(n), str(n), "") for n in range(4)],
        default="0",
    )
    animation: BoolProperty(
        name="Animation",
        description="Write every frame of the scene's range, numbered",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.filepath = f"{active_avatar(context).name}_{context.scene.frame_current:04d}.ply"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        path = self.path()
        need_torch()
        if not self.animation:
            count = self._write(context, path)
            frame = context.scene.frame_current
            self.report({"INFO"}, f"{count:,} Gaussians of frame {frame} written to {path.name}")
            return
        scene, manager = context.scene, context.window_manager
        frames = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
        now = scene.frame_current, scene.frame_subframe
        manager.progress_begin(0, len(frames))
        try:
            for number, frame in enumerate(frames):
                scene.frame_set(frame)
                self._write(context, path.with_name(f"{path.stem}_{frame:04d}{path.suffix}"))
                manager.progress_update(number + 1)
        finally:
            scene.frame_set(now[0], subframe=now[1])
            manager.progress_end()
        self.report({"INFO"}, f"{len(frames)} frames written to {path.parent}")

    def _write(self, context: bpy.types.Context, path: Path) -> int:
        from ..backend.ply import write_ply
        from ..backend.still import upright
        from ..scene.evaluate import evaluate

        gaussians = evaluate(active_avatar(context), context.evaluated_depsgraph_get())
        matrix = None
        if self.up_axis != "Z" or self.global_scale != 1.0:
            matrix = upright(self.up_axis).T
            matrix[:3, :3] *= self.global_scale
        write_ply(path, gaussians, int(self.sh_degree), matrix)
        return len(gaussians)


def menu(self, _context) -> None:
    self.layout.operator("lca.export_ply", text="LCA Avatar Splats (.ply)")


def register() -> None:
    bpy.types.TOPBAR_MT_file_export.append(menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(menu)


CLASSES = (LCA_OT_export_ply,)
