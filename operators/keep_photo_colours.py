# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the scene's colour management show avatars in the colours of their photos."""

import bpy

from ..engine.panels import PHOTO_COLOURS


class LCA_OT_keep_photo_colours(bpy.types.Operator):
    """Set the scene's view transform to Standard: colours are shown as they are in the photos, and bright
    lights no longer fade to white softly, as under AgX and Filmic"""

    bl_idname = "lca.keep_photo_colours"
    bl_label = "Keep Photo Colours"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.view_settings.view_transform not in PHOTO_COLOURS

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.view_settings
        settings.view_transform = PHOTO_COLOURS[0]
        settings.look = "None"
        return {"FINISHED"}


CLASSES = (LCA_OT_keep_photo_colours,)
