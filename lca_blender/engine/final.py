# SPDX-License-Identifier: GPL-3.0-or-later
"""Final frames: F12, animations and `blender -b`, one view layer at a time."""

import math
from typing import NamedTuple

import bpy
import numpy as np
import torch

from ..backend.gaussians import Gaussians
from ..backend.lighting.shading import FINAL
from ..backend.raster import Camera
from ..backend.raster.defocus import lens_points, seen_from, spread
from ..log import report_once
from ..scene.camera import lens_of, render_camera
from ..scene.evaluate import visible_avatars
from ..scene.lighting import Lit, in_scene_light
from ..scene.lights import NO_LIGHT, scene_lights
from ..scene.meshes import scene_depth
from ..scene.world import background_color
from . import cycles_below
from .clay import clay_picture
from .cryptomatte import manifest, names_of
from .merging import finish
from .passes import CRYPTOMATTES, LIGHT_PASSES, NOTHING_DEPTH, Pictures, painted, wanted_passes
from .picture import combine, gather, gather_lit, light_layers, paint, people_layers, within

BAND = 64  # rows
_reported: set[str] = set()  # warnings that were shown
BLURRED = ("Combined", "Alpha", "Cover", "People")  # depths and normals cannot be averaged


class Mist(NamedTuple):
    """Metres to where mist begins and over which it closes; falloff: as Blender names it."""

    start: float
    depth: float
    falloff: str


