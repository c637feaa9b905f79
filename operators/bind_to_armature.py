# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds an avatar to an armature, and unbinds it."""

import bpy
import numpy as np
from bpy.props import BoolProperty, StringProperty

from ..backend.errors import UserError
from ..scene.armature import rig_of
from ..scene.avatar_data import active_avatar, present_rig
from ..scene.avatar_object import bind_proxy, unbind_proxy
from ..scene.rest_pose import follow_renames, kept_rig
from .common import Attempt, BoneError, OnAvatar, need_torch, needs_avatar

NOTICED = 0.02  # how much larger or smaller a person may become before a word is said


class LCA_OT_bind_to_armature(OnAvatar, Attempt, bpy.types.Operator):
    """Bind the avatar to an armature; bones are found by name, or else by the structure of the rig"""

    bl_idname = "lca.bind_to_armature"
    bl_label = "Bind to Armature"
    bl_options = {"REGISTER", "UNDO"}

    armature: StringProperty(
        name="Armature", description="Name of the armature; empty: the selected one", options={"SKIP_SAVE"}
    )
    keep_map: BoolProperty(
        name="Keep Bone Map",
        description="Use the current bone map instead of searching for the bones",
        options={"SKIP_SAVE"},
    )

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        armature = chosen_armature(context, avatar, self.armature)
        bones = kept_map(avatar) if self.keep_map else {}
        bone_map, binding = bound(avatar, armature, bones)
        bind_proxy(avatar, armature, binding, bone_map.bones)
        self._report(bone_map, binding, armature)

    def _report(self, bone_map, binding, armature: bpy.types.Object) -> None:
        from ..backend.body.bone_names import title

        total = len(bone_map.bones) + len(bone_map.missing)
        self.report(
            {"INFO"}, f"{title(bone_map.family)}: {len(bone_map.bones)} of {total} joints have a bone"
        )
        for warning in (*binding.warnings, *stretch_warning(binding.scale, armature)):
            self.report({"WARNING"}, warning)


def chosen_armature(context: bpy.types.Context, avatar: bpy.types.Object, name: str = "") -> bpy.types.Object:
    """The armature of that name, else the selected one, the avatar's own, or the only one. UserError."""
    if name:
        found = context.scene.objects.get(name)
        if found is None or found.type != "ARMATURE":
            raise UserError(
                f"There is no armature called \u201c{name}\u201d in this scene.",
                "Choose another one.",
            )
        return found
    chosen = [obj for obj in context.selected_objects if obj.type == "ARMATURE"]
    everywhere = [obj for obj in context.scene.objects if obj.type == "ARMATURE"]
    own = present_rig(avatar, context.scene)
    for candidates in (chosen, [own] if own else [], everywhere):
        if len(candidates) == 1:
            return candidates[0]
    if not everywhere:
        raise UserError(
            "There is no armature in this scene.", "Add one, for instance Armature > Human (Meta-Rig)."
        )
    raise UserError("There are several armatures in this scene.", "Select the avatar and one armature.")


def stretch_warning(scale: float, armature: bpy.types.Object) -> list[str]:
    """A sentence where a rig makes the person clearly taller or shorter. scale: the rig's units per metre."""
    factor = scale * float(np.cbrt(abs(armature.matrix_world.to_3x3().determinant())))
    if abs(factor - 1) < NOTICED:
        return []
    more = "larger" if factor > 1 else "smaller"
    return [
        f"\u201c{armature.name}\u201d is {100 * abs(factor - 1):.0f} % {more} than the person: the avatar is "
        f"stretched to its proportions. Fit Rig to Avatar moves a plain rig's bones to the person."
    ]


def bound(avatar: bpy.types.Object, armature: bpy.types.Object, bones: dict[str, str] | None = None):
    """(BoneMap, Binding) of an avatar object on an armature; `bones` replaces the search. UserError."""
    need_torch()
    from ..scene.avatar_data import load_avatar

    return binding_to(load_avatar(avatar), armature, bones)


def binding_to(data, armature: bpy.types.Object, bones: dict[str, str] | None = None):
    """(BoneMap, Binding) of a loaded `Avatar`, as `bound`."""
    from ..backend.body.binding import bind
    from ..backend.body.bone_map import BoneMap, map_bones

    if not armature.data.bones:
        raise BoneError(f"\u201c{armature.name}\u201d has no bones.", "Choose another armature.")
    rig = rig_of(armature)
    try:
        bone_map = BoneMap(dict(bones)) if bones else map_bones(rig)
        binding = bind(data, rig, bone_map)
    except UserError as error:
        raise BoneError(error.message, error.remedy) from error
    bone_map.bones = {joint: bone for joint, bone in bone_map.bones.items() if bone in rig}
    return bone_map, binding


def kept_map(avatar: bpy.types.Object) -> dict[str, str]:
    """The object's bone map, joint -> bone as it is called now, without unmapped joints."""
    if avatar.lca.armature is not None:
        follow_renames(avatar, rig_of(avatar.lca.armature))
    return {pair.joint: pair.bone for pair in avatar.lca.bone_map if pair.bone}


class LCA_OT_unbind(Attempt, bpy.types.Operator):
    """Unbind the avatar from its armature; it returns to its own rest pose"""

    bl_idname = "lca.unbind"
    bl_label = "Unbind"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not needs_avatar(cls, context):
            return False
        avatar = active_avatar(context)
        if avatar.lca.armature is None and not kept_rig(avatar.data):
            cls.poll_message_set("The avatar is not bound to an armature")
            return False
        return True

    def perform(self, context: bpy.types.Context) -> None:
        unbind_proxy(active_avatar(context))


CLASSES = (LCA_OT_bind_to_armature, LCA_OT_unbind)
