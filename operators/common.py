# SPDX-License-Identifier: GPL-3.0-or-later
"""What all operators share: errors a person reads, with the button that helps; finding the avatar."""

import bpy

from ..backend.errors import UserError

# The button that the panel shows under an error, by the error's class.
REMEDIES = {
    "NoPersonError": "lca.add_photos",
    "PhotoError": "lca.add_photos",
    "AvatarFileError": "lca.import_avatar",
    "CheckpointError": "screen.userpref_show",
    "EstimatorFileError": "screen.userpref_show",
    "BoneError": "lca.load_bone_map",
    "TorchMissing": "lca.install_torch",
    "UnsavedFile": "wm.save_as_mainfile",
}


class BoneError(UserError):
    """An armature or a bone map that cannot move an avatar."""


class TorchMissing(UserError):
    """PyTorch is not installed in this Blender."""


class UnsavedFile(UserError):
    """There is no folder yet that a file could be written to."""


class Attempt:
    """Mixin: `execute` calls `perform(context)`, and a UserError becomes a report and the panel's message.

    `perform` returns nothing and changes nothing before it is sure to succeed.
    """

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.perform(context)
        except UserError as error:
            return refuse(self, context, error)
        forget_problem(context)
        return {"FINISHED"}


def refuse(operator: bpy.types.Operator, context: bpy.types.Context, error: UserError) -> set[str]:
    """Reports an error, keeps it for the panel, and ends the operator."""
    properties = context.scene.lca
    properties.message = error.message
    properties.remedy = error.remedy
    properties.remedy_operator = REMEDIES.get(type(error).__name__, "")
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


def forget_problem(context: bpy.types.Context) -> None:
    for name in ("message", "remedy", "remedy_operator"):
        context.scene.lca.property_unset(name)


def active_avatar(context: bpy.types.Context) -> bpy.types.Object | None:
    """The avatar a person means: the active object, else the only selected one, else the active rig's."""
    from ..scene.avatar_data import is_avatar

    active = context.active_object
    if active is not None and is_avatar(active):
        return active
    chosen = [obj for obj in context.selected_objects if is_avatar(obj)]
    if not chosen and active is not None and active.type == "ARMATURE":
        chosen = [obj for obj in context.scene.objects if is_avatar(obj) and obj.lca.armature == active]
    return chosen[0] if len(chosen) == 1 else None


def needs_avatar(cls, context: bpy.types.Context) -> bool:
    """`poll` of an operator that works on the active avatar."""
    avatar = active_avatar(context)
    if avatar is None:
        cls.poll_message_set("Select an avatar")
        return False
    return is_editable(cls, avatar)


def is_editable(cls, obj: bpy.types.Object) -> bool:
    if obj.library is not None:
        cls.poll_message_set("The avatar is linked from another file: make a library override first")
        return False
    return True


def need_torch() -> None:
    """Raises TorchMissing unless PyTorch can be imported."""
    from ..preferences import installed

    if installed("torch") is None:
        raise TorchMissing(
            "PyTorch, which makes and moves avatars, is not installed in this Blender.",
            "Press Install PyTorch.",
        )
