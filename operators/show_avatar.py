# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts avatars on the screen: the render engine that draws them, and the shading mode that shows it."""

import bpy

from ..engine.engine import ENGINE
from ..scene.avatar_data import active_avatar


class LCA_OT_show_avatar(bpy.types.Operator):
    """Choose LCA Gaussians as the render engine, and the Rendered shading mode for 3D views"""

    bl_idname = "lca.show_avatar"
    bl_label = "Show Avatar"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_avatar(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        show_avatars(context)
        return {"FINISHED"}


def show_avatars(context: bpy.types.Context) -> None:
    """Chooses the engine that draws splats, and Rendered for the 3D views of this screen."""
    context.scene.render.engine = ENGINE
    for area in context.screen.areas if context.screen else ():
        if area.type == "VIEW_3D":
            area.spaces.active.shading.type = "RENDERED"


CLASSES = (LCA_OT_show_avatar,)
