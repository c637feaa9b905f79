# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of scenes, worlds and view layers."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

from .photos import LCA_Photo
from .relit import LCA_Relit


class LCA_SceneProperties(PropertyGroup):
    """The photos for *Create Avatar*, the last error, and settings of the render engine."""

    photos: CollectionProperty(type=LCA_Photo)
    active_photo: IntProperty(name="Active Photo")
    budget: IntProperty(
        name="Budget",
        description="The most Gaussians that Create Avatar lays for the photos' pixels, beside the 170,000 "
        "of the body; 0: as many as the photos need",
        default=0,
        min=0,
        soft_max=500_000,
        step=10_000,
    )
    message: StringProperty(name="Message", description="The last error")
    remedy: StringProperty(name="Remedy", description="How to fix the last error")
    remedy_operator: StringProperty(name="Fix", description="Operator that fixes the last error")
    viewport_quality: EnumProperty(
        name="Viewport",
        description="Resolution of the viewport while something moves",
        items=[
            ("AUTO", "Automatic", "Full resolution on fast machines, reduced on slow ones"),
            ("FULL", "Full", "Always full resolution"),
            ("HALF", "Half", "Half resolution while something moves"),
        ],
        default="AUTO",
    )
    face_amount: FloatProperty(
        name="Amount",
        description="How far the face goes towards an expression that is clicked",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
    )
    face_add: BoolProperty(
        name="Add",
        description="Expressions that are clicked are added to the present face instead of replacing it",
    )
    meshes: EnumProperty(
        name="Meshes",
        description="How the scene's meshes come into the picture, before and behind avatars",
        items=[
            (
                "CYCLES",
                "Cycles",
                "By Cycles, with its lights, materials, film and denoiser; avatars cast shadows "
                "by their proxies and show in mirrors and through glass as these",
            ),
            ("CLAY", "Clay", "Plain grey, at once"),
            ("HIDDEN", "Hidden", "Not shown: for compositing over another engine's render of the same scene"),
        ],
        default="CLAY",
    )
    meshes_hide_avatars: BoolProperty(
        name="Meshes Hide Avatars",
        description="Meshes that are not shown hide avatars behind them and are holdouts, so that "
        "the picture can be composited over another engine's render of the same scene",
        default=True,
    )
    relit: PointerProperty(type=LCA_Relit)
    motion_blur_steps: IntProperty(
        name="Steps",
        description="Number of pictures averaged for a motion-blurred frame",
        default=16,
        min=2,
        soft_max=64,
        max=1024,
    )
    lens_samples: IntProperty(
        name="Lens Samples",
        description="Number of pictures, each from another point of the lens, averaged for depth of field",
        default=32,
        min=4,
        soft_max=64,
        max=1024,
    )


class LCA_WorldProperties(PropertyGroup):
    baked: PointerProperty(
        name="Baked World",
        description="Picture of the world, which lights avatars where its nodes cannot be read",
        type=bpy.types.Image,
    )


class LCA_ViewLayerProperties(PropertyGroup):
    """Passes that Blender has no property for."""

    use_pass_alpha: BoolProperty(
        name="Alpha", description="Coverage of the avatars, also with an opaque film"
    )
    use_pass_albedo: BoolProperty(
        name="Albedo", description="Colour of the avatars without light; of those lit by photos, all of it"
    )
    use_pass_diffuse_light: BoolProperty(
        name="Diffuse Light", description="Light on the avatars' matte surface, which multiplies the albedo"
    )
    use_pass_specular: BoolProperty(
        name="Specular", description="Highlights and reflections, which are added to albedo times light"
    )


CLASSES = (LCA_SceneProperties, LCA_WorldProperties, LCA_ViewLayerProperties)
