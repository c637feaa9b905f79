# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports an avatar as a file of its own, without what was erased of it."""

import bpy
from bpy.props import StringProperty

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar, avatar_path, is_packed, load_avatar
from ..scene.erased import shown_avatar
from .common import Attempt, OnAvatar, SaveDialog, need_torch
from .create_avatar import SUFFIX


class LCA_OT_export_avatar(OnAvatar, Attempt, SaveDialog, bpy.types.Operator):
    """Write the avatar as a new file; erased splats are not in it"""

    bl_idname = "lca.export_avatar"
    bl_label = "Export Avatar"
    bl_options = {"REGISTER"}
    suffix = SUFFIX

    filter_glob: StringProperty(default=f"*{SUFFIX}", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.filepath = bpy.path.clean_name(active_avatar(context).name) + SUFFIX
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        path, obj = self.path(), active_avatar(context)
        need_torch()
        whole, avatar = load_avatar(obj), shown_avatar(obj)
        if not is_packed(obj) and path.resolve() == avatar_path(obj).resolve():
            raise UserError(f"{path.name} is the file that the avatar is read from.", "Give another name.")
        if avatar is not whole:
            from ..backend.model.create import with_thumbnail

            avatar = with_thumbnail(avatar)
        avatar.save(path)
        self.report({"INFO"}, f"{len(avatar):,} Gaussians written to {path.name}")


def menu(self, _context) -> None:
    self.layout.operator("lca.export_avatar", text="LCA Avatar (.lca)")


def register() -> None:
    bpy.types.TOPBAR_MT_file_export.append(menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(menu)


CLASSES = (LCA_OT_export_avatar,)
