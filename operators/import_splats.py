# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports splats of other programs as an avatar that keeps still."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty

from ..backend.errors import UserError
from ..scene.avatar_data import SUFFIX
from .added import add_avatar
from .common import Attempt, need_torch, unused, writable

UPS = [
    ("Z", "Z Up", "As in Blender"),
    ("Y", "Y Up", "As in glTF and most game engines"),
    ("-Y", "Y Down", "As trainers of Gaussian splats write, and splat viewers expect"),
]


class LCA_OT_import_splats(Attempt, bpy.types.Operator):
    """Import a PLY file of Gaussian splats, a scan or a scene, to be drawn among the avatars"""

    bl_idname = "lca.import_splats"
    bl_label = "Import Splats"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.ply", options={"HIDDEN"})
    up_axis: EnumProperty(name="Up", description="Which way is up in the file", items=UPS, default="-Y")
    global_scale: FloatProperty(name="Scale", description="Metres per unit", default=1.0, min=1e-6, max=1e6)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        if not self.filepath:
            raise UserError("No file was chosen.", "Choose a .ply file.")
        need_torch()
        from ..backend.ply import read_ply
        from ..backend.still import still_avatar, upright

        path = Path(bpy.path.abspath(self.filepath))
        made = still_avatar(read_ply(path), upright(self.up_axis, self.global_scale), path.stem)
        out = writable(unused(path.with_suffix(SUFFIX)))
        made.save(out)
        add_avatar(context, made, out)
        self.report({"INFO"}, f"{len(made):,} Gaussians, kept in {out.name}")


def menu(self, _context) -> None:
    self.layout.operator("lca.import_splats", text="LCA Splats (.ply)")


def register() -> None:
    bpy.types.TOPBAR_MT_file_import.append(menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(menu)


CLASSES = (LCA_OT_import_splats,)
