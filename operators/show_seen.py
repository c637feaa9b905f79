# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows in the 3D view which parts of an avatar the photos show."""

import bpy

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar, load_avatar
from .common import Attempt, OnAvatar, need_torch


class LCA_OT_show_seen(OnAvatar, Attempt, bpy.types.Operator):
    """Show in the 3D view what the photos show of the avatar, in grey, and what was completed, in orange"""

    bl_idname = "lca.show_seen"
    bl_label = "Show What Was Seen"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        if not avatar.lca.show_seen:
            need_torch()
            if load_avatar(avatar).confidence is None:
                raise UserError(
                    f"“{avatar.name}” does not know what its photos showed.",
                    "Create it again from its photos.",
                )
        avatar.lca.show_seen = not avatar.lca.show_seen


CLASSES = (LCA_OT_show_seen,)
