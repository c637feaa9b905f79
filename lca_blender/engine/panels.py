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
BORROWED = (
    "EEVEE_WORLD_PT_surface",
    "EEVEE_WORLD_PT_mist",
    "DATA_PT_camera_dof",
    "EEVEE_MATERIAL_PT_",
    "MATERIAL_PT_preview",
    "DATA_PT_EEVEE_light",
)


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
        by_cycles = context.scene.lca.meshes == "CYCLES"  # whose own panel has the common ones
        column = layout.column(heading="Include")
        if not by_cycles:
            column.prop(layer, "use_pass_z", text="Depth")
            for name in ("mist", "position", "normal", "vector", "object_index"):
                column.prop(layer, f"use_pass_{name}")
        for name in ("alpha", "albedo", "diffuse_light", "specular"):
            column.prop(layer.lca, f"use_pass_{name}")
        if not by_cycles:
            column = layout.column(heading="Cryptomatte")
            for name in ("object", "material", "asset"):
                column.prop(layer, f"use_pass_cryptomatte_{name}", text=name.title())
            column.prop(layer, "pass_cryptomatte_depth", text="Levels")


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
        draw_view_transform(layout, scene)
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


def draw_view_transform(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """What the view transform does to the photos' colours, and the button that keeps them."""
    name = scene.view_settings.view_transform
    if name in PHOTO_COLOURS:
        return
    column = layout.column(align=True)
    column.label(text=f"{name} changes the photos' colours", icon="INFO")
    column.operator("lca.keep_photo_colours", icon="COLOR")


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
        if context.scene.lca.meshes != "CYCLES":  # whose own panel has these
            column = layout.column(heading="Ray Visibility")
            column.prop(obj, "visible_camera", text="Camera")
            column = layout.column(heading="Mask")
            column.prop(obj, "is_holdout", text="Holdout")
        if is_avatar(obj):
            layout.prop(obj.lca, "hide_proxy")


CLASSES = (LCA_PT_passes, LCA_PT_film, LCA_PT_visibility)


class While(set):
    """A panel's COMPAT_ENGINES that has this engine too while the scene's meshes are of some kinds."""

    def __init__(self, before: set[str], kinds: set[str]):
        super().__init__(before)
        self.before, self.kinds = before, kinds

    def __contains__(self, engine) -> bool:
        return super().__contains__(engine) or (
            engine == ENGINE and bpy.context.scene.lca.meshes in self.kinds
        )


def kinds_for(panel: type) -> set[str]:
    """With which kinds of meshes a panel of Blender is there: the engine-independent ones, Cycles' where it
    renders the meshes, else EEVEE's for materials, lamps and the world's colour."""
    name, engines = panel.__name__, getattr(panel, "COMPAT_ENGINES", ())
    if "CYCLES" in engines and name.startswith("CYCLES_"):
        return {"CYCLES"}
    general = (
        "BLENDER_RENDER" in engines
        and name.startswith(SHOWN)
        and not any(word in name for word in HIDDEN)
        and name != "DATA_PT_light"  # EEVEE's has power and colour
    )
    if not general and not (name.startswith(BORROWED) and engines & EEVEES):
        return set()
    return {"CYCLES", "CLAY", "HIDDEN"} if "CYCLES" in engines else {"CLAY", "HIDDEN"}


def adopted() -> list[type]:
    """Blender's panels that are there with this engine, with some kind of meshes."""
    return [panel for panel in bpy.types.Panel.__subclasses__() if panel not in CLASSES and kinds_for(panel)]


def adopt() -> None:
    """Adds this engine to the panels' COMPAT_ENGINES."""
    for panel in adopted():
        if not isinstance(panel.COMPAT_ENGINES, While):
            panel.COMPAT_ENGINES = While(panel.COMPAT_ENGINES, kinds_for(panel))


def release() -> None:
    for panel in bpy.types.Panel.__subclasses__():
        if isinstance(getattr(panel, "COMPAT_ENGINES", None), While):
            panel.COMPAT_ENGINES = panel.COMPAT_ENGINES.before
