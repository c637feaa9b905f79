# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's background colour."""

import bpy


def background_color(scene: bpy.types.Scene) -> tuple[float, float, float]:
    """Scene-linear colour of the world: its Background node where one is in use, else the plain colour."""
    world = scene.world
    if world is None:
        return (0.0, 0.0, 0.0)
    node = background_node(world)
    if node is None:
        return tuple(world.color)
    color, strength = node.inputs["Color"], node.inputs["Strength"].default_value
    plain = world.color if color.is_linked else color.default_value[:3]
    return tuple(strength * channel for channel in plain)


def background_node(world: bpy.types.World):
    """The Background node that the world's light comes from; None where it comes from anything else."""
    node = surface_node(world)
    return node if node is not None and node.type == "BACKGROUND" else None


def surface_node(world: bpy.types.World):
    """The node at the world's Surface; None without nodes."""
    uses_nodes = bpy.app.version >= (5, 0, 0) or world.use_nodes
    tree = world.node_tree if uses_nodes else None
    output = tree.get_output_node("ALL") if tree else None
    links = output.inputs["Surface"].links if output else ()
    return links[0].from_node if links else None
