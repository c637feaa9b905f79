# SPDX-License-Identifier: GPL-3.0-or-later
"""A world of any nodes as a panorama that lights avatars: drawn by Cycles, packed into the .blend."""

import math
import tempfile
from pathlib import Path

import bpy

from ..backend.errors import UserError

SIZE = 1024, 512
SAMPLES = 16


def bake_world(scene: bpy.types.Scene) -> bpy.types.Image:
    """The picture of the scene's world at its present frame, which replaces the one baked before. `UserError`
    without a world or Cycles; the scene is left as it was."""
    if scene.world is None:
        raise UserError("The scene has no world.", "Add one in World Properties.")
    if not hasattr(scene, "cycles"):
        raise UserError("Cycles, which draws the world, is not enabled.", "Enable its add-on.")
    before, name = scene.world.lca.baked, f"{scene.world.name} (baked)"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "world.exr"
        _draw(scene, file)
        if not file.is_file():
            raise UserError("Cycles drew nothing of the world.", "Try again when no render is running.")
        image = bpy.data.images.load(str(file))
        image.pack()
    image.name, image.use_fake_user = name, False
    image.filepath = image.filepath_raw = ""
    scene.world.lca.baked = image
    if before is not None and before.users == 0:
        bpy.data.images.remove(before)
    return image


def _draw(scene: bpy.types.Scene, file: Path) -> None:
    """An equirectangular picture, its middle towards +X as Environment Textures have it."""
    alone, world = bpy.data.scenes.new("Bake World"), scene.world.copy()
    data = bpy.data.cameras.new("Bake World")
    camera = bpy.data.objects.new("Bake World", data)
    try:
        world.cycles_visibility.camera = True
        alone.world, alone.camera = world, camera
        alone.collection.objects.link(camera)
        data.type = "PANO"
        (data if hasattr(data, "panorama_type") else data.cycles).panorama_type = "EQUIRECTANGULAR"
        camera.rotation_euler = math.pi / 2, 0, -math.pi / 2
        alone.frame_set(scene.frame_current, subframe=scene.frame_subframe)
        alone.cycles.samples, alone.cycles.use_denoising = SAMPLES, False
        settings = alone.render
        settings.engine = "CYCLES"
        settings.resolution_x, settings.resolution_y = SIZE
        settings.image_settings.file_format, settings.image_settings.color_depth = "OPEN_EXR", "32"
        settings.filepath = str(file)
        bpy.ops.render.render(write_still=True, scene=alone.name)
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)
        bpy.data.scenes.remove(alone)
        bpy.data.worlds.remove(world)
