# SPDX-License-Identifier: GPL-3.0-or-later
"""Final frames: F12, animations and `blender -b`, one view layer at a time."""

import bpy
import numpy as np

from ..scene.camera import Frame, render_camera
from .passes import wanted_passes
from .picture import combine, gather, paint


def render_layer(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
    """Renders the depsgraph's view layer. Raises `UserError` before anything is written."""
    scene, layer = depsgraph.scene_eval, depsgraph.view_layer_eval
    names = wanted_passes(layer)
    engine.update_stats("LCA Gaussians", "Posing avatars")
    splats = combine(gather(depsgraph))
    if engine.test_break():
        return
    engine.update_stats("LCA Gaussians", "Rasterising")
    camera = render_camera(engine.camera_override or scene.camera.evaluated_get(depsgraph), scene.render)
    pictures = paint(splats, camera, names, scene)
    if engine.test_break():
        return
    write(engine, layer.name, scene.render, pictures)
    engine.update_progress(1.0)


def write(engine, layer_name: str, render: bpy.types.RenderSettings, pictures: dict[str, np.ndarray]) -> None:
    """Hands pictures [H,W,C] to Blender, whose rows start at the bottom."""
    frame = Frame.of(render)
    result = engine.begin_result(
        0, 0, frame.width, frame.height, layer=layer_name
    )  # Blender cuts the border out
    try:
        passes = result.layers[0].passes
        for name, picture in pictures.items():
            target = passes.get(name)
            if target is not None:
                target.rect.foreach_set(np.ascontiguousarray(picture[::-1], np.float32).ravel())
    except Exception:
        engine.end_result(result, cancel=True)
        raise
    engine.end_result(result)
