# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a world of any nodes light avatars."""

import bpy

from ..scene.bake_world import bake_world
from .common import Attempt


class LCA_OT_bake_world(Attempt, bpy.types.Operator):
    """Draw the world by Cycles into a picture that lights avatars. Bake again when the world has changed"""

    bl_idname = "lca.bake_world"
    bl_label = "Bake World"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        bake_world(context.scene)


CLASSES = (LCA_OT_bake_world,)
