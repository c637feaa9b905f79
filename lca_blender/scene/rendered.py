# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a render of a scene will ask for, told from the file alone, for all its frames."""

from collections.abc import Iterator

import bpy


def rendered_objects(scene: bpy.types.Scene) -> set[bpy.types.Object]:
    """The objects that the scene's view layers render in some frame, and those that they instance."""
    layers = [layer for layer in scene.view_layers if layer.use]
    if scene.render.use_single_layer and bpy.context.scene == scene and bpy.context.view_layer:
        layers = [bpy.context.view_layer]
    found: set[bpy.types.Object] = set()
    todo = [obj for layer in layers for obj in _of_layer(layer.layer_collection)]
    while todo:
        obj = todo.pop()
        if obj in found or not _shown_in_some_frame(obj, scene):
            continue
        found.add(obj)
        todo += [other for other in _instanced(obj) if other not in found]
    return found


def _of_layer(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
    """Objects of a layer collection and those below it that are not left out of renders."""
    if layer.exclude or layer.collection.hide_render:
        return
    yield from layer.collection.objects
    for child in layer.children:
        yield from _of_layer(child)


def _of_collection(collection: bpy.types.Collection) -> Iterator[bpy.types.Object]:
    """Objects that instances of a collection render."""
    if collection.hide_render:
        return
    yield from collection.objects
    for child in collection.children:
        yield from _of_collection(child)


def _shown_in_some_frame(obj: bpy.types.Object, scene: bpy.types.Scene) -> bool:
    """Whether the object is enabled in renders, in this frame or by its keys in another; drivers count."""
    if not obj.hide_render:
        return True
    animation = obj.animation_data
    if animation is None:
        return False
    if any(driver.data_path == "hide_render" for driver in animation.drivers):
        return True
    frames = range(scene.frame_start, scene.frame_end + 1)
    curves = [curve for action in _actions(animation) for curve in _curves(action)]
    curves = [curve for curve in curves if curve.data_path == "hide_render"]
    return any(curve.evaluate(frame) < 0.5 for curve in curves for frame in frames)


def _actions(animation: bpy.types.AnimData) -> set[bpy.types.Action]:
    strips = [strip for track in animation.nla_tracks if not track.mute for strip in track.strips]
    return {action for action in (animation.action, *(strip.action for strip in strips)) if action}


def _curves(action: bpy.types.Action) -> Iterator[bpy.types.FCurve]:
    if hasattr(action, "fcurves"):  # until Blender 5.0
        yield from action.fcurves
        return
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                yield from bag.fcurves


def _instanced(obj: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """The objects that an object shows instances of: a collection's, particles', those of geometry nodes."""
    if obj.instance_type == "COLLECTION" and obj.instance_collection:
        yield from _of_collection(obj.instance_collection)
    for system in obj.particle_systems:
        yield from _named(system.settings.instance_object, system.settings.instance_collection)
    for modifier in obj.modifiers:
        if modifier.type == "NODES" and modifier.show_render and modifier.node_group:
            yield from _named(*modifier.values())
            yield from _of_nodes(modifier.node_group, set())


def _of_nodes(tree: bpy.types.NodeTree, known: set[bpy.types.NodeTree]) -> Iterator[bpy.types.Object]:
    if tree is None or tree in known:
        return
    known.add(tree)
    for node in tree.nodes:
        yield from _named(*(getattr(socket, "default_value", None) for socket in node.inputs))
        yield from _of_nodes(getattr(node, "node_tree", None), known)


def _named(*values) -> Iterator[bpy.types.Object]:
    """The objects among some values, and those of collections among them."""
    for value in values:
        if isinstance(value, bpy.types.Object):
            yield value
        elif isinstance(value, bpy.types.Collection):
            yield from _of_collection(value)
