# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves the bones of a rig to the joints of a person, who then keeps size and proportions when bound."""

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.errors import UserError
from ..scene.armature import rig_of
from ..scene.avatar_data import active_avatar, load_avatar
from ..scene.avatar_object import bind_proxy
from .added import all_or_nothing
from .bind_to_armature import binding_to, bound, chosen_armature, kept_map
from .common import Attempt, BoneError, OnAvatar, need_torch

SHORTEST = 1e-4  # of the rig's size: a bone may not become shorter
LEANING = 0.5  # norm of the difference to a turn along the axes: up to 20 degrees
NEAR = 1e-3  # of the rig's size: how near a tail is to a head that it leads to


class LCA_OT_fit_rig(OnAvatar, Attempt, bpy.types.Operator):
    """Move the bones of a plain rig, for instance a Rigify metarig, to the avatar's joints, and bind it; for
    rigs that are not animated yet"""

    bl_idname = "lca.fit_rig"
    bl_label = "Fit Rig to Avatar"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        need_torch()
        avatar = active_avatar(context)
        armature = chosen_armature(context, avatar)
        if armature.library or armature.data.library or armature.override_library:
            raise BoneError(
                f"\u201c{armature.name}\u201d is linked from another file.",
                "Fit it in that file, or make it local.",
            )
        if any(bone.constraints for bone in armature.pose.bones):
            raise BoneError(
                f"\u201c{armature.name}\u201d has constraints, which its bones would part from.",
                "Fit the rig that it was generated from, a metarig for instance, and generate it again.",
            )
        bone_map = fit(context, avatar, armature)
        self.report(
            {"INFO"}, f"{armature.name}: {len(bone_map.bones)} bones moved to joints of {avatar.name}"
        )


class LCA_OT_add_rig(OnAvatar, Attempt, bpy.types.Operator):
    """Add Rigify's human metarig in the avatar's size and proportions, and bind the avatar to it"""

    bl_idname = "lca.add_rig"
    bl_label = "Add Rig"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        need_torch()
        avatar = active_avatar(context)
        load_avatar(avatar)
        if "rigify" not in context.preferences.addons:
            raise UserError(
                "Rigify, whose rig this is, is not enabled.", "Enable it under Edit > Preferences > Add-ons."
            )
        with all_or_nothing(context):
            bpy.ops.object.armature_human_metarig_add()
            rig = context.object
            rig.name = f"{avatar.name} Rig"
            rig.matrix_world = Matrix.LocRotScale(*avatar.matrix_world.decompose()[:2], None)
            context.view_layer.update()
            fit(context, avatar, rig, at_origin=True)


def fit(
    context: bpy.types.Context, avatar: bpy.types.Object, armature: bpy.types.Object, at_origin: bool = False
):
    """Moves an armature's bones to an avatar's joints and binds the avatar; returns the `BoneMap`."""
    data = load_avatar(avatar)
    bones = kept_map(avatar) if avatar.lca.armature == armature else {}
    bone_map, binding = binding_to(data, armature, bones)
    heads = dict(zip(data.joint_names, data.joint_heads.numpy().astype(np.float64), strict=True))
    _move(context, armature, fitted(rig_of(armature), bone_map.bones, heads, binding, armature, at_origin))
    bone_map, binding = bound(avatar, armature, bone_map.bones)
    bind_proxy(avatar, armature, binding, bone_map.bones)
    armature.select_set(False)
    avatar.select_set(True)
    context.view_layer.objects.active = avatar
    return bone_map


def fitted(
    rig, bones: dict[str, str], heads: dict[str, np.ndarray], binding, armature, at_origin: bool = False
) -> dict[str, np.ndarray]:
    """For every bone of a rig the matrix [4,4], armature space, that moves it to a person's joint.

    bones: joint -> bone; heads: joint -> place [3], canonical; binding: to the rig as it was. The rig keeps
    its axes and stands where it stood, or `at_origin` of its object; bones without a joint go along with the
    bone that they hang on.
    """
    from ..backend.body.rotations import nearest_rotation, smallest_rotation, unit
    from ..backend.body.skeleton import NEXT

    world = np.array(armature.matrix_world.to_3x3(), np.float64)
    scale = 1 / float(np.cbrt(abs(np.linalg.det(world))))
    turn = nearest_rotation(binding.rest[0][:3, :3])
    along = np.round(turn)  # the person stands upright where the rig leans a little
    turn = scale * (along if np.linalg.norm(turn - along) < LEANING and np.linalg.det(along) > 0.5 else turn)
    ground = [joint for joint in ("foot.L", "foot.R") if joint in bones] or [next(iter(bones))]
    at = {joint: rig.heads[rig.index(bone)] for joint, bone in bones.items()}
    shift = 0 if at_origin else np.mean([at[joint] - turn @ heads[joint] for joint in ground], 0)
    target = {joint: turn @ heads[joint] + shift for joint in bones}
    joint_of = {bone: joint for joint, bone in bones.items()}
    moves: dict[str, np.ndarray] = {}
    for index in sorted(range(len(rig.names)), key=rig.depth):
        name, parent = rig.names[index], int(rig.parents[index])
        joint = joint_of.get(name)
        if joint is None:
            moves[name] = moves[rig.names[parent]] if parent >= 0 else np.eye(4)
            continue
        following = NEXT.get(joint)
        while following is not None and following not in bones:
            following = NEXT.get(following)
        matrix = np.eye(4)
        if following is not None and np.linalg.norm(at[following] - at[joint]) > 0:
            old, new = at[following] - at[joint], target[following] - target[joint]
            ratio = np.linalg.norm(new) / np.linalg.norm(old)
            matrix[:3, :3] = ratio * smallest_rotation(unit(old), unit(new))
        elif parent >= 0:
            matrix[:3, :3] = moves[rig.names[parent]][:3, :3]
        matrix[:3, 3] = target[joint] - matrix[:3, :3] @ at[joint]
        moves[name] = matrix
    return moves


def _move(context: bpy.types.Context, armature: bpy.types.Object, moves: dict[str, np.ndarray]) -> None:
    """Moves edit bones; tails that led to a child's head still do."""
    for obj in context.selected_objects:
        obj.select_set(False)
    context.view_layer.objects.active = armature
    armature.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        bones = armature.data.edit_bones
        size = max(max(bone.head.length, bone.tail.length) for bone in bones)
        leads = {
            bone.name: [
                child.name for child in bone.children if (child.head - bone.tail).length < NEAR * size
            ]
            for bone in bones
        }
        connected = [bone.name for bone in bones if bone.use_connect]
        for bone in bones:
            bone.use_connect = False
        for bone in bones:
            bone.transform(Matrix(moves[bone.name].tolist()), scale=False)
        for name, children in leads.items():
            if children and (bones[children[0]].head - bones[name].head).length > SHORTEST * size:
                bones[name].tail = bones[children[0]].head
        for name in connected:
            parent = bones[name].parent
            bones[name].use_connect = (parent.tail - bones[name].head).length < SHORTEST * size
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")


CLASSES = (LCA_OT_fit_rig, LCA_OT_add_rig)
