# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the operators: error reports with an operator that helps, polls, save dialogs."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar

# The operator that the panel offers under an error, by the error's class.
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
    """The .blend is not saved, so there is no folder to write to."""


class Attempt:
    """Mixin: `execute` calls `perform(context)`, and a UserError becomes a report and the panel's message.

    `perform` returns nothing; it checks its input before it changes anything.
    """

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.perform(context)
        except UserError as error:
            return refuse(self, context, error)
        forget_problem(context)
        return {"FINISHED"}


class OnAvatar:
    """Mixin: the operator works on the active avatar."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return needs_avatar(cls, context)


class StartsNow:
    """Mixin for an operator that reads a chosen file and keys what it says from the frame `start` on."""

    start: IntProperty(
        name="Start",
        description="Frame of the file's first moment; the current frame if not set",
        default=1,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.start_now(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def start_now(self, context: bpy.types.Context) -> None:
        """Sets `start` to the current frame unless it was given."""
        if not self.properties.is_property_set("start"):
            self.start = context.scene.frame_current


class SaveDialog:
    """Mixin for an operator that writes `filepath`, whose name ends in the class's `suffix`."""

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    check_existing: BoolProperty(default=True, options={"HIDDEN"})
    suffix = ""

    def check(self, _context) -> bool:
        """Adds the suffix while the dialog is open, so that Blender warns before a file is overwritten."""
        typed = self.filepath
        if bpy.path.basename(typed):
            self.filepath = bpy.path.ensure_ext(typed, self.suffix)
        return self.filepath != typed

    def path(self) -> Path:
        """The absolute path of the file to write; UserError when none was given."""
        if not self.filepath:
            raise UserError("No file was chosen.", "Give a file path.")
        return Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), self.suffix))


def beside_blend(name: str) -> Path:
    """A file of that name beside the .blend, numbered where one exists. UnsavedFile without a .blend."""
    if not bpy.data.filepath:
        raise UnsavedFile(
            "The avatar is written beside the .blend file, which is not saved yet.",
            "Save the .blend, or give a file path.",
        )
    return unused(Path(bpy.data.filepath).parent / name)


def unused(path: Path) -> Path:
    """The path, with a number appended where the file exists."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def writable(path: Path) -> Path:
    """The path; UserError for a folder that cannot be written to."""
    from ..backend.files import require_writable

    require_writable(path)
    return path


def refuse(operator: bpy.types.Operator, context: bpy.types.Context, error: UserError) -> set[str]:
    """Reports an error, stores it for the panel, and cancels the operator."""
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
            "PyTorch, which avatars need, is not installed in this Blender.",
            "Press Install PyTorch.",
        )
