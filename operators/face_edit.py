# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to the present face: neutral, in a mirror, one side as the other. Keyed when Auto Keying is on."""

import bpy
from bpy.props import EnumProperty

from ..backend.face.channels import Face, mirrored, neutral, swapped
from ..scene.avatar_data import active_avatar
from ..scene.face import face_of, key_if_auto, put_face
from .common import Attempt, OnAvatar


def change_face(context: bpy.types.Context, avatar: bpy.types.Object, face: Face) -> None:
    """Sets the channels of `face` and keys them as Auto Keying says."""
    put_face(avatar, face)
    key_if_auto(context, avatar, face)


class LCA_OT_reset_expression(OnAvatar, Attempt, bpy.types.Operator):
    """Reset all face sliders and the gaze to neutral"""

    bl_idname = "lca.reset_expression"
    bl_label = "Reset Expression"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        change_face(context, active_avatar(context), neutral())


class LCA_OT_swap_face(OnAvatar, Attempt, bpy.types.Operator):
    """Let left and right of the face change places, and what goes to the left go to the right"""

    bl_idname = "lca.swap_face"
    bl_label = "Swap Sides"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        change_face(context, avatar, swapped(face_of(avatar)))


class LCA_OT_mirror_face(OnAvatar, Attempt, bpy.types.Operator):
    """Give one side of the face the shape of the other; the gaze stays"""

    bl_idname = "lca.mirror_face"
    bl_label = "Mirror"
    bl_options = {"REGISTER", "UNDO"}

    side: EnumProperty(
        name="From",
        items=[
            ("Left", "Left to Right", "The subject's right side becomes as the left one"),
            ("Right", "Right to Left", "The subject's left side becomes as the right one"),
        ],
    )

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        change_face(context, avatar, mirrored(face_of(avatar), self.side))


CLASSES = (LCA_OT_reset_expression, LCA_OT_swap_face, LCA_OT_mirror_face)
