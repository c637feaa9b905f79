# SPDX-License-Identifier: GPL-3.0-or-later
"""Which points lie inside an object: within an empty's cube or sphere, or a closed mesh."""

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..backend.errors import UserError

AWAY = Vector((0.6113, 0.5347, 0.5835))  # along no axis, and so along no face or edge of a cube
STEP = 1e-5  # of the mesh's size, that a ray goes on behind a face
MOST = 1000  # faces that a ray meets


def is_volume(obj: bpy.types.Object) -> bool:
    return obj.type in {"EMPTY", "MESH"}


def inside(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph, points: np.ndarray) -> np.ndarray:
    """[n] bool: which points [n,3], world space, lie inside an object as the depsgraph has it.

    UserError for a mesh that is not closed, and for an object that is scaled to nothing.
    """
    evaluated = obj.evaluated_get(depsgraph)
    try:
        to_own = np.linalg.inv(np.array(evaluated.matrix_world, np.float64))
    except np.linalg.LinAlgError as error:
        raise UserError(
            f"“{obj.name}” is scaled to nothing.", "Give it a scale above zero along every axis."
        ) from error
    points = points @ to_own[:3, :3].T + to_own[:3, 3]
    if obj.type == "EMPTY":
        order = 2 if obj.empty_display_type == "SPHERE" else np.inf
        return np.linalg.norm(points, order, axis=1) <= obj.empty_display_size
    corners, triangles = _closed_surface(obj.name, evaluated.data)
    low, high = corners.min(0), corners.max(0)
    found = ((points >= low) & (points <= high)).all(1)
    tree, step = BVHTree.FromPolygons(corners.tolist(), triangles.tolist()), STEP * float((high - low).max())
    rows = np.flatnonzero(found)
    found[rows] = [_turns(tree, Vector(point), step) != 0 for point in points[rows].tolist()]
    return found


def _turns(tree: BVHTree, point: Vector, step: float) -> int:
    """How often a mesh encloses a point: the faces that a ray leaves through less those it enters through."""
    turns = 0
    for _ in range(MOST):
        place, normal, _, _ = tree.ray_cast(point, AWAY)
        if place is None:
            break
        turns += 1 if normal.dot(AWAY) > 0 else -1
        point = place + step * AWAY
    return turns


def _closed_surface(name: str, mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Points [n,3] and triangles [t,3] of a mesh; UserError where an edge is not between two faces."""
    edges = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("edge_index", edges)
    if not len(edges) or (np.bincount(edges, minlength=len(mesh.edges)) != 2).any():
        raise UserError(
            f"“{name}” is not closed, so that nothing is inside it.", "Close its holes, or use a cube."
        )
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", points.ravel())
    mesh.calc_loop_triangles()
    triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles.ravel())
    return points, triangles
