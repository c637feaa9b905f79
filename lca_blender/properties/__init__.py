# SPDX-License-Identifier: GPL-3.0-or-later
"""What this extension adds to Blender's data: `lca` of objects, scenes, worlds and view layers, and marks on
pictures and materials.
"""

import bpy
from bpy.props import BoolProperty, PointerProperty, StringProperty

from ..scene.proxy_look import INSTALLED
from . import avatar, photos, relit, scene
from .avatar import OVERRIDABLE, LCA_ObjectProperties
from .scene import LCA_SceneProperties, LCA_ViewLayerProperties, LCA_WorldProperties

CLASSES = (*avatar.CLASSES, *photos.CLASSES, *relit.CLASSES, *scene.CLASSES)


def register() -> None:
    bpy.types.Object.lca = PointerProperty(type=LCA_ObjectProperties, override=OVERRIDABLE)
    bpy.types.Scene.lca = PointerProperty(type=LCA_SceneProperties)
    bpy.types.ViewLayer.lca = PointerProperty(type=LCA_ViewLayerProperties)
    bpy.types.World.lca = PointerProperty(type=LCA_WorldProperties)
    bpy.types.Image.lca_view = StringProperty(
        name="View",
        description="Of a picture to paint on: its camera, the avatar's pose, and what it showed, as JSON",
        options={"HIDDEN"},
    )
    # The materials of proxies are driven by it, so that they differ where the extension is missing.
    installed = BoolProperty(name="LCA Installed", default=True, options={"HIDDEN"})
    setattr(bpy.types.Material, INSTALLED, installed)


def unregister() -> None:
    del bpy.types.Image.lca_view
    for owner in (bpy.types.Object, bpy.types.Scene, bpy.types.ViewLayer, bpy.types.World):
        del owner.lca
    delattr(bpy.types.Material, INSTALLED)
