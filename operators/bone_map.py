# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on the bone map: set one bone, apply, save, load."""

from pathlib import Path

import bpy
from bpy.props import StringProperty

from ..scene.avatar_data import active_avatar, present_rig
from ..scene.avatar_object import bind_proxy
from .bind_to_armature import bound, kept_map
from .common import Attempt, BoneError, OnAvatar, SaveDialog, needs_avatar


def needs_bound_avatar(cls, context: bpy.types.Context) -> bool:
    if not needs_avatar(cls, context):
        return False
    if active_avatar(context).lca.armature is None:
        cls.poll_message_set("Bind the avatar to an armature first")
        return False
    return True


def needs_rig(cls, context: bpy.types.Context) -> bool:
    if not needs_bound_avatar(cls, context):
        return False
    if present_rig(active_avatar(context), context.scene) is None:
        cls.poll_message_set("The avatar's armature is no longer in this scene: bind it to another one")
        return False
    return True


def rebind(avatar: bpy.types.Object, bones: dict[str, str]) -> None:
    armature = avatar.lca.armature
    bone_map, binding = bound(avatar, armature, bones)
    bind_proxy(avatar, armature, binding, bone_map.bones)


class LCA_OT_set_bone(Attempt, bpy.types.Operator):
    """Choose the bone that drives a joint; without a bone the joint follows its parent"""

    bl_idname = "lca.set_bone"
    bl_label = "Set Bone"
    bl_options = {"REGISTER", "UNDO"}

    joint: StringProperty(name="Joint")
    bone: StringProperty(name="Bone")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return needs_rig(cls, context)

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        if self.bone and self.bone not in avatar.lca.armature.data.bones:
            raise BoneError(
                f"\u201c{avatar.lca.armature.name}\u201d has no bone called \u201c{self.bone}\u201d.",
                "Choose another one.",
            )
        if self.joint not in {pair.joint for pair in avatar.lca.bone_map}:
            raise BoneError(f"The avatar has no joint called \u201c{self.joint}\u201d.")
        bones = {**kept_map(avatar), self.joint: self.bone}
        rebind(avatar, {joint: bone for joint, bone in bones.items() if bone})


class LCA_OT_apply_bone_map(Attempt, bpy.types.Operator):
    """Rebind with the edited bone map and update the proxy's vertex weights"""

    bl_idname = "lca.apply_bone_map"
    bl_label = "Apply Bone Map"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return needs_rig(cls, context)

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        bones = kept_map(avatar)
        if not bones:
            raise BoneError("The bone map is empty.", "Bind the avatar again, or load a bone map.")
        rebind(avatar, bones)


class LCA_OT_save_bone_map(Attempt, SaveDialog, bpy.types.Operator):
    """Write the bone map to a file, for other avatars and rigs with the same bones"""

    bl_idname = "lca.save_bone_map"
    bl_label = "Save Bone Map"
    bl_options = {"REGISTER"}
    suffix = ".json"

    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return needs_bound_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.filepath = f"{active_avatar(context).lca.armature.name}.json"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        from ..backend.body.bone_map import BoneMap

        BoneMap(kept_map(active_avatar(context))).save(self.path())


class LCA_OT_load_bone_map(OnAvatar, Attempt, bpy.types.Operator):
    """Read a bone map and bind the avatar with it"""

    bl_idname = "lca.load_bone_map"
    bl_label = "Load Bone Map"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    armature: StringProperty(
        name="Armature", description="Empty: the avatar's, or the selected one", options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        from ..backend.body.bone_map import BoneMap

        avatar = active_avatar(context)
        chosen = [obj for obj in context.selected_objects if obj.type == "ARMATURE"]
        own = present_rig(avatar, context.scene)
        armature = context.scene.objects.get(self.armature) or own or next(iter(chosen), None)
        if armature is None or armature.type != "ARMATURE":
            raise BoneError(
                "No armature is selected for the bone map.", "Select the avatar and its armature."
            )
        loaded = BoneMap.load(bpy.path.abspath(self.filepath))
        if not loaded.bones:
            raise BoneError(f"{Path(self.filepath).name} contains no bones.", "Choose another file.")
        bone_map, binding = bound(avatar, armature, loaded.bones)
        bind_proxy(avatar, armature, binding, bone_map.bones)
        for warning in (*loaded.warnings, *binding.warnings):
            self.report({"WARNING"}, warning)


CLASSES = (LCA_OT_set_bone, LCA_OT_apply_bone_map, LCA_OT_save_bone_map, LCA_OT_load_bone_map)
