# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of lights for *Render Relit Sequences*, and settings for usual ends."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, EnumProperty, StringProperty

from ..backend.errors import UserError
from ..backend.relit.job import MAPS
from ..scene.avatar_data import relative_if_saved
from .common import Attempt

PRESETS = {  # kind of pictures, bits of OpenEXR, films, sheet
    "COMPOSITING": ("EXR", "16", True, True),
    "FULL": ("EXR", "32", True, True),
    "REVIEW": ("PNG", "16", True, True),
}


class LCA_OT_add_relit_maps(Attempt, bpy.types.Operator):
    """Add environment maps to the lights: files, or with none chosen the folder's"""

    bl_idname = "lca.add_relit_maps"
    bl_label = "Add Maps"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(subtype="DIR_PATH")
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        folder = Path(bpy.path.abspath(self.directory))
        chosen = [folder / one.name for one in self.files if one.name]
        if not chosen and folder.is_dir():
            chosen = sorted(one for one in folder.iterdir() if one.suffix.lower() in MAPS)
        add_maps(context.scene, chosen)


class LCA_OT_add_studio_maps(Attempt, bpy.types.Operator):
    """Add the environment maps that come with Blender to the lights"""

    bl_idname = "lca.add_studio_maps"
    bl_label = "Add Blender's Maps"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        places = (bpy.utils.resource_path(kind) for kind in ("LOCAL", "SYSTEM"))  # SYSTEM: a distribution's
        maps = (Path(place, "datafiles", "studiolights", "world").glob("*.exr") for place in places if place)
        add_maps(context.scene, sorted({file for found in maps for file in found}))


class LCA_OT_add_relit_rigs(Attempt, bpy.types.Operator):
    """Add every collection of the scene that holds lamps to the lights"""

    bl_idname = "lca.add_relit_rigs"
    bl_label = "Add Light Rigs"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        lights = context.scene.lca.relit.lights
        there = {light.rig for light in lights}
        rigs = [
            one
            for one in context.scene.collection.children_recursive
            if one not in there and any(obj.type == "LIGHT" for obj in one.objects)
        ]
        if not rigs:
            raise UserError("No further collection holds lamps.", "Put the lamps of a rig in a collection.")
        for rig in rigs:
            lights.add().rig = rig


class LCA_OT_remove_relit_light(bpy.types.Operator):
    """Remove the chosen light from the list"""

    bl_idname = "lca.remove_relit_light"
    bl_label = "Remove Light"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        relit = context.scene.lca.relit
        return 0 <= relit.active_light < len(relit.lights)

    def execute(self, context: bpy.types.Context) -> set[str]:
        relit = context.scene.lca.relit
        relit.lights.remove(relit.active_light)
        relit.active_light = max(min(relit.active_light, len(relit.lights) - 1), 0)
        return {"FINISHED"}


class LCA_OT_relit_preset(bpy.types.Operator):
    """Set what is written for a usual end"""

    bl_idname = "lca.relit_preset"
    bl_label = "Relit Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Preset",
        items=[
            ("COMPOSITING", "Compositing", "OpenEXR, half floats, all passes"),
            ("FULL", "Full Floats", "OpenEXR, 32 bits, all passes"),
            ("REVIEW", "Review", "PNG and films"),
        ],
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        relit = context.scene.lca.relit
        relit.kind, relit.depth, relit.movie, relit.sheet = PRESETS[self.preset]
        return {"FINISHED"}


def add_maps(scene: bpy.types.Scene, paths: list[Path]) -> None:
    """Adds environment maps that are not in the list yet. UserError where there is none."""
    lights = scene.lca.relit.lights
    there = {bpy.path.abspath(light.path) for light in lights}
    wanted = [path for path in paths if path.suffix.lower() in MAPS]
    if not wanted:
        raise UserError("No environment map was chosen.", f"Choose files of {', '.join(MAPS)}.")
    for path in wanted:
        if str(path) not in there:
            lights.add().path = relative_if_saved(path)


CLASSES = (
    LCA_OT_add_relit_maps,
    LCA_OT_add_studio_maps,
    LCA_OT_add_relit_rigs,
    LCA_OT_remove_relit_light,
    LCA_OT_relit_preset,
)
