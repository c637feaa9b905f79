# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's lamps and world as the backend's lights: as the depsgraph has them, so animated, instanced and
hidden ones too."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.lighting.lights import Area, Lamp, Lights, Point, Spot, Sun
from .world_light import WorldLight, world_light

NO_LIGHT = "No lamp and no world lights the scene: avatars that are lit by it are black."


class Instead(NamedTuple):
    """What lights all scenes in place of their own lights: a world, None for their own, and lamps among their
    objects, or objects that instance lamps."""

    world: WorldLight | None
    lamps: frozenset[bpy.types.Object]


_instead: Instead | None = None


def light_instead(lights: Instead | None) -> None:
    """Lets these light all scenes from now on; None: the scenes' own lights, again."""
    global _instead
    _instead = lights


def scene_lights(depsgraph: bpy.types.Depsgraph, avatar: bpy.types.Object | None = None) -> Lights:
    """All lights of the depsgraph's scene, without lamps whose light linking leaves `avatar`, an original
    object, out."""
    world = _instead.world if _instead and _instead.world else world_light(depsgraph.scene_eval)
    lamps = []
    for instance in depsgraph.object_instances:
        obj = instance.object
        if obj.type != "LIGHT" or not instance.show_self or not obj.visible_diffuse:
            continue
        holder = (instance.parent or obj).original
        if _instead and holder not in _instead.lamps and obj.original not in _instead.lamps:
            continue
        if avatar is None or _reaches(holder, avatar):
            lamps.append(lamp_of(obj.data, instance.matrix_world))
    return Lights(world.radiance, world.environment, tuple(lamps))


def light_remarks(scene: bpy.types.Scene) -> list[str]:
    """What of the scene's lights is not read, a sentence each, without evaluating the scene."""
    world = world_light(scene)
    lamps = [obj for obj in scene.objects if obj.type == "LIGHT"]
    strange = [f"{obj.name}: its nodes are not read." for obj in lamps if _strange_nodes(obj.data)]
    if not lamps and not any(world.radiance):
        return [*world.remarks, NO_LIGHT]
    return [*world.remarks, *strange]


def lamp_of(light: bpy.types.Light, matrix: Matrix) -> Lamp:
    """A lamp's data, where the matrix [4,4] puts it. Every lamp shines along its own -Z."""
    axes = np.array(matrix.to_3x3(), np.float64).T
    sizes = np.linalg.norm(axes, axis=1)
    unit = axes / np.maximum(sizes, 1e-12)[:, None]
    backwards, position = _vector(unit[2]), _vector(matrix.translation)
    forwards = _vector(-unit[2])
    if light.type == "SUN":
        half = math.tan(min(light.angle, 3.0) / 2)
        return Sun(_power(light, math.pi * half**2), backwards, light.angle)
    if light.type == "AREA":
        return _area(light, axes, position, forwards)
    color = _power(light, math.pi * light.shadow_soft_size**2)
    if light.type == "SPOT":
        cone = light.spot_size, light.spot_blend, light.shadow_soft_size
        return Spot(color, position, forwards, *cone)
    return Point(color, position, light.shadow_soft_size)


def _area(light: bpy.types.Light, axes: np.ndarray, position, forwards) -> Area:
    across = light.size
    down = light.size_y if light.shape in ("RECTANGLE", "ELLIPSE") else light.size
    sides = axes[0] * across, axes[1] * down
    round_ = light.shape in ("DISK", "ELLIPSE")
    area = np.linalg.norm(np.cross(*sides)) * (math.pi / 4 if round_ else 1)
    color = _power(light, float(area))
    return Area(color, position, forwards, tuple(map(_vector, sides)), round_, light.spread)


def _power(light: bpy.types.Light, area: float) -> tuple[float, float, float]:
    """Scene-linear watts, of a sun watts per square metre; area: what a lamp that is not normalised is
    multiplied by."""
    strength = light.energy * 2 ** getattr(light, "exposure", 0.0)
    if not getattr(light, "normalize", True) and area > 0:
        strength *= area
    color = np.array(light.color) * _emission(light)
    if getattr(light, "use_temperature", False):
        color *= np.array(light.temperature_color)
    return _vector(color * strength)


def _emission(light: bpy.types.Light) -> np.ndarray | float:
    """What a plain Emission node multiplies a lamp's colour by; 1 for all other nodes."""
    node = _surface(light)
    if node is None or _strange_nodes(light):
        return 1.0
    return np.array(node.inputs["Color"].default_value[:3]) * node.inputs["Strength"].default_value


def _surface(light: bpy.types.Light):
    """The node that a lamp's output takes its light from; None without nodes."""
    tree = light.node_tree if light.use_nodes else None
    output = tree.get_output_node("ALL") if tree else None
    links = output.inputs["Surface"].links if output else ()
    return links[0].from_node if links else None


def _strange_nodes(light: bpy.types.Light) -> bool:
    node = _surface(light)
    return node is not None and (
        node.type != "EMISSION" or node.inputs["Color"].is_linked or node.inputs["Strength"].is_linked
    )


def _reaches(lamp: bpy.types.Object, avatar: bpy.types.Object) -> bool:
    """Whether a lamp's light linking lets it light an object."""
    collection = lamp.light_linking.receiver_collection
    if collection is None:
        return True
    states = dict(_linked(collection))
    included = any(state == "INCLUDE" for state in states.values())
    return states.get(avatar, "EXCLUDE" if included else "INCLUDE") == "INCLUDE"


def _linked(collection: bpy.types.Collection) -> Iterator[tuple[bpy.types.Object, str]]:
    """Objects of a light linking collection and their state; those of their own come last and win."""
    for child, link in zip(collection.children, collection.collection_children, strict=True):
        for obj in child.all_objects:
            yield obj, link.light_linking.link_state
    for obj, link in zip(collection.objects, collection.collection_objects, strict=True):
        yield obj, link.light_linking.link_state


def _vector(values) -> tuple[float, float, float]:
    return tuple(float(value) for value in values)
