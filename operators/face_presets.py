# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions by one click: those that come along, visemes, and the user's own."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from ..backend.errors import UserError
from ..backend.face.channels import PARTS, Face, mixed
from ..backend.face.own import checked_name, write_faces
from ..backend.face.presets import EXPRESSIONS, VISEMES, expression, viseme
from ..scene.avatar_data import active_avatar
from ..scene.face import face_of
from ..scene.own_faces import own_face, own_faces, own_faces_file
from .common import Attempt, OnAvatar
from .face_edit import change_face


class Mixed(OnAvatar, Attempt):
    """Mixin: lays `wanted()` onto the present face."""

    bl_options = {"REGISTER", "UNDO"}

    strength: FloatProperty(
        name="Amount",
        description="How far the face goes towards the expression, or how much of it is added",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
    )
    add: BoolProperty(name="Add", description="Add to the present face instead of going towards the new one")

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        face = mixed(face_of(avatar), self.wanted(), self.strength, self.add)
        change_face(context, avatar, face)


class LCA_OT_set_expression(Mixed, bpy.types.Operator):
    """Set the face sliders to an expression, or mix it into the present face"""

    bl_idname = "lca.set_expression"
    bl_label = "Set Expression"

    preset: EnumProperty(name="Expression", items=[(key, one[0], one[0]) for key, one in EXPRESSIONS.items()])

    def wanted(self) -> Face:
        return expression(self.preset)


class LCA_OT_set_viseme(Mixed, bpy.types.Operator):
    """Give the mouth the shape of a sound; eyes and brows stay"""

    bl_idname = "lca.set_viseme"
    bl_label = "Set Viseme"

    viseme: EnumProperty(name="Viseme", items=[(key, key, sounds) for key, (sounds, _) in VISEMES.items()])

    def wanted(self) -> Face:
        return viseme(self.viseme)

    @classmethod
    def description(cls, _context, properties) -> str:
        return f"Mouth as for {VISEMES[properties.viseme][0]}; eyes and brows stay"


class LCA_OT_set_own_face(Mixed, bpy.types.Operator):
    """Set the face to one of your own, or mix it into the present face"""

    bl_idname = "lca.set_own_face"
    bl_label = "Set Own Face"

    face: StringProperty(name="Face")

    def wanted(self) -> Face:
        return own_face(self.face)


class HoldsPart:
    """Mixin: what of the face is kept."""

    part: EnumProperty(
        name="Part",
        description="What the face holds; it leaves the rest alone when it is used",
        items=[
            ("ALL", "Whole Face", "All sliders and the gaze"),
            ("MOUTH", "Mouth", "Jaw, mouth, cheeks' puff and tongue"),
            ("EYES", "Eyes and Brows", "Lids, brows and gaze"),
        ],
    )


class LCA_OT_save_own_face(HoldsPart, OnAvatar, Attempt, bpy.types.Operator):
    """Keep the present face for all your files; one of the same name is replaced"""

    bl_idname = "lca.save_own_face"
    bl_label = "Save Face"
    bl_options = {"REGISTER"}

    face: StringProperty(name="Name", default="Face")

    def invoke(self, context: bpy.types.Context, _event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def perform(self, context: bpy.types.Context) -> None:
        name = checked_name(self.face)
        write_faces(own_faces_file(), own_faces() | {name: face_of(active_avatar(context), PARTS[self.part])})
        self.report({"INFO"}, f"\u201c{name}\u201d is kept in {own_faces_file()}")


class LCA_OT_rename_own_face(Attempt, bpy.types.Operator):
    """Give one of your own faces another name"""

    bl_idname = "lca.rename_own_face"
    bl_label = "Rename Face"
    bl_options = {"REGISTER"}

    face: StringProperty(options={"HIDDEN"})
    new_name: StringProperty(name="Name")

    def invoke(self, context: bpy.types.Context, _event) -> set[str]:
        self.new_name = self.face
        return context.window_manager.invoke_props_dialog(self)

    def perform(self, _context) -> None:
        name, faces = checked_name(self.new_name), own_faces()
        own_face(self.face)
        if name in faces and name != self.face:
            raise UserError(f"There is a face called \u201c{name}\u201d already.", "Choose another name.")
        write_faces(own_faces_file(), {name if n == self.face else n: one for n, one in faces.items()})


class LCA_OT_delete_own_face(Attempt, bpy.types.Operator):
    """Delete one of your own faces"""

    bl_idname = "lca.delete_own_face"
    bl_label = "Delete Face"
    bl_options = {"REGISTER"}

    face: StringProperty(options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def perform(self, _context) -> None:
        own_face(self.face)
        write_faces(own_faces_file(), {n: one for n, one in own_faces().items() if n != self.face})


CLASSES = (
    LCA_OT_set_expression,
    LCA_OT_set_viseme,
    LCA_OT_set_own_face,
    LCA_OT_save_own_face,
    LCA_OT_rename_own_face,
    LCA_OT_delete_own_face,
)
