# SPDX-License-Identifier: GPL-3.0-or-later
"""The LCA tab of the 3D view's sidebar: photos, the avatar, its rig, light, rendering; `face.py` its face."""

import json
from pathlib import Path

import bpy

from ..backend import jobs
from ..engine.engine import ENGINE
from ..engine.panels import draw_view_transform
from ..preferences import installed
from ..scene.armature import rig_of
from ..scene.avatar_data import active_avatar, albedo_remarks, avatar_problem, is_packed, present_rig
from ..scene.lights import light_remarks
from ..scene.proxy_shape import not_followed
from ..scene.rest_pose import is_off_rig, kept_rig
from ..scene.world_light import world_light
from .lists import joint_label
from .previews import icon_of

OFF_RIG = (
    "The avatar does not lie on its rig's rest pose and bends about other points. Find Again binds it anew; "
    "for the same motion elsewhere, instance the collection of both."
)
VIEWS, PICTURES = ("front", "left", "back", "right"), Path(__file__).with_name("views")
WRAP = 34  # characters that fit a sidebar of the default width


class Sidebar:
    """The place of all panels of this file."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LCA"


class AvatarPanel(Sidebar):
    """A panel that is shown when an avatar is active."""

    @classmethod
    def poll(cls, context):
        return active_avatar(context) is not None


def paragraph(layout, text: str, icon: str = "NONE") -> None:
    """Text over as many lines as it needs; the icon stands before the first."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    line, first = "", True
    for word in [*text.split(), None]:
        if word is not None and len(line) + len(word) < WRAP:
            line = f"{line} {word}".strip()
            continue
        if line:
            column.label(text=line, icon=icon if first else ("BLANK1" if icon != "NONE" else "NONE"))
            first = False
        line = word or ""


def draw_problem(layout, properties) -> None:
    """The last error, its remedy, and a button for the operator that fixes it."""
    if not properties.message:
        return
    box = layout.box()
    box.alert = True
    paragraph(box, properties.message, "ERROR")
    if properties.remedy:
        paragraph(box, properties.remedy)
    if properties.remedy_operator:
        box.operator(properties.remedy_operator)


def draw_photo(layout, photo, number: int) -> None:
    """The result for a photo: the fitted body over it, what it shows, and the choice of the person; its pose
    by hand."""
    if photo.state == "NEW":
        return
    box = layout.box()
    if icon := icon_of(photo.overlay):
        box.template_icon(icon_value=icon, scale=9)
    box.alert = photo.state == "REFUSED"
    paragraph(box, photo.shows)
    if photo.people and len(json.loads(photo.people)) > 1:
        row = box.row(align=True)
        row.prop(photo, "person")
        row.operator("lca.choose_person", text="", icon="EYEDROPPER")
    if photo.pose:
        box.operator("lca.show_photo", icon="CAMERA_DATA")
    if photo.camera:
        row = box.row(align=True)
        row.operator("lca.use_pose", text=f"Use This Pose for Photo {number}", depress=bool(photo.given))
        if photo.given:
            row.operator("lca.forget_pose", text="", icon="X")


def draw_advice(layout) -> None:
    """Which photos make a good avatar: four little pictures, and a sentence."""
    row = layout.row(align=True)
    for view in VIEWS:
        column = row.column(align=True)
        column.template_icon(icon_value=icon_of(str(PICTURES / f"{view}.png")), scale=4)
        caption = column.row()
        caption.alignment = "CENTER"
        caption.label(text=view.title())
    paragraph(
        layout,
        "Add one to four photos of one person, whole and sharp, or drop them here. One from the front is "
        "enough; each further side is one less to complete.",
        "INFO",
    )


def is_shown(context) -> bool:
    """Whether the current 3D view shows avatars, as far as there is one."""
    shading = getattr(getattr(context, "space_data", None), "shading", None)
    return context.scene.render.engine == ENGINE and (shading is None or shading.type == "RENDERED")


