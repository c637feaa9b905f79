# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering to a file and reading what Blender wrote there."""

import os
import sys

import bpy
import numpy as np

sys.path.append(
    os.path.join(
        bpy.utils.resource_path("LOCAL"),
        f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages",
    )
)
import OpenImageIO as oiio


def channels(path) -> dict[str, np.ndarray]:
    """Channels of a picture by name, [H,W] float32, row 0 at the top; parts of an EXR are joined."""
    file, found, part = oiio.ImageInput.open(str(path)), {}, 0
    while file.seek_subimage(part, 0):
        spec = file.spec()
        pixels = file.read_image(part, 0, 0, spec.nchannels, "float")
        found |= {name: pixels[..., i] for i, name in enumerate(spec.channelnames)}
        part += 1
    return found


def render(scene, path, kind="OPEN_EXR") -> dict[str, np.ndarray]:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if kind.endswith("MULTILAYER") else "IMAGE"
    settings.file_format = kind
    settings.color_mode = "RGBA"
    if kind.startswith("OPEN_EXR"):
        settings.color_depth = "32"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return channels(path)


def rgba(found) -> np.ndarray:
    return np.stack([found[c] for c in "RGBA"], -1)


def world(scene, color):
    scene.world = bpy.data.worlds.new("World")
    if scene.world.node_tree is not None:
        node = next(n for n in scene.world.node_tree.nodes if n.type == "BACKGROUND")
        node.inputs["Color"].default_value = (*color, 1)
    scene.world.color = color
