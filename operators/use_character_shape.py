# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives an avatar the shape of a MakeHuman or MPFB2 character in the scene."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..backend.errors import UserError
from ..backend.jobs import Target
from ..scene.avatar_data import active_avatar, avatar_path, is_avatar, is_packed, load_avatar, present_rig
from ..scene.avatar_object import bind_proxy, change_avatar
from ..scene.figures import is_figure, rest_vertices
from .bind_to_armature import binding_to, kept_map
from .common import SaveDialog, beside_blend, need_torch, needs_avatar, unused, writable
from .create_avatar import SUFFIX
from .running import LongWork


class LCA_OT_use_character_shape(LongWork, SaveDialog, bpy.types.Operator):
    """Give the avatar the build of a MakeHuman or MPFB2 character; written as a new avatar file"""

    bl_idname = "lca.use_character_shape"
    bl_label = "Use This Character's Shape"
    bl_options = {"UNDO"}
    suffix = SUFFIX

    character: StringProperty(
        name="Character",
        description="Name of the character's body mesh; empty: the selected one",
        options={"SKIP_SAVE"},
    )
    keep_face: BoolProperty(
        name="Keep the Face",
        description="The head stays the photographed person's, in the size of the character's",
        default=True,
    )
    bind: BoolProperty(
        name="Bind to Its Armature",
        description="Bind the avatar to the armature that moves the character, if there is one",
        default=True,
    )
    hide: BoolProperty(
        name="Hide Its Body",
        description="Hide the character's body mesh, which lies where the avatar's surface is",
        default=True,
    )

    _objects = (0, 0)  # session_uid of avatar and character: they may be renamed while the avatar is made

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super().poll(context) and needs_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        for name in ("keep_face", "bind", "hide"):
            self.layout.prop(self, name)

    def prepare(self, context: bpy.types.Context) -> Target:
        need_torch()
        avatar = active_avatar(context)
        character = self._character(context, avatar)
        path = self._path(avatar, character)
        data, rig = load_avatar(avatar), self._rig(avatar, character)
        vertices = rest_vertices(character, beside=rig or avatar)
        if rig is not None:
            binding_to(data, rig, _bones(avatar, rig))  # a rig that does not fit is refused before the work
        self._objects = (avatar.session_uid, character.session_uid)
        keep_face, name = self.keep_face, character.name

        def work(progress, _cancelled):
            from ..backend.avatar import Avatar
            from ..backend.body.figure import figure_shape
            from ..backend.likeness.reshape import reshaped

            progress(0.0, "Reading the character's shape")
            made = reshaped(data, figure_shape(vertices), keep_face, name, progress)
            progress(0.95, "Writing the avatar")
            made.save(path)
            return path, Avatar.load(path)

        return work

    def finish(self, context: bpy.types.Context, result) -> None:
        path, data = result
        avatar, character = (_present(uid) for uid in self._objects)
        if avatar is None:
            raise UserError(f"The avatar was deleted meanwhile; its new file is {path.name}.")
        rig = self._rig(avatar, character) if character else present_rig(avatar, context.scene)
        bound = binding_to(data, rig, _bones(avatar, rig)) if rig else None
        change_avatar(avatar, data, path)
        if bound:
            bind_proxy(avatar, rig, bound[1], bound[0].bones)
        if self.hide and character:
            character.hide_render = True
            character.hide_set(True)
        self.report({"INFO"}, f"{avatar.name}: in the shape of {character.name}, written to {path.name}")

    def _character(self, context: bpy.types.Context, avatar: bpy.types.Object) -> bpy.types.Object:
        """The mesh to read; UserError where none or several are meant."""
        if self.character:
            found = context.scene.objects.get(self.character)
            if found is None or found.type != "MESH":
                raise UserError(
                    f"There is no mesh called “{self.character}” in this scene.", "Choose another one."
                )
            return found
        chosen = [obj for obj in context.selected_objects if obj.type == "MESH" and not is_avatar(obj)]
        rigs = [obj for obj in context.selected_objects if obj.type == "ARMATURE"]
        everywhere = [obj for obj in context.scene.objects if is_figure(obj)]
        carried = [obj for obj in everywhere if obj.find_armature() in rigs]
        for candidates in ([obj for obj in chosen if is_figure(obj)], chosen, carried, everywhere):
            if len(candidates) == 1:
                return candidates[0]
        if not everywhere:
            raise UserError(
                "There is no MakeHuman body in this scene.",
                "Add a character with MPFB2, or import one with its base mesh's topology.",
            )
        raise UserError("There are several characters.", "Select the avatar and one character's body.")

    def _rig(self, avatar: bpy.types.Object, character: bpy.types.Object) -> bpy.types.Object | None:
        """The armature that the new avatar is bound to."""
        rig = character.find_armature() if self.bind else None
        return rig or present_rig(avatar, bpy.context.scene)

    def _path(self, avatar: bpy.types.Object, character: bpy.types.Object) -> Path:
        """The file to write, beside the avatar's own, or beside the .blend that the avatar is packed in."""
        if self.filepath:
            path = self.path()
        elif not is_packed(avatar):
            old = avatar_path(avatar)
            path = unused(old.with_name(f"{old.stem}_{bpy.path.clean_name(character.name)}{SUFFIX}"))
        else:
            path = beside_blend(bpy.path.clean_name(f"{avatar.name}_{character.name}") + SUFFIX)
        return writable(path)


def _bones(avatar: bpy.types.Object, rig: bpy.types.Object) -> dict[str, str]:
    """The avatar's bone map, where it is of this rig."""
    return kept_map(avatar) if avatar.lca.armature == rig else {}


def _present(uid: int) -> bpy.types.Object | None:
    named = (obj for obj in bpy.data.objects if obj.session_uid == uid and obj.users_scene)
    return next(named, None)


CLASSES = (LCA_OT_use_character_shape,)