class LCA_PT_photos(Sidebar, bpy.types.Panel):
    bl_label = "Photos"
    bl_order = 0

    def draw_header_preset(self, _context):
        self.layout.operator("lca.open_manual", text="", icon="HELP", emboss=False)

    def draw(self, context):
        layout, properties = self.layout, context.scene.lca
        draw_problem(layout, properties)
        if installed("torch") is None:
            paragraph(layout, "PyTorch is not installed in this Blender.", "ERROR")
            layout.operator("lca.install_torch", icon="IMPORT")
        row = layout.row()
        row.template_list("LCA_UL_photos", "", properties, "photos", properties, "active_photo", rows=4)
        buttons = row.column(align=True)
        buttons.operator("lca.add_photos", text="", icon="ADD")
        buttons.operator("lca.remove_photo", text="", icon="REMOVE")
        buttons.separator()
        buttons.operator("lca.clear_photos", text="", icon="X")
        if 0 <= properties.active_photo < len(properties.photos):
            number = properties.active_photo
            draw_photo(layout, properties.photos[number], number + 1)
        job = jobs.current()
        if job is not None:
            layout.progress(factor=job.fraction, text=job.message or job.name)
            layout.label(text="Esc cancels")
            return
        if not properties.photos:
            draw_advice(layout)
        big = layout.column()
        big.scale_y = 1.5
        big.operator("lca.create_avatar", icon="USER")
        if properties.photos:
            layout.prop(properties, "budget")
        layout.operator("lca.import_avatar", icon="FILE_FOLDER")


class LCA_PT_avatar(AvatarPanel, bpy.types.Panel):
    bl_label = "Avatar"
    bl_order = 1

    def draw(self, context):
        layout, avatar = self.layout, active_avatar(context)
        if not is_shown(context):
            layout.operator("lca.show_avatar", icon="SHADING_RENDERED")
        row = layout.row(align=True)
        row.prop(avatar.lca, "filepath", text="")
        if is_packed(avatar):
            row.operator("lca.unpack_avatar", text="", icon="PACKAGE")
        else:
            row.operator("lca.pack_avatar", text="", icon="UGLYPACKAGE")
        problem = avatar_problem(avatar)
        if problem is not None:
            box = layout.box()
            box.alert = True
            paragraph(box, problem.message, "ERROR")
            paragraph(box, problem.remedy)
        for line in avatar.lca.warnings.splitlines():
            paragraph(layout, line, "INFO")
        layout.operator("lca.show_seen", icon="HIDE_OFF", depress=avatar.lca.show_seen)
        row = layout.row(align=True)
        row.operator("lca.erase_splats", icon="SELECT_SUBTRACT")
        if avatar.lca.erased:
            row.operator("lca.restore_erased", text="", icon="LOOP_BACK")
        row = layout.row(align=True)
        row.operator("lca.paint_to_erase", icon="WPAINT_HLT")
        row.operator("lca.erase_painted")
        layout.operator("lca.render_for_repaint", icon="IMAGE_DATA")
        if avatar.lca.painted:
            column = layout.column(align=True)
            column.prop(avatar.lca, "painted", text="")
            column.operator("lca.repaint", icon="BRUSH_DATA")
        layout.operator("lca.use_character_shape", icon="MOD_MESHDEFORM")
        layout.operator("lca.textured_mesh", icon="OUTLINER_OB_MESH")
        row = layout.row(align=True)
        row.operator("lca.export_avatar", icon="EXPORT")
        row.operator("lca.export_ply")


