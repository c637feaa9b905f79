# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on the list of photos and films for *Create Avatar*: add, remove, clear."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty

from ..backend.errors import UserError
from ..backend.imaging.accepted import PHOTO_SUFFIXES, SUFFIXES
from ..scene.avatar_data import relative_if_saved
from .common import Attempt

PICTURES = ";".join(f"*{suffix}" for suffix in PHOTO_SUFFIXES)
MOVIES = ";".join(f"*{suffix}" for suffix in SUFFIXES)


def chosen_files(operator: bpy.types.Operator) -> list[Path]:
    """The files of an operator with `files` and `directory`; names may be absolute paths."""
    folder = Path(bpy.path.abspath(operator.directory)) if operator.directory else Path()
    return [folder / bpy.path.abspath(item.name) for item in operator.files if item.name]


def waiting_photos(scene: bpy.types.Scene) -> list[Path]:
    """Absolute paths of the photos and films in the scene's list."""
    return [Path(bpy.path.abspath(photo.path)) for photo in scene.lca.photos]


class LCA_OT_add_photos(Attempt, bpy.types.Operator):
    """Add photos of one person, from any side, or a short film in which the person turns round"""

    bl_idname = "lca.add_photos"
    bl_label = "Add Photos"
    bl_options = {"REGISTER", "UNDO"}

    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: StringProperty(default=f"{PICTURES};{MOVIES}", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.files:  # dropped
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        files = chosen_files(self)
        if not files:
            raise UserError("No photo was chosen.", "Choose one or more picture files, or a film.")
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise UserError(f"These photos were not found: {', '.join(missing[:5])}.", "Choose them again.")
        properties = context.scene.lca
        known = {str(path) for path in waiting_photos(context.scene)}
        for file in files:
            if str(file) not in known:
                known.add(str(file))
                properties.photos.add().path = relative_if_saved(file)
        properties.active_photo = len(properties.photos) - 1


class LCA_FH_photos(bpy.types.FileHandler):
    """Photos and films dropped onto the sidebar; in the view itself Blender makes an image of them."""

    bl_idname = "LCA_FH_photos"
    bl_label = "Photos of a Person"
    bl_import_operator = "lca.add_photos"
    bl_file_extensions = ";".join((*PHOTO_SUFFIXES, *SUFFIXES))

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class LCA_OT_remove_photo(bpy.types.Operator):
    """Remove the active photo from the list; the file is kept"""

    bl_idname = "lca.remove_photo"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_photos(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        properties = context.scene.lca
        index = min(properties.active_photo, len(properties.photos) - 1)
        properties.photos.remove(index)
        properties.active_photo = max(0, min(index, len(properties.photos) - 1))
        return {"FINISHED"}


class LCA_OT_clear_photos(bpy.types.Operator):
    """Remove all photos from the list; the files are kept"""

    bl_idname = "lca.clear_photos"
    bl_label = "Clear Photos"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_photos(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.lca.photos.clear()
        context.scene.lca.active_photo = 0
        return {"FINISHED"}


def has_photos(cls, context: bpy.types.Context) -> bool:
    if not context.scene.lca.photos:
        cls.poll_message_set("There are no photos in the list")
        return False
    return True


CLASSES = (LCA_OT_add_photos, LCA_FH_photos, LCA_OT_remove_photo, LCA_OT_clear_photos)
