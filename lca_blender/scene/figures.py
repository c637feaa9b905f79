# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures in the scene that MakeHuman or MPFB2 made: meshes with the base mesh's topology."""

import bpy
import numpy as np

from ..backend.body.figure import COUNTS


def is_figure(obj: bpy.types.Object) -> bool:
    """Whether a mesh has as many vertices as a MakeHuman body, with or without helpers."""
    return obj.type == "MESH" and len(obj.data.vertices) in COUNTS


def rest_vertices(obj: bpy.types.Object) -> np.ndarray:
    """[n,3] float64 of a mesh object with its shape keys, without its modifiers and so without its pose; in
    the object's own space, stretched as the object's scale is, whatever its size.
    """
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    points = _coordinates(obj.data.vertices)
    keys = obj.data.shape_keys
    if keys is not None:
        places = {block.name: _coordinates(block.data) for block in keys.key_blocks}
        points = places[keys.reference_key.name].copy()
        for block in keys.key_blocks:
            if block != keys.reference_key and not block.mute and block.value:
                share = block.value * _group_weights(obj, block.vertex_group)
                points += share[:, None] * (places[block.name] - places[block.relative_key.name])
    scale = np.abs(np.array(obj.matrix_world.to_scale(), np.float64))
    return points * scale / max(scale.mean(), 1e-12)


def _coordinates(collection) -> np.ndarray:
    flat = np.empty(3 * len(collection), np.float32)
    collection.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(np.float64)


def _group_weights(obj: bpy.types.Object, name: str) -> np.ndarray:
    """[n] of a vertex group; ones where there is no such group."""
    group = obj.vertex_groups.get(name) if name else None
    if group is None:
        return np.ones(len(obj.data.vertices))
    return np.array(
        [sum(g.weight for g in vertex.groups if g.group == group.index) for vertex in obj.data.vertices]
    )