class LCA_PT_bind(AvatarPanel, bpy.types.Panel):
    bl_label = "Rig"
    bl_order = 2

    def draw(self, context):
        layout, avatar = self.layout, active_avatar(context)
        properties, rig = avatar.lca, present_rig(avatar, context.scene)
        if rig is None:
            if properties.armature is not None:
                gone = properties.armature.name
                paragraph(layout, f"\u201c{gone}\u201d is no longer in this scene.", "ERROR")
                layout.operator("lca.save_bone_map", icon="FILE_TICK")
                layout.operator("lca.unbind", icon="UNLINKED")
            elif kept_rig(avatar.data):
                paragraph(layout, "The armature was deleted; the avatar stays in its rest pose.", "ERROR")
                layout.operator("lca.unbind", icon="UNLINKED")
            paragraph(
                layout, "Select the avatar and an armature: Rigify, Mixamo, VRM, Unreal, MHR and others."
            )
            layout.operator("lca.bind_to_armature", icon="ARMATURE_DATA")
            layout.operator("lca.add_rig", icon="ADD")
            layout.operator("lca.fit_rig", icon="MOD_ARMATURE")
            layout.operator("lca.load_bone_map", icon="FILE_FOLDER")
            return
        row = layout.row(align=True)
        row.label(text=rig.name, icon="ARMATURE_DATA")
        row.operator("lca.unbind", text="", icon="UNLINKED")
        if is_off_rig(avatar, rig_of(rig)):
            paragraph(layout, OFF_RIG, "INFO")
        for name in not_followed(avatar):
            paragraph(layout, f"Splats do not follow \u201c{name}\u201d, which makes another mesh.", "INFO")
        missing = sum(not pair.bone for pair in properties.bone_map)
        if missing:
            paragraph(layout, f"{missing} joints have no bone and follow their parent joint.", "INFO")
        layout.template_list("LCA_UL_bone_map", "", properties, "bone_map", properties, "active_bone", rows=6)
        if 0 <= properties.active_bone < len(properties.bone_map):
            pair = properties.bone_map[properties.active_bone]
            column = layout.column(align=True)
            column.label(text=joint_label(pair.joint), icon="BONE_DATA")
            column.prop_search(pair, "bone", rig.data, "bones", text="")
        row = layout.row(align=True)
        row.operator("lca.apply_bone_map", icon="CHECKMARK")
        row.operator("lca.bind_to_armature", text="Find Again", icon="VIEWZOOM")
        layout.operator("lca.fit_rig", icon="MOD_ARMATURE")
        row = layout.row(align=True)
        row.operator("lca.save_bone_map", icon="FILE_TICK")
        row.operator("lca.load_bone_map", icon="FILE_FOLDER")


class LCA_PT_light(AvatarPanel, bpy.types.Panel):
    bl_label = "Light"
    bl_order = 4

    def draw(self, context):
        layout, avatar = self.layout, active_avatar(context)
        layout.label(text="Lit by")
        layout.row().prop(avatar.lca, "lit_by", expand=True)
        if avatar.lca.lit_by != "SCENE":
            return
        for line in [*light_remarks(context.scene), *albedo_remarks(avatar)]:
            paragraph(layout, line, "INFO")
        if world_light(context.scene).remarks:
            layout.operator("lca.bake_world", icon="WORLD")


class LCA_PT_look(AvatarPanel, bpy.types.Panel):
    bl_label = "Colour"
    bl_order = 5
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, avatar = self.layout, active_avatar(context)
        layout.use_property_split = True
        column = layout.column()
        for name in ("exposure", "tint", "saturation", "sharpness"):
            column.prop(avatar.lca, name)
        draw_view_transform(layout, context.scene)


class LCA_PT_render(Sidebar, bpy.types.Panel):
    bl_label = "Render"
    bl_order = 6
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, scene = self.layout, context.scene
        layout.prop(scene.render, "engine", text="")
        if scene.render.engine != ENGINE:
            paragraph(
                layout,
                "Other engines show the avatar's proxy body. Choose LCA Gaussians for the avatar.",
                "INFO",
            )
        else:
            layout.prop(scene.lca, "meshes")
        layout.prop(scene.lca, "viewport_quality")
        avatar = active_avatar(context)
        if avatar is not None:
            layout.prop(avatar.lca, "hide_proxy")
        if scene.camera is None:
            paragraph(layout, "This scene has no camera to render from.", "ERROR")


CLASSES = (LCA_PT_photos, LCA_PT_avatar, LCA_PT_bind, LCA_PT_light, LCA_PT_look, LCA_PT_render)
