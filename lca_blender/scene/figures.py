# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures in the scene that MakeHuman or MPFB2 made: meshes with the base mesh's topology."""

import bpy
import numpy as np

from ..backend.body.figure import COUNTS


def is_figure(obj: bpy.types.Object) -> bool:
    """Whether a mesh has as many vertices as a MakeHuman body, with or without helpers."""
    return obj.type == "MESH" and len(obj.data.vertices) in COUNTS


def rest_vertices(obj: bpy.types.Object, beside: bpy.types.Object | None = None) -> np.ndarray:
    """[n,3] float64 of a mesh object with its shape keys, without its modifiers and so without its pose; in
    the object's own space, but stretched and mirrored as it stands in the space of the object `beside` (none:
    in the world), whatever its size and turn.
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
    return points @ _stretch(obj, beside).T


def _stretch(obj: bpy.types.Object, beside: bpy.types.Object | None) -> np.ndarray:
    """[3,3]: an object's matrix without turn and size: symmetric (polar decomposition), and behind that a
    mirror across x where the object is mirrored."""
    matrix = obj.matrix_world if beside is None else beside.matrix_world.inverted_safe() @ obj.matrix_world
    linear = np.array(matrix.to_3x3(), np.float64)
    _, sizes, axes = np.linalg.svd(linear)
    stretch = (axes.T * sizes) @ axes / max(sizes.mean(), 1e-12)
    return np.diag([-1.0, 1, 1]) @ stretch if np.linalg.det(linear) < 0 else stretch


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
