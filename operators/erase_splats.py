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

PAINT, PAINTED = "LCA Erase", 0.5  # vertex group, and the weight from which its splats go
SEEN_THROUGH = 0.4  # opacity of the painted weights: Blender's 1 covers the person in black
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
        erase(self, avatar, data, chosen)

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


class LCA_OT_paint_to_erase(OnAvatar, Attempt, bpy.types.Operator):
    """Paint on the avatar's proxy what is to be erased, as weights of a vertex group"""

    bl_idname = "lca.paint_to_erase"
    bl_label = "Paint to Erase"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        context.view_layer.objects.active = avatar
        group = avatar.vertex_groups.get(PAINT) or avatar.vertex_groups.new(name=PAINT)
        avatar.vertex_groups.active = group
        bpy.ops.object.mode_set(mode="WEIGHT_PAINT")
        overlay = getattr(context.space_data, "overlay", None)
        if overlay is not None and overlay.weight_paint_mode_opacity == 1.0:
            overlay.weight_paint_mode_opacity = SEEN_THROUGH


class LCA_OT_erase_painted(OnAvatar, Attempt, bpy.types.Operator):
    """Erase the avatar's splats where its proxy is painted, with a weight above a half"""

    bl_idname = "lca.erase_painted"
    bl_label = "Erase Painted"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        need_torch()
        from ..scene.evaluate import weights_of

        if PAINT not in avatar.vertex_groups:
            raise UserError(f"“{avatar.name}” has no vertex group “{PAINT}”.", "Press Paint to Erase.")
        chosen = weights_of(avatar, context.evaluated_depsgraph_get(), PAINT) > PAINTED
        if not chosen.any():
            raise UserError(
                f"No splat of “{avatar.name}” is painted.", f"Paint weights of “{PAINT}” on the avatar."
            )
        erase(self, avatar, load_avatar(avatar), chosen)


def erase(operator: bpy.types.Operator, avatar: bpy.types.Object, data, chosen: np.ndarray) -> None:
    """Erases some of the splats that an avatar object shows: chosen [n] bool. UserError for all of them."""
    if chosen.all():
        raise UserError(
            f"Nothing would be left of “{avatar.name}”.", "Choose fewer splats, or hide the avatar."
        )
    gone = erased(avatar, data)
    gone[np.flatnonzero(~gone)[chosen]] = True
    set_erased(avatar, data, gone)
    operator.report({"INFO"}, f"{chosen.sum():,} splats erased; the avatar's file is as it was")


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


CLASSES = (LCA_OT_erase_splats, LCA_OT_paint_to_erase, LCA_OT_erase_painted, LCA_OT_restore_erased)
