# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats drawn over the Solid and Material Preview views, if the preference is set and the graphics card can.

Blender gives a draw callback no depth texture, so the depth of the scene's meshes is drawn as in the rendered
view; without the avatar's own proxy, which would hide its splats.
"""

import bpy
import gpu
from gpu_extras.presets import draw_texture_2d
from mathutils import Matrix

from ..backend.errors import UserError
from ..log import log, report_once
from ..preferences import preferences

MOST_VIEWS = 16  # Blender does not report closed regions: beyond this number the cache is cleared

_views: dict[int, object] = {}  # by the region's pointer
_reported: set[str] = set()
_handle = None


def draw() -> None:
    """Called by Blender after a 3D view's own drawing. Catches every error, which every draw would repeat."""
    context = bpy.context
    if not wanted(context):
        return
    try:
        from .gpu_support import gpu_draws

        if gpu_draws():
            paint(context, context.evaluated_depsgraph_get())
    except Exception as error:
        if report_once(_reported, str(error)) and not isinstance(error, UserError):
            log.exception("Drawing splats over the 3D view failed")


def wanted(context: bpy.types.Context) -> bool:
    """Whether splats are drawn over this view, by its shading and the preference."""
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
    """Clears the cached views and the reported errors."""
    _views.clear()
    _reported.clear()


def register() -> None:
    global _handle
    _handle = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    forget()
