# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of Blender's own panels show with this engine, and the engine's own panels."""

import bpy

from ..scene.avatar_data import is_avatar
from .engine import ENGINE

SHOWN = (
    "RENDER_PT_",
    "VIEWLAYER_PT_",
    "CAMERA_PT_",
    "DATA_PT_",
    "OBJECT_PT_",
    "WORLD_PT_",
    "MATERIAL_PT_custom_props",
)
HIDDEN = ("freestyle", "simplify", "gpencil", "grease_pencil", "stereoscopy", "VIEWLAYER_PT_layer_passes")
EEVEES = {"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"}  # as Blender's versions call it
PHOTO_COLOURS = ("Standard", "Raw")  # view transforms that show colours as the avatar's photos do
# EEVEE's, for the set and its lamps: a scene is dressed without leaving this engine.
BORROWED = ("EEVEE_WORLD_PT_surface", "EEVEE_MATERIAL_PT_", "MATERIAL_PT_preview", "DATA_PT_EEVEE_light")


class LCA_PT_passes(bpy.types.Panel):
    bl_label = "Passes"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "view_layer"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context):
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context):
        layout, layer = self.layout, context.view_layer
        layout.use_property_split = True
        column = layout.column(heading="Include")
        column.prop(layer, "use_pass_z", text="Depth")
        column.prop(layer, "use_pass_normal", text="Normal")
        column.prop(layer.lca, "use_pass_alpha")
        for name in ("albedo", "diffuse_light", "specular"):
            column.prop(layer.lca, f"use_pass_{name}")


class LCA_PT_film(bpy.types.Panel):
    bl_label = "LCA Gaussians"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context):
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context):
        layout, scene = self.layout, context.scene
        layout.use_property_split = True
        layout.prop(scene.render, "film_transparent", text="Transparent Film")
        layout.prop(scene.view_settings, "view_transform")
        if scene.view_settings.view_transform not in PHOTO_COLOURS:
            layout.label(text="Standard keeps the photos' colours", icon="INFO")
        layout.prop(scene.lca, "meshes")
        if scene.lca.meshes == "HIDDEN":
            layout.prop(scene.lca, "meshes_hide_avatars")
        layout.prop(scene.render, "use_motion_blur")
        blur = layout.column()
        blur.active = scene.render.use_motion_blur
        blur.prop(scene.render, "motion_blur_position")
        blur.prop(scene.render, "motion_blur_shutter")
        blur.prop(scene.lca, "motion_blur_steps", text="Blur Steps")
        lens = layout.column()
        lens.active = bool(scene.camera and scene.camera.type == "CAMERA" and scene.camera.data.dof.use_dof)
        lens.prop(scene.lca, "lens_samples")
        layout.prop(scene.lca, "viewport_quality")


class LCA_PT_visibility(bpy.types.Panel):
    bl_label = "Camera"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "object"
    bl_parent_id = "OBJECT_PT_visibility"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context):
        return context.engine in cls.COMPAT_ENGINES and context.object is not None

    def draw(self, context):
        layout, obj = self.layout, context.object
        layout.use_property_split = True
        column = layout.column(heading="Ray Visibility")
        column.prop(obj, "visible_camera", text="Camera")
        column = layout.column(heading="Mask")
        column.prop(obj, "is_holdout", text="Holdout")
        if is_avatar(obj):
            layout.prop(obj.lca, "hide_proxy")


CLASSES = (LCA_PT_passes, LCA_PT_film, LCA_PT_visibility)


def adopted() -> list[type]:
    """Blender's panels for this engine: the engine-independent ones, materials, lamps, the world's colour."""
    found = []
    for panel in bpy.types.Panel.__subclasses__():
        name, engines = panel.__name__, getattr(panel, "COMPAT_ENGINES", ())
        general = (
            "BLENDER_RENDER" in engines
            and name.startswith(SHOWN)
            and not any(word in name for word in HIDDEN)
            and name != "DATA_PT_light"  # EEVEE's has power and colour
        )
        if general or (name.startswith(BORROWED) and engines & EEVEES):
            found.append(panel)
    return found


def adopt() -> None:
    """Adds this engine to the panels' COMPAT_ENGINES."""
    for panel in adopted():
        panel.COMPAT_ENGINES.add(ENGINE)


def release() -> None:
    for panel in bpy.types.Panel.__subclasses__():
        if panel not in CLASSES:
            getattr(panel, "COMPAT_ENGINES", set()).discard(ENGINE)
