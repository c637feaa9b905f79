# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces in Blender's asset browser and in an asset shelf of the 3D view."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..backend.errors import UserError
from ..backend.face.channels import PARTS, Face, swapped
from ..backend.face.own import checked_name
from ..scene.avatar_data import active_avatar
from ..scene.face import face_of
from ..scene.face_assets import (
    TAG,
    face_in_library,
    face_of_action,
    face_picture,
    make_face_action,
    write_to_library,
)
from .common import Attempt, OnAvatar, need_torch
from .face_presets import HoldsPart, Mixed


class LCA_OT_save_face_asset(HoldsPart, OnAvatar, Attempt, bpy.types.Operator):
    """Keep the present face as an action asset with a picture, for Blender's asset browser"""

    bl_idname = "lca.save_face_asset"
    bl_label = "Save Face as Asset"
    bl_options = {"REGISTER", "UNDO"}

    face: StringProperty(name="Name", default="Face")
    library: StringProperty(name="Library", description="Asset library to save to; empty: this .blend")

    def invoke(self, context: bpy.types.Context, _event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop(self, "face")
        self.layout.prop(self, "part")
        self.layout.prop_search(self, "library", context.preferences.filepaths, "asset_libraries")

    def perform(self, context: bpy.types.Context) -> None:
        name, obj = checked_name(self.face), active_avatar(context)
        folder = library_folder(self.library) if self.library else None
        need_torch()
        picture = face_picture(obj, context.evaluated_depsgraph_get())
        action = make_face_action(name, face_of(obj, PARTS[self.part]), picture)
        if folder is None:
            self.report({"INFO"}, f"\u201c{action.name}\u201d is an asset of this .blend: save it")
            return
        try:
            path = write_to_library(action, folder)
        except UserError:
            bpy.data.actions.remove(action)
            raise
        if bpy.ops.asset.library_refresh.poll():
            bpy.ops.asset.library_refresh()
        self.report({"INFO"}, f"\u201c{name}\u201d was saved to {path}")


class LCA_OT_apply_face_asset(Mixed, bpy.types.Operator):
    """Set the face of the active avatar to an asset's, or mix it into the present face"""

    bl_idname = "lca.apply_face_asset"
    bl_label = "Apply Face"

    action: StringProperty(name="Action", description="An action of this .blend", options={"SKIP_SAVE"})
    mirror: BoolProperty(name="Mirror", description="With left and right exchanged", options={"SKIP_SAVE"})
    # Blender's own names: an asset shelf sets them.
    asset_library_type: EnumProperty(
        items=[(one, one.title(), "") for one in ("LOCAL", "CUSTOM", "ESSENTIALS", "ALL")],
        options={"HIDDEN", "SKIP_SAVE"},
    )
    asset_library_identifier: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    relative_asset_identifier: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event) -> set[str]:
        """The asset that was clicked; the redo panel then goes on with its face."""
        settings = context.scene.lca
        for name, value in (("strength", settings.face_amount), ("add", settings.face_add)):
            if not self.properties.is_property_set(name):
                setattr(self, name, value)
        asset = getattr(context, "asset", None)
        if not self.action and not self.relative_asset_identifier and asset is not None:
            if asset.local_id is not None:
                self.action = asset.local_id.name
            else:
                self.asset_library_type = "ALL"
                self.relative_asset_identifier = f"{asset.full_library_path}/Action/{asset.name}"
        return self.execute(context)

    def wanted(self) -> Face:
        face = self._found()
        return swapped(face) if self.mirror else face

    def _found(self) -> Face:
        file, _, name = self.relative_asset_identifier.replace("\\", "/").rpartition("/Action/")
        if self.relative_asset_identifier.startswith("Action/"):
            name = self.relative_asset_identifier.removeprefix("Action/")
        local = self.action or (name if not file else "")
        if local:
            if local not in bpy.data.actions:
                raise UserError(
                    f"This .blend has no action called \u201c{local}\u201d.", "Choose another one."
                )
            return face_of_action(bpy.data.actions[local])
        if not file:
            raise UserError("No asset was chosen.", "Choose a face in the asset browser.")
        path = Path(file)
        if not path.is_absolute():
            path = library_folder(self.asset_library_identifier) / path
        return face_in_library(path, name)


class LCA_AST_faces(bpy.types.AssetShelf):
    """Faces under the 3D view, applied by a click."""

    bl_space_type = "VIEW_3D"
    bl_idname = "LCA_AST_faces"
    bl_activate_operator = "LCA_OT_apply_face_asset"
    bl_default_preview_size = 96

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT" and active_avatar(context) is not None

    @classmethod
    def asset_poll(cls, asset: bpy.types.AssetRepresentation) -> bool:
        return is_face(asset)

    @classmethod
    def draw_context_menu(cls, _context, _asset, layout) -> None:
        draw_menu(layout)


def is_face(asset: bpy.types.AssetRepresentation) -> bool:
    return asset.id_type == "ACTION" and any(tag.name == TAG for tag in asset.metadata.tags)


def draw_menu(layout: bpy.types.UILayout) -> None:
    layout.operator_context = "INVOKE_DEFAULT"
    for text, values in (
        ("Apply Face", {"strength": 1.0}),
        ("Apply Face Mirrored", {"strength": 1.0, "mirror": True}),
        ("Apply Face by Half", {"strength": 0.5}),
        ("Add Face", {"strength": 1.0, "add": True}),
    ):
        button = layout.operator("lca.apply_face_asset", text=text)
        for name, value in {"add": False, **values}.items():
            setattr(button, name, value)


def browser_menu(self, context: bpy.types.Context) -> None:
    """In the asset browser's context menu, on a face."""
    asset = getattr(context, "asset", None)
    if asset is not None and is_face(asset):
        self.layout.separator()
        draw_menu(self.layout)


def library_folder(name: str) -> Path:
    """Where a user's asset library is; UserError for an unknown one."""
    library = bpy.context.preferences.filepaths.asset_libraries.get(name)
    if library is None:
        raise UserError(
            f"There is no asset library called \u201c{name}\u201d.", "Choose one of the preferences."
        )
    return Path(bpy.path.abspath(library.path))


def register() -> None:
    bpy.types.ASSETBROWSER_MT_context_menu.append(browser_menu)


def unregister() -> None:
    bpy.types.ASSETBROWSER_MT_context_menu.remove(browser_menu)


CLASSES = (LCA_OT_save_face_asset, LCA_OT_apply_face_asset, LCA_AST_faces)
