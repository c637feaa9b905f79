# SPDX-License-Identifier: GPL-3.0-or-later
"""Final frames: F12, animations and `blender -b`, one view layer at a time."""

import math

import bpy
import numpy as np

from ..backend.gaussians import Gaussians
from ..backend.lighting.shading import FINAL
from ..log import report_once
from ..scene.camera import render_camera
from ..scene.evaluate import visible_avatars
from ..scene.lighting import Lit, in_scene_light
from ..scene.lights import NO_LIGHT, scene_lights
from ..scene.meshes import scene_depth
from .passes import LIGHT_PASSES, wanted_passes
from .picture import combine, gather_lit, light_layers, paint, within

BAND = 64  # rows
_reported: set[str] = set()  # warnings that were shown
BLURRED = ("Combined", "Alpha")  # depths and normals cannot be averaged


def render_layer(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
    """Renders the depsgraph's view layer. `UserError` is raised before anything is written."""
    pictures = {}
    for view in stereo_views(depsgraph.scene_eval.render):
        engine.active_view_set(view)
        pictures[view] = paint_view(engine, depsgraph)
        if engine.test_break():
            return
    for view, passes in pictures.items():
        write(engine, depsgraph.view_layer_eval.name, view, passes)
    engine.update_progress(1.0)


def stereo_views(render: bpy.types.RenderSettings) -> list[str]:
    """Names of the views of a stereoscopic render; one empty name for any other render."""
    return [view.name for view in render.views if view.use] if render.use_multiview else [""]


def paint_view(engine, depsgraph: bpy.types.Depsgraph) -> dict[str, np.ndarray]:
    """The passes of one view [H,W,C], row 0 at the bottom; with motion blur, Combined and Alpha are the mean
    over the shutter time."""
    scene = depsgraph.scene_eval
    names, times = wanted_passes(depsgraph.view_layer_eval), shutter_times(scene)
    if not times:
        return paint_now(engine, depsgraph, names)
    now = scene.frame_current, scene.frame_subframe
    pictures = paint_now(engine, depsgraph, [name for name in names if name not in BLURRED])
    blurred = [name for name in names if name in BLURRED]
    try:
        for step, time in enumerate(times):
            engine.frame_set(math.floor(time), time - math.floor(time))
            for name, picture in paint_now(engine, depsgraph, blurred).items():
                if step:
                    pictures[name] += picture / np.float32(len(times))
                else:
                    pictures[name] = picture / np.float32(len(times))
            engine.update_progress((step + 1) / (len(times) + 1))
            if engine.test_break():
                break
    finally:
        engine.frame_set(*now)
    return pictures


def shutter_times(scene: bpy.types.Scene) -> list[float]:
    """Frames at the middles of equal parts of the shutter time; empty without motion blur."""
    render = scene.render
    if not render.use_motion_blur or render.motion_blur_shutter <= 0:
        return []
    start = {"START": 0.0, "CENTER": -0.5, "END": -1.0}[render.motion_blur_position]
    count = scene.lca.motion_blur_steps
    now = scene.frame_current + scene.frame_subframe
    return [now + render.motion_blur_shutter * (start + (i + 0.5) / count) for i in range(count)]


def paint_now(engine, depsgraph: bpy.types.Depsgraph, names: list[str]) -> dict[str, np.ndarray]:
    """Passes of the active view at the depsgraph's time."""
    if not names:
        return {}
    scene = depsgraph.scene_eval
    source = engine.camera_override or scene.camera.evaluated_get(depsgraph)
    matrix, shift_x = engine.camera_model_matrix(source), engine.camera_shift_x(source)
    camera = render_camera(source, scene.render, matrix, shift_x).upside_down()
    engine.update_stats("LCA Gaussians", "Posing avatars")
    found = gather_final(engine, depsgraph, camera)
    layers = light_layers(found) if any(name in LIGHT_PASSES for name in names) else None
    whole = combine([one.splats if isinstance(one, Lit) else one for one in found])
    splats, layers = within(whole, camera, source.data.clip_end, layers)
    meshes = scene_depth(depsgraph, camera, source.data.clip_end) if scene.lca.meshes_hide_avatars else None
    engine.update_stats("LCA Gaussians", "Rasterising")
    return paint(splats, camera, names, scene, meshes, layers)


def gather_final(engine, depsgraph: bpy.types.Depsgraph, camera) -> list[Gaussians | Lit]:
    """All avatars' splats with soft shadows; says once where the scene has no light for them."""
    lit = any(in_scene_light(one.obj) for one in visible_avatars(depsgraph))
    if lit and scene_lights(depsgraph).dark and report_once(_reported, NO_LIGHT):
        engine.report({"WARNING"}, NO_LIGHT)
    return gather_lit(depsgraph, camera=camera, quality=FINAL)


def write(engine, layer: str, view: str, pictures: dict[str, np.ndarray]) -> None:
    """Writes pictures [H,W,C], row 0 at the bottom, to Blender's render result.

    In bands of rows: Blender allocates memory for each write, and only small allocations are reused instead
    of being cleared by the system; writing a whole picture at once takes several times as long.
    """
    height, width = next(iter(pictures.values())).shape[:2]
    for row in range(0, height, BAND):
        rows = slice(row, min(row + BAND, height))
        result = engine.begin_result(0, row, width, rows.stop - row, layer=layer, view=view)
        try:
            passes = result.layers[0].passes
            for name, picture in pictures.items():
                target = passes.find_by_name(name, view)
                if target is not None:
                    target.rect.foreach_set(picture[rows].ravel())
        except Exception:
            engine.end_result(result, cancel=True)
            raise
        engine.end_result(result)
