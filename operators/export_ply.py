# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports the current frame as a 3DGS PLY file, for other splat viewers."""

import bpy
from bpy.props import StringProperty

from ..scene.avatar_data import active_avatar
from .common import Attempt, SaveDialog, need_torch, needs_avatar


class LCA_OT_export_ply(Attempt, SaveDialog, bpy.types.Operator):
    """Write the avatar at the current frame as a PLY file of Gaussian splats"""

    bl_idname = "lca.export_ply"
    bl_label = "Export Splats"
    bl_options = {"REGISTER"}
    suffix = ".ply"

    filter_glob: StringProperty(default="*.ply", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return needs_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.filepath = f"{active_avatar(context).name}_{context.scene.frame_current:04d}.ply"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        path = self.path()
        need_torch()
        from ..backend.ply import write_ply
        from ..scene.evaluate import evaluate

        gaussians = evaluate(active_avatar(context), context.evaluated_depsgraph_get())
        write_ply(path, gaussians)
        self.report({"INFO"}, f"{len(gaussians):,} Gaussians written to {path.name}")


def menu(self, _context) -> None:
    self.layout.operator("lca.export_ply", text="LCA Avatar Splats (.ply)")


def register() -> None:
    bpy.types.TOPBAR_MT_file_export.append(menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(menu)


CLASSES = (LCA_OT_export_ply,)
