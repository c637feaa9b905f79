# SPDX-License-Identifier: GPL-3.0-or-later
"""Erases an avatar's splats inside other objects, and brings them back."""

import bpy
import numpy as np
from bpy.props import StringProperty

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar, is_avatar, load_avatar
from ..scene.erased import erased, set_erased
from ..scene.volumes import inside, is_volume
from .common import Attempt, OnAvatar, need_torch, needs_avatar

HOW = "Lay an empty cube or a closed mesh over the splats to erase, and select it together with the avatar."


class LCA_OT_erase_splats(OnAvatar, Attempt, bpy.types.Operator):
    """Erase the avatar's splats inside the selected empties and closed meshes, as they lie at this frame"""

    bl_idname = "lca.erase_splats"
    bl_label = "Erase Splats"
    bl_options = {"REGISTER", "UNDO"}

    eraser: StringProperty(
        name="Eraser",
        description="Name of the object that encloses what is erased; empty: the selected ones",
        options={"SKIP_SAVE"},
    )

    def perform(self, context: bpy.types.Context) -> None:
        avatar, erasers = active_avatar(context), self._erasers(context)
        need_torch()
        from ..scene.evaluate import evaluate

        data, depsgraph = load_avatar(avatar), context.evaluated_depsgraph_get()
        means = evaluate(avatar, depsgraph).means.numpy()
        chosen = np.any([inside(obj, depsgraph, means) for obj in erasers], axis=0)
        if not chosen.any():
            raise UserError(f"No splat of “{avatar.name}” lies inside {_names(erasers)}.", HOW)
        if chosen.all():
            raise UserError(
                f"Nothing would be left of “{avatar.name}”.", "Make the eraser smaller, or hide the avatar."
            )
        gone = erased(avatar, data)
        gone[np.flatnonzero(~gone)[chosen]] = True
        set_erased(avatar, data, gone)
        self.report({"INFO"}, f"{chosen.sum():,} splats erased; the avatar's file is as it was")

    def _erasers(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        if self.eraser:
            found = context.scene.objects.get(self.eraser)
            if found is None or not is_volume(found) or is_avatar(found):
                raise UserError(f"There is no empty or mesh called “{self.eraser}” in this scene.", HOW)
            return [found]
        chosen = [obj for obj in context.selected_objects if is_volume(obj) and not is_avatar(obj)]
        if not chosen:
            raise UserError("Nothing is selected to erase with.", HOW)
        return chosen


def _names(erasers: list[bpy.types.Object]) -> str:
    return f"“{erasers[0].name}”" if len(erasers) == 1 else "the selected objects"


class LCA_OT_restore_erased(Attempt, bpy.types.Operator):
    """Bring back all erased splats of the avatar"""

    bl_idname = "lca.restore_erased"
    bl_label = "Restore Erased"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not needs_avatar(cls, context):
            return False
        cls.poll_message_set("Nothing is erased")
        return bool(active_avatar(context).lca.erased)

    def perform(self, context: bpy.types.Context) -> None:
        active_avatar(context).lca.erased = ""


CLASSES = (LCA_OT_erase_splats, LCA_OT_restore_erased)
