# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws every panel of the sidebar into a real layout and leaves: `python draw_panels.py avatar.lca`.

Without a window Blender fills a pop-up's layout and crashes when it comes to showing it, hence a process of
its own that ends inside `draw`. Exit status 0: every panel drew and every list filled its lines.
"""

import os
import sys
import threading
import traceback
from types import SimpleNamespace

import bpy

import lca_blender

bpy.ops.wm.read_factory_settings()
lca_blender.register()

from lca_blender.backend import jobs  # noqa: E402

from lca_blender.ui import face, lists, relit, sidebar  # noqa: E402

lines = {"LCA_UL_photos": 0, "LCA_UL_bone_map": 0}


class LCA_PT_all(bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LCA"
    bl_label = "All"

    def draw(self, context):
        status = 1
        try:
            for panel in (*sidebar.CLASSES, *face.CLASSES, relit.LCA_PT_relit):
                assert not hasattr(panel, "poll") or panel.poll(context), panel
                column = self.layout.column()
                own = {"sliders": getattr(panel, "sliders", ()), "paths": getattr(panel, "paths", ())}
                for draw in (panel.draw, getattr(panel, "draw_header_preset", None)):
                    if draw is not None:
                        draw(SimpleNamespace(layout=column, **own), context)
            for kind in (lists.LCA_UL_photos, lists.LCA_UL_bone_map):
                data = context.scene.lca if kind is lists.LCA_UL_photos else context.object.lca
                name = "photos" if kind is lists.LCA_UL_photos else "bone_map"
                for item in getattr(data, name):
                    kind.draw_item(None, context, self.layout, data, item, 0, data, "")
            draw_other_states(self.layout, context)
            draw_relit(self.layout, context)
            status = 0
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)


def draw_other_states(layout, context):
    """Work under way, and a rig that was deleted."""
    jobs.start(lambda progress, cancelled: threading.Event().wait())
    sidebar.LCA_PT_photos.draw(SimpleNamespace(layout=layout.column()), context)
    rig = context.object.lca.armature
    context.collection.objects.unlink(rig)
    sidebar.LCA_PT_bind.draw(SimpleNamespace(layout=layout.column()), context)


def draw_relit(layout, context):
    """Every light as the chosen one: a map, a rig, a map that is missing; the job is under way."""
    settings = context.scene.lca.relit
    relit.LCA_PT_relit.draw(SimpleNamespace(layout=layout.column()), context)
    for light in settings.lights:
        relit.draw_light(layout, light)
        relit.LCA_UL_relit_lights.draw_item(None, context, layout, settings, light, 0, settings, "")


def main(path):
    import addon_utils  # Blender's own: there once bpy is imported

    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_human_metarig_add()
    rig = bpy.context.object
    bpy.ops.lca.add_photos(files=[{"name": path}])
    bpy.ops.lca.import_avatar(filepath=path)
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    properties = bpy.context.scene.lca
    bpy.ops.lca.add_studio_maps()
    properties.relit.lights.add().rig = bpy.data.collections.new("Rig")
    properties.relit.lights.add().path = "/no/map.exr"
    photo, bpy.context.object.lca.erased = properties.photos[0], "x"
    photo.state, photo.pose, photo.given, photo.camera = "USED", "{}", "{}", bpy.data.objects["Camera"]
    properties.message, properties.remedy, properties.remedy_operator = "Bad.", "Do this.", "lca.add_photos"
    bpy.utils.register_class(LCA_PT_all)
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.wm.call_panel("INVOKE_DEFAULT", name="LCA_PT_all", keep_open=False)
    os._exit(3)


if __name__ == "__main__":
    main(sys.argv[1])