def render_layer(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
    """Renders the depsgraph's view layer. `UserError` is raised before anything is written."""
    scene, layer = depsgraph.scene_eval, depsgraph.view_layer_eval
    views, name, mist = stereo_views(scene.render), layer.name, mist_settings(scene)
    wanted, shown = list(wanted_passes(layer)), [one.obj for one in visible_avatars(depsgraph)]
    by_cycles = scene.lca.meshes == "CYCLES"
    if by_cycles:
        cycles_below.check(scene)
    pictures, below = {}, {}
    for view in views:
        engine.active_view_set(view)
        pictures[view] = paint_view(engine, depsgraph, painted(wanted))
        if engine.test_break():
            return
    if by_cycles:  # last: it empties the depsgraph
        below = cycles_below.render(engine, depsgraph, views)
        wanted += [one for one in next(iter(below.values())) if one not in wanted]
    for view, (own, camera, behind) in pictures.items():
        finished = finish(own, below.get(view, behind), wanted, camera, mist, shown)
        write(engine, name, view, finished)
    if not by_cycles:
        add_manifest(engine, name, wanted, shown)
    engine.update_progress(1.0)


def mist_settings(scene: bpy.types.Scene) -> Mist:
    """The mist of the scene's world; Blender's defaults without one."""
    if scene.world is None:
        return Mist(5.0, 25.0, "QUADRATIC")
    settings = scene.world.mist_settings
    return Mist(settings.start, settings.depth, settings.falloff)


def add_manifest(engine, layer: str, names: list[str], shown: list[bpy.types.Object]) -> None:
    """The names of the mattes, for the metadata of files."""
    result = engine.get_result()
    for kind in CRYPTOMATTES:
        if f"{kind}00" in names:
            called = list(dict.fromkeys(names_of(obj)[kind] for obj in shown))
            for field, value in manifest(layer, kind, called).items():
                result.stamp_data_add_field(field, value)


def stereo_views(render: bpy.types.RenderSettings) -> list[str]:
    """Names of the views of a stereoscopic render; one empty name for any other render."""
    return [view.name for view in render.views if view.use] if render.use_multiview else [""]


def paint_view(engine, depsgraph: bpy.types.Depsgraph, names: list[str]) -> tuple[Pictures, Camera, Pictures]:
    """The passes of one view [H,W,C], row 0 at the bottom, its camera and the passes of what lies below; with
    motion blur or depth of field Combined, Alpha and coverages are the mean of many pictures."""
    scene = depsgraph.scene_eval
    exposures = exposures_of(scene, lens_of(camera_of(engine, depsgraph)[1], depsgraph) is not None)
    now = scene.frame_current, scene.frame_subframe
    motion = motions(engine, depsgraph, now) if "Vector" in names else None
    if not exposures:
        return paint_now(engine, depsgraph, names, motion)
    still = [name for name in names if name not in BLURRED]
    pictures, camera, below = paint_now(engine, depsgraph, still, motion)
    blurred = [name for name in names if name in BLURRED]
    share = np.float32(1 / len(exposures))
    try:
        for step, exposure in enumerate(exposures):
            if exposure.time is not None:
                engine.frame_set(math.floor(exposure.time), exposure.time - math.floor(exposure.time))
            for name, picture in paint_now(engine, depsgraph, blurred, exposure=exposure)[0].items():
                pictures[name] = picture * share + (pictures[name] if step else 0)
            engine.update_progress((step + 1) / (len(exposures) + 1))
            if engine.test_break():
                break
    finally:
        if exposures[0].time is not None:
            engine.frame_set(*now)
    return pictures, camera, below


class Exposure(NamedTuple):
    """One of the pictures whose mean is a blurred one: its time, frames, None for now; the point of the unit
    disc on the lens that it is seen from, None for its middle; their number."""

    time: float | None
    point: np.ndarray | None
    count: int


def exposures_of(scene: bpy.types.Scene, has_lens: bool) -> list[Exposure]:
    """The pictures that motion blur and depth of field are made of; none for a sharp picture."""
    moves = scene.render.use_motion_blur and scene.render.motion_blur_shutter > 0
    count = max(scene.lca.motion_blur_steps * moves, scene.lca.lens_samples * has_lens)
    times = shutter_times(scene, count) if moves else [None] * count
    points = lens_points(count) if has_lens else [None] * count
    return [Exposure(time, point, count) for time, point in zip(times, points, strict=True)]


def motions(engine, depsgraph: bpy.types.Depsgraph, now: tuple[int, float]) -> list[list[np.ndarray]]:
    """Pixels [N,2], upwards, of every avatar's splats in the frame before, in this one and in the next."""
    found = []
    try:
        for step in (-1, 0, 1):
            engine.frame_set(now[0] + step, now[1])
            camera, _ = camera_of(engine, depsgraph)
            found.append([pixels_of(one.means.numpy(), camera) for one in gather(depsgraph)])
    finally:
        engine.frame_set(*now)
    return found


def pixels_of(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixels [N,2] of world points [N,3]; of those behind the camera some place far outside."""
    x, y, z = (points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]).T
    z = np.ones_like(z) if camera.orthographic else np.maximum(z, camera.near)
    return np.stack([camera.K[0, 0] * x / z, camera.K[1, 1] * y / z], 1).astype(np.float32)


def motion_layer(motion: list[list[np.ndarray]], found: list[Gaussians]) -> torch.Tensor:
    """[N,4] pixels: from here to the frame before, and from the next frame to here, as in Cycles; 0 for
    avatars that are not shown in all three frames."""
    parts = []
    for i, one in enumerate(found):
        before, here, after = (frame[i] if i < len(frame) else frame[:0] for frame in motion)
        if len(motion[0]) == len(motion[1]) == len(motion[2]) and len(before) == len(here) == len(after):
            parts.append(np.c_[before - here, here - after])
        else:
            parts.append(np.zeros((len(one), 4), np.float32))
    return torch.from_numpy(np.concatenate(parts)) if parts else torch.zeros(0, 4)


def shutter_times(scene: bpy.types.Scene, count: int) -> list[float]:
    """Frames at the middles of equal parts of the shutter time."""
    render = scene.render
    start = {"START": 0.0, "CENTER": -0.5, "END": -1.0}[render.motion_blur_position]
    now = scene.frame_current + scene.frame_subframe
    return [now + render.motion_blur_shutter * (start + (i + 0.5) / count) for i in range(count)]


def camera_of(engine, depsgraph: bpy.types.Depsgraph) -> tuple[Camera, bpy.types.Object]:
    """The camera of the active view, row 0 at the bottom, and its evaluated object."""
    scene = depsgraph.scene_eval
    source = engine.camera_override or scene.camera.evaluated_get(depsgraph)
    matrix, shift_x = engine.camera_model_matrix(source), engine.camera_shift_x(source)
    return render_camera(source, scene.render, matrix, shift_x).upside_down(), source


def paint_now(
    engine, depsgraph: bpy.types.Depsgraph, names: list[str], motion=None, exposure: Exposure | None = None
) -> tuple[Pictures, Camera, Pictures]:
    """Passes of the active view at the depsgraph's time, their camera, and the depth of what lies below; from
    the middle of the lens, or from where the exposure is.

    Combined holds the clay below, but not what another engine draws there.
    """
    scene = depsgraph.scene_eval
    camera, source = camera_of(engine, depsgraph)
    if not names:
        return {}, camera, {}
    kind = scene.lca.meshes
    engine.update_stats("LCA Gaussians", "Posing avatars")
    found = gather_final(engine, depsgraph, camera)
    plain = [one.splats if isinstance(one, Lit) else one for one in found]
    layers = light_layers(found) if any(name in LIGHT_PASSES for name in names) else {}
    layers |= people_layers(plain) if "People" in names else {}
    layers |= {"Vector": motion_layer(motion, plain)} if motion else {}
    splats, layers = within(combine(plain), camera, source.data.clip_end, layers)
    if exposure is not None and exposure.point is not None:
        radius, focus = lens_of(source, depsgraph)
        splats = splats and spread(splats, camera, radius, focus, exposure.count)
        camera = seen_from(camera, *(radius * exposure.point), focus)
    hide = kind != "HIDDEN" or scene.lca.meshes_hide_avatars
    meshes = scene_depth(depsgraph, camera, source.data.clip_end) if hide else None
    engine.update_stats("LCA Gaussians", "Rasterising")
    clay = kind == "CLAY" and meshes is not None
    pictures = paint(splats, camera, names, scene, meshes, layers, backed=kind != "CYCLES" and not clay)
    if not clay:
        return pictures, camera, {}
    if "Combined" in pictures:
        background = None if scene.render.film_transparent else background_color(scene)
        pictures["Combined"] += (1 - pictures["Cover"]) * clay_picture(meshes, camera, background)
    return pictures, camera, {"Depth": np.where(np.isfinite(meshes), meshes, NOTHING_DEPTH)[..., None]}


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
