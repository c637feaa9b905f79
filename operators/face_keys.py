# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys on the whole face of the active avatar, and the keying set *Face*."""

import bpy

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar
from ..scene.face import GROUP, PLACES, changed, key_by_hand, keyable
from .common import Attempt, OnAvatar


class LCA_OT_key_face(OnAvatar, Attempt, bpy.types.Operator):
    """Key all 52 sliders and the gaze on the current frame"""

    bl_idname = "lca.key_face"
    bl_label = "Key All"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        self.report({"INFO"}, f"{key_by_hand(context, avatar, keyable(avatar))} values of the face keyed")


class LCA_OT_key_changed(OnAvatar, Attempt, bpy.types.Operator):
    """Key the values of the face that stand elsewhere than their animation puts them on this frame"""

    bl_idname = "lca.key_changed"
    bl_label = "Key Changed"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        names = changed(avatar, context.view_layer)
        if not names:
            raise UserError("Nothing of the face has changed on this frame.", "Move a slider first.")
        self.report({"INFO"}, f"{key_by_hand(context, avatar, names)} values of the face keyed")


class LCA_Face(bpy.types.KeyingSetInfo):
    """The 52 sliders and the gaze of selected avatars"""

    bl_idname = "LCA_Face"
    bl_label = "Face (LCA)"

    def poll(self, context: bpy.types.Context) -> bool:
        return active_avatar(context) is not None

    def iterator(self, context: bpy.types.Context, keying: bpy.types.KeyingSet) -> None:
        self.generate(context, keying, active_avatar(context))

    def generate(self, _context, keying: bpy.types.KeyingSet, avatar: bpy.types.Object) -> None:
        for name in keyable(avatar):
            path, index = PLACES[name]
            keying.paths.add(
                avatar, path, index=max(index, 0), group_method="NAMED", group_name=GROUP
            )  # a slider is an array of one to a keying set


CLASSES = (LCA_OT_key_face, LCA_OT_key_changed, LCA_Face)
