# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats over the Solid and Material Preview views, where the preferences and the graphics card allow it.

Blender gives a drawing callback no depth texture, so what the scene's meshes hide is found as in the rendered
view, by drawing their depth; that also keeps an avatar's own proxy from hiding its splats.
"""

import bpy
import gpu
from gpu_extras.presets import draw_texture_2d
from mathutils import Matrix

from ..backend.errors import UserError
from ..log import log, report_once
from ..preferences import preferences

MOST_VIEWS = 16  # regions come and go without a word; beyond this all are forgotten

_views: dict[int, object] = {}  # by the region's address
_said: set[str] = set()
_handle = None


def draw() -> None:
    """Called by Blender after a 3D view's own drawing. Lets no error out: it would be back at every draw."""
    context = bpy.context
    if not wanted(context):
        return
    try:
        from .gpu_support import gpu_draws

        if gpu_draws():
            paint(context, context.evaluated_depsgraph_get())
    except Exception as error:
        if report_once(_said, str(error)) and not isinstance(error, UserError):
            log.exception("Drawing splats over the 3D view failed")


def wanted(context: bpy.types.Context) -> bool:
    """Whether splats belong over this view."""
    shading = getattr(getattr(context, "space_data", None), "shading", None)
    return shading is not None and shading.type in {"SOLID", "MATERIAL"} and preferences().viewport_solid


def paint(context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
    from .viewport import View

    region = context.region
    if region.as_pointer() not in _views and len(_views) >= MOST_VIEWS:
        _views.clear()
    view = _views.setdefault(region.as_pointer(), View(overlay=True))
    view.update_on_gpu(context, depsgraph)
    if view.sets:
        with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.matrix.load_matrix(Matrix.Identity(4))
            gpu.matrix.load_projection_matrix(Matrix.Identity(4))
            gpu.state.depth_test_set("NONE")
            gpu.state.blend_set("ALPHA_PREMULT")
            draw_texture_2d(view.texture, (-1, -1), 2, 2)
            gpu.state.blend_set("NONE")


def mark_stale() -> None:
    """After a change of the scene: its meshes are collected again at the next draw."""
    for view in _views.values():
        view.stale = True


def forget() -> None:
    """Drops what is kept from draw to draw, and lets every error be told once more."""
    _views.clear()
    _said.clear()


def register() -> None:
    global _handle
    _handle = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    forget()
