# SPDX-License-Identifier: GPL-3.0-or-later
"""What all operators share: errors a person reads, with the button that helps; the avatar; save dialogs."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar

# The button that the panel shows under an error, by the error's class.
REMEDIES = {
    "NoPersonError": "lca.add_photos",
    "PhotoError": "lca.add_photos",
    "AvatarFileError": "lca.import_avatar",
    "CheckpointError": "screen.userpref_show",
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


class SaveDialog:
    """Mixin for an operator that writes `filepath`, whose name ends in the class's `suffix`."""

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    check_existing: BoolProperty(default=True, options={"HIDDEN"})
    suffix = ""

    def check(self, _context) -> bool:
        """Completes the name while the dialog is open: it warns of the file that would be replaced."""
        typed = self.filepath
        if bpy.path.basename(typed):
            self.filepath = bpy.path.ensure_ext(typed, self.suffix)
        return self.filepath != typed

    def path(self) -> Path:
        """The absolute path of the file to write; UserError when none was named."""
        if not self.filepath:
            raise UserError("No file was chosen.", "Give a file path.")
        return Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), self.suffix))


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
