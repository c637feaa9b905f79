# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's meshes by Cycles, which runs inside this engine on the same depsgraph."""

import bpy
import numpy as np

from ..backend.errors import UserError
from ..scene.avatar_data import is_avatar
from .passes import Pictures


def available(scene: bpy.types.Scene) -> bool:
    """Whether Cycles is there: a user can disable it."""
    return hasattr(scene, "cycles")


def check(scene: bpy.types.Scene) -> None:
    if not available(scene):
        raise UserError(
            "Meshes are set to Cycles, which is disabled.",
            "Enable Cycles Render Engine in Preferences > Add-ons, or set Meshes to Clay.",
        )


def register_passes(engine, scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> set[str]:
    """Registers the passes that Cycles would make of a view layer; returns their names."""
    from cycles.engine import list_render_passes

    found = list(list_render_passes(scene, layer))
    for name, channels, kind in found:
        engine.register_pass(scene, layer, name, len(channels), channels, kind)
    return {name for name, _, _ in found}


def begin(engine, data: bpy.types.BlendData, depsgraph: bpy.types.Depsgraph) -> None:
    """Starts a session for the view layer, or lets the one there is follow it."""
    from cycles import engine as cycles

    check(depsgraph.scene_eval)
    if not engine.session:
        cycles.create(engine, data)
    cycles.reset(engine, data, depsgraph)


def render(engine, depsgraph: bpy.types.Depsgraph, views: list[str]) -> dict[str, Pictures]:
    """The passes [H,W,C] of each view, row 0 at the bottom. The proxies of avatars cast shadows and are
    mirrored, but are not seen by the camera.

    In background Blender empties the depsgraph in the course of it.
    """
    from cycles import engine as cycles

    if not engine.session:
        raise UserError("Cycles did not start.", "The system console has the details; or set Meshes to Clay.")
    layer = depsgraph.view_layer_eval.name
    hide_proxies(depsgraph)
    cycles.render(engine, depsgraph)
    cycles.render_frame_finish(engine)  # pictures of several tiles are there only now
    result = engine.get_result()
    passes = result.layers[layer].passes
    size = (result.resolution_y, result.resolution_x)
    found = {}
    for view in views:
        engine.active_view_set(view)
        found[view] = {
            one.name: _pixels(one, size)
            for name in {p.name for p in passes}
            if (one := passes.find_by_name(name, view))
        }
    return found


def hide_proxies(depsgraph: bpy.types.Depsgraph) -> None:
    """Takes proxies out of the camera's sight, in this depsgraph's copies alone."""
    for instance in depsgraph.object_instances:
        if is_avatar(instance.object.original) and instance.object.visible_camera:
            instance.object.visible_camera = False


def free(engine) -> None:
    """Ends the engine's session, if it has one; nothing where Blender has removed the engine itself."""
    try:
        session = getattr(engine, "session", None)
    except ReferenceError:
        return
    if session:
        from cycles import engine as cycles

        cycles.free(engine)


def _pixels(one: bpy.types.RenderPass, size: tuple[int, int]) -> np.ndarray:
    flat = np.empty(size[0] * size[1] * one.channels, np.float32)
    one.rect.foreach_get(flat)
    return flat.reshape(*size, one.channels)
