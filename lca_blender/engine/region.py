# SPDX-License-Identifier: GPL-3.0-or-later
"""A region of the 3D view: its matrices, its local view, and a picture drawn into it."""

from collections.abc import Callable

import bpy
import gpu
import numpy as np
from gpu_extras.presets import draw_texture_2d


def region_matrices(context: bpy.types.Context) -> tuple[np.ndarray, np.ndarray]:
    """View and projection matrix [4,4] of the 3D view."""
    return np.array(context.region_data.view_matrix), np.array(context.region_data.window_matrix)


def local_view_filter(space: bpy.types.SpaceView3D | None) -> Callable[[bpy.types.Object], bool] | None:
    """Which objects the 3D view's local view shows; None without a local view."""
    if space is None or getattr(space, "local_view", None) is None:
        return None
    return lambda obj: obj.local_view_get(space)


def draw_texture(
    engine: bpy.types.RenderEngine,
    texture: gpu.types.GPUTexture,
    region: bpy.types.Region,
    scene: bpy.types.Scene,
) -> None:
    """Fills the region with a scene-linear, premultiplied texture, through the scene's view transform."""
    gpu.state.blend_set("ALPHA_PREMULT")
    engine.bind_display_space_shader(scene)
    try:
        draw_texture_2d(texture, (0, 0), region.width, region.height)
    finally:
        engine.unbind_display_space_shader()
        gpu.state.blend_set("NONE")
