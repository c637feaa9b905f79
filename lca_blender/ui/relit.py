# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of relit sequences: the lights with their pictures, what is written, progress."""

import bpy

from ..backend import jobs
from .previews import icon_of
from .sidebar import Sidebar, paragraph

PRESETS = (("COMPOSITING", "Compositing"), ("FULL", "Full Floats"), ("REVIEW", "Review"))


class LCA_UL_relit_lights(bpy.types.UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property, _index=0):
        row = layout.row(align=True)
        if item.rig is not None:
            row.label(text=item.rig.name, icon="OUTLINER_COLLECTION")
            return
        icon = icon_of(bpy.path.abspath(item.path))
        name = bpy.path.display_name_from_filepath(item.path)
        row.label(text=name, **({"icon_value": icon} if icon else {"icon": "ERROR"}))
        row.prop(item, "rotation", text="")


class LCA_PT_relit(Sidebar, bpy.types.Panel):
    bl_label = "Relit Sequences"
    bl_order = 7
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, relit = self.layout, context.scene.lca.relit
        row = layout.row()
        row.template_list("LCA_UL_relit_lights", "", relit, "lights", relit, "active_light", rows=4)
        buttons = row.column(align=True)
        buttons.operator("lca.add_relit_maps", text="", icon="ADD")
        buttons.operator("lca.remove_relit_light", text="", icon="REMOVE")
        buttons.separator()
        buttons.operator("lca.add_studio_maps", text="", icon="WORLD")
        buttons.operator("lca.add_relit_rigs", text="", icon="OUTLINER_OB_LIGHT")
        if 0 <= relit.active_light < len(relit.lights):
            draw_light(layout, relit.lights[relit.active_light])
        row = layout.row(align=True)
        for preset, label in PRESETS:
            row.operator("lca.relit_preset", text=label).preset = preset
        column = layout.column()
        column.prop(relit, "output", text="")
        column.row().prop(relit, "kind", expand=True)
        if relit.kind != "PNG":
            column.row().prop(relit, "depth", expand=True)
        column.prop(relit, "all_cameras")
        row = column.row(align=True)
        row.prop(relit, "movie")
        row.prop(relit, "sheet")
        column.prop(relit, "workers")
        if (job := jobs.current()) is not None:
            layout.progress(factor=job.fraction, text=job.message or job.name)
            layout.label(text="Esc stops; what is finished stays")
            return
        big = layout.column()
        big.scale_y = 1.5
        big.operator("lca.render_relit", icon="RENDER_ANIMATION")
        layout.operator("lca.write_relit_job", icon="EXPORT")


def draw_light(layout, light) -> None:
    """The chosen light: its picture, turned and as strong as it will be."""
    if light.rig is not None:
        layout.prop(light, "rig", text="")
        return
    path = bpy.path.abspath(light.path)
    if icon := icon_of(path):
        layout.template_icon(icon_value=icon, scale=6)
    else:
        paragraph(layout, f"{bpy.path.basename(path)} is missing.", "ERROR")
    row = layout.row(align=True)
    row.prop(light, "rotation")
    row.prop(light, "strength")


CLASSES = (LCA_UL_relit_lights, LCA_PT_relit)
