# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs an avatar's file into the .blend, and writes it out again."""

from pathlib import Path

import bpy
from bpy.props import StringProperty

from ..scene.avatar_data import SUFFIX, active_avatar, avatar_path, is_packed, pack, unpack
from .common import Attempt, OnAvatar, beside_blend, need_torch, needs_avatar, unused, writable


class LCA_OT_pack_avatar(OnAvatar, Attempt, bpy.types.Operator):
    """Pack the avatar's file into the .blend, as File > External Data > Pack Resources does with all files"""

    bl_idname = "lca.pack_avatar"
    bl_label = "Pack Avatar"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        need_torch()
        pack(active_avatar(context))


class LCA_OT_unpack_avatar(Attempt, bpy.types.Operator):
    """Write the packed avatar to a file: to where it was, else beside the .blend"""

    bl_idname = "lca.unpack_avatar"
    bl_label = "Unpack Avatar"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="File", description="File to write", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not needs_avatar(cls, context):
            return False
        if not is_packed(active_avatar(context)):
            cls.poll_message_set("The avatar is not packed")
            return False
        return True

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        path = self._path(avatar)
        unpack(avatar, writable(path))
        self.report({"INFO"}, f"{path.name} written to {path.parent}")

    def _path(self, avatar: bpy.types.Object) -> Path:
        if self.filepath:
            return Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), SUFFIX))
        old = avatar_path(avatar)
        if old.parent.is_dir() and old.name:
            return unused(old)
        return beside_blend(old.name or bpy.path.clean_name(avatar.name) + SUFFIX)


CLASSES = (LCA_OT_pack_avatar, LCA_OT_unpack_avatar)
