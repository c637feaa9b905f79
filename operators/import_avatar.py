# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports avatar files: by the file dialog, by a script, or by dropping them into a 3D view."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty

from ..backend.errors import UserError
from .added import add_avatar
from .common import Attempt, need_torch
from .photos import chosen_files


class LCA_OT_import_avatar(Attempt, bpy.types.Operator):
    """Import an avatar file"""

    bl_idname = "lca.import_avatar"
    bl_label = "Import Avatar"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: StringProperty(default="*.lca", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.filepath or self.files:  # dropped
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        paths = chosen_files(self) or ([Path(bpy.path.abspath(self.filepath))] if self.filepath else [])
        if not paths:
            raise UserError("No avatar file was chosen.", "Choose an .lca file.")
        need_torch()
        from ..backend.avatar import Avatar

        loaded = [(Avatar.load(path), path) for path in paths]  # all, before the first object is added
        for avatar, path in loaded:
            add_avatar(context, avatar, path)


class LCA_FH_avatar(bpy.types.FileHandler):
    bl_idname = "LCA_FH_avatar"
    bl_label = "Avatar"
    bl_import_operator = "lca.import_avatar"
    bl_file_extensions = ".lca"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


def menu(self, _context) -> None:
    self.layout.operator("lca.import_avatar", text="LCA Avatar (.lca)")


def register() -> None:
    bpy.types.TOPBAR_MT_file_import.append(menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(menu)


CLASSES = (LCA_OT_import_avatar, LCA_FH_avatar)
