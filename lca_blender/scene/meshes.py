# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's meshes as a depth image, for avatars to disappear behind."""

from typing import NamedTuple

import bpy
import numpy as np

from ..backend.raster.camera import Camera
from ..backend.raster.mesh_depth import Mesh, mesh_depth
from .avatar_data import is_avatar


class Surface(NamedTuple):
    """A mesh in its own space: points [n,3] float32, triangles [t,3] int32."""

    points: np.ndarray
    triangles: np.ndarray


class Picture(NamedTuple):
    """A depth image and all it was made from."""

    view: tuple
    placed: list[tuple[Surface, bytes]]
    depth: np.ndarray

    def is_of(self, view: tuple, placed: list[tuple[Surface, bytes]]) -> bool:
        return (self.view, len(self.placed)) == (view, len(placed)) and all(
            a is b and m == n for (a, m), (b, n) in zip(self.placed, placed, strict=True)
        )


_surfaces: dict[tuple, Surface] = {}  # of the last picture, by content: a still mesh is split only once
_picture: Picture | None = None  # the last one: where nothing moved it is taken again


def scene_depth(depsgraph: bpy.types.Depsgraph, camera: Camera, far: float) -> np.ndarray | None:
    """Camera z in metres of the nearest mesh at every pixel centre, inf where none is: float32 [H,W], not to
    be written to. None where no mesh is in the scene.

    Meshes beyond `far` do not count. All that Blender renders as a mesh does: modifiers, instances, curves,
    text, metaballs, geometry nodes; not the proxies of avatars, nor what is hidden from the camera.
    """
    global _picture
    placed = placed_surfaces(depsgraph)
    view = (camera.viewmat.tobytes(), camera.K.tobytes(), camera.width, camera.height)
    view += (camera.orthographic, camera.near, far)
    if not placed:
        _picture = None
    elif _picture is None or not _picture.is_of(view, placed):
        meshes = (Mesh(*surface, np.frombuffer(matrix).reshape(4, 4)) for surface, matrix in placed)
        _picture = None  # its memory serves the next one
        _picture = Picture(view, placed, mesh_depth(meshes, camera, far))
    return _picture and _picture.depth


def forget_meshes() -> None:
    """Drops what is kept from picture to picture; only memory is gained."""
    global _picture
    _picture = None
    _surfaces.clear()


def placed_surfaces(depsgraph: bpy.types.Depsgraph, shown=None) -> list[tuple[Surface, bytes]]:
    """Every rendered mesh with its world matrix, float64 [4,4]; equal meshes are one object.

    `shown` (original object -> bool) leaves objects out, as a local view does.
    Blender lists what other objects look like (curves, text, metaballs, geometry nodes) as meshes, too.
    """
    placed, used = [], set()
    seen: dict[int, Surface | None] = {}  # by the mesh's address, which stays while the depsgraph is walked
    for instance in depsgraph.object_instances:
        obj = instance.object
        if obj.type != "MESH" or not instance.show_self or not _camera_sees(instance, depsgraph):
            continue
        if shown is not None and not shown((instance.parent or obj).original):
            continue
        address = obj.data.as_pointer()
        if address not in seen:
            seen[address] = _surface(obj.data, used)
        if seen[address] is not None:
            placed.append((seen[address], np.array(instance.matrix_world, dtype=np.float64).tobytes()))
    for content in list(_surfaces):  # a final frame and a 3D view may be drawn at once, on two threads
        if content not in used:
            _surfaces.pop(content, None)
    return placed


def _camera_sees(instance: bpy.types.DepsgraphObjectInstance, depsgraph: bpy.types.Depsgraph) -> bool:
    obj, holder = instance.object, instance.parent or instance.object
    if is_avatar(obj.original) or not (obj.visible_camera and holder.visible_camera):
        return False
    return not holder.original.indirect_only_get(view_layer=depsgraph.view_layer)


def _surface(mesh: bpy.types.Mesh, used: set[tuple]) -> Surface | None:
    """The mesh's surface, from the last picture if it is the same; None where the mesh has no faces. What it
    is kept by joins `used`."""
    if not len(mesh.polygons):
        return None
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points.ravel())
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.attributes[".corner_vert"].data.foreach_get("value", corners)
    only_triangles = len(corners) == 3 * len(mesh.polygons)
    starts = np.empty(0 if only_triangles else len(mesh.polygons), np.int32)
    if not only_triangles:
        mesh.polygons.foreach_get("loop_start", starts)
    content = tuple(array.tobytes() for array in (points, corners, starts))
    used.add(content)
    surface = _surfaces.get(content)
    if surface is None:
        surface = Surface(points, corners.reshape(-1, 3) if only_triangles else _split(mesh))
        _surfaces[content] = surface
    return surface


def _split(mesh: bpy.types.Mesh) -> np.ndarray:
    """Blender's own triangles of a mesh's polygons [t,3] int32."""
    mesh.calc_loop_triangles()
    triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles.ravel())
    return triangles
