# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's light: its colour, Background node, and Environment Texture with a Mapping; else as baked."""

from typing import NamedTuple

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.lighting.environment import Environment, cleaned
from ..backend.srgb import linear_of
from .world import background_color, background_node, surface_node

PLAIN = "its plain colour lights instead"
KEPT = 4  # pictures whose light is kept
_maps: dict[tuple, tuple[Environment, list[str]]] = {}


class WorldLight(NamedTuple):
    """radiance [3], scene-linear, times the environment's where there is one; remarks: a sentence for each
    part of the nodes that is not read."""

    radiance: tuple[float, float, float]
    environment: Environment | None
    remarks: list[str]


def world_light(scene: bpy.types.Scene) -> WorldLight:
    """The light of a scene's world. A world that cannot be read lights as it was baked, or else by its plain
    colour; both are said."""
    found = _nodes_light(scene)
    made = image_light(scene.world.lca.baked) if found.remarks and scene.world.lca.baked else None
    if made is None:
        return found
    return WorldLight((1.0, 1.0, 1.0), made[0], ["The world lights as it was baked.", *made[1]])


def _nodes_light(scene: bpy.types.Scene) -> WorldLight:
    if scene.world is None:
        return WorldLight((0.0, 0.0, 0.0), None, [])
    node = background_node(scene.world)
    if node is None:
        strange = surface_node(scene.world) is not None
        said = [f"The world's shader is not a Background: {PLAIN}."] if strange else []
        return WorldLight(tuple(background_color(scene)), None, said)
    remarks = []
    if node.inputs["Strength"].is_linked:
        remarks.append("The world's Strength is linked: its own value is used.")
    source = _source(node.inputs["Color"])
    if source is None:
        return WorldLight(tuple(background_color(scene)), None, remarks)
    strength = node.inputs["Strength"].default_value
    if source.type != "TEX_ENVIRONMENT" or source.projection != "EQUIRECTANGULAR" or source.image is None:
        remarks.append(
            f"The world's {source.name} is not read: {PLAIN}. Bake the world, or use an Environment Texture."
        )
        return WorldLight(tuple(background_color(scene)), None, remarks)
    made = image_light(source.image)
    if made is None:
        remarks.append(f"The world's picture {source.image.name} is missing: {PLAIN}.")
        return WorldLight(tuple(background_color(scene)), None, remarks)
    rotation, said = _rotation(source.inputs["Vector"])
    environment, faults = made
    turned = environment if rotation == Matrix.Identity(3) else environment.turned(np.array(rotation))
    remarks += said + [f"{source.image.name}: {fault}" for fault in faults]
    return WorldLight((strength, strength, strength), turned, remarks)


def image_light(image: bpy.types.Image) -> tuple[Environment, list[str]] | None:
    """A picture as an environment map, and what is odd about it; None where it has no pixels. Kept until the
    picture changes."""
    original = image.original
    width, height = original.size
    if not width or not height:
        return None
    key = (original.session_uid, original.filepath, width, height, original.colorspace_settings.name)
    key += (original.is_dirty, original.is_float, original.packed_file is not None)
    if key not in _maps or original.is_dirty:
        pixels = np.empty(width * height * original.channels, np.float32)
        original.pixels.foreach_get(pixels)
        pixels = pixels.reshape(height, width, original.channels)[::-1]
        colors = pixels[..., :3] if original.channels >= 3 else pixels[..., :1].repeat(3, -1)
        if not original.is_float and original.colorspace_settings.name == "sRGB":
            colors = linear_of(colors)
        colors, remarks = cleaned(colors)
        while len(_maps) >= KEPT:
            del _maps[next(iter(_maps))]
        _maps[key] = Environment(colors), remarks
    return _maps[key]


def forget_maps() -> None:
    """Clears the kept pictures."""
    _maps.clear()


def _source(socket):
    """The node that feeds a socket, reroutes skipped; None where it is not linked."""
    while socket.is_linked:
        node = socket.links[0].from_node
        if node.type != "REROUTE":
            return node
        socket = node.inputs[0]
    return None


def _rotation(socket) -> tuple[Matrix, list[str]]:
    """World directions to those that a texture is looked up by, [3,3], and what else its mapping does."""
    node = _source(socket)
    if node is None or node.type == "TEX_COORD":
        other = node is not None and socket.links[0].from_socket.name != "Generated"
        said = ["The world's texture coordinates are not Generated: it is not turned by them."]
        return Matrix.Identity(3), said if other else []
    if node.type != "MAPPING":
        return Matrix.Identity(3), [f"The world's {node.name} is not read: its picture is not turned by it."]
    turn = node.inputs["Rotation"].default_value.to_matrix()
    if node.vector_type == "TEXTURE":
        turn = turn.transposed()
    plain = all(abs(v - 1) < 1e-6 for v in node.inputs["Scale"].default_value)
    at_center = (
        node.vector_type in ("VECTOR", "NORMAL") or node.inputs["Location"].default_value.length < 1e-6
    )
    linked = any(node.inputs[name].is_linked for name in ("Rotation", "Scale"))
    odd = not plain or not at_center or linked
    said = ["Of the world's Mapping only the rotation's own value is read."] if odd else []
    return turn, said
