# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar in the Properties editor's Object tab, for every render engine, and in the menu Add."""

import bpy

from ..scene.avatar_data import is_avatar


class LCA_PT_object(bpy.types.Panel):
    bl_label = "LCA Avatar"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "object"

    @classmethod
    def poll(cls, context):
        return context.object is not None and is_avatar(context.object)

    def draw(self, context):
        layout, avatar = self.layout, context.object
        layout.use_property_split = True
        layout.prop(avatar.lca, "filepath", text="File")
        layout.prop(avatar.lca, "lit_by")
        layout.prop(avatar.lca, "hide_proxy")
        layout.operator("lca.show_avatar", icon="SHADING_RENDERED")


def add_menu(self, _context) -> None:
    self.layout.separator()
    self.layout.operator("lca.import_avatar", text="LCA Avatar", icon="USER")


def register() -> None:
    bpy.types.VIEW3D_MT_add.append(add_menu)


def unregister() -> None:
    bpy.types.VIEW3D_MT_add.remove(add_menu)


CLASSES = (LCA_PT_object,)
