# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's meshes and their depth image, which hides what of an avatar is behind them."""

from collections.abc import Sequence
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


class Placed(NamedTuple):
    """A surface where it stands: matrix float64 [4,4], its space to the world; whether it casts shadows."""

    surface: Surface
    matrix: np.ndarray
    casts: bool = True

    def mesh(self) -> Mesh:
        return Mesh(*self.surface, self.matrix)


def unchanged(new: Sequence[Placed], old: Sequence[Placed]) -> bool:
    """Whether both hold the same surface objects with the same matrices."""
    return len(new) == len(old) and all(
        a.surface is b.surface and a.matrix.tobytes() == b.matrix.tobytes() and a.casts == b.casts
        for a, b in zip(new, old, strict=True)
    )


class DepthImage(NamedTuple):
    """A depth image [H,W] and what it was drawn from."""

    view: tuple
    placed: list[Placed]
    depth: np.ndarray


_surfaces: dict[tuple, Surface] = {}  # of the last picture, by content: equal meshes share one
_picture: DepthImage | None = None  # the last one, used again while nothing moves


def scene_depth(depsgraph: bpy.types.Depsgraph, camera: Camera, far: float) -> np.ndarray | None:
    """Camera z in metres of the nearest mesh at every pixel centre, inf where none is: float32 [H,W], read
    only. None where the scene has no mesh.

    Meshes beyond `far` are left out. Everything that Blender renders as a mesh is drawn: modifiers,
    instances, curves, text, metaballs, geometry nodes; not the proxies of avatars, nor what is hidden from
    the camera.
    """
    global _picture
    placed = placed_surfaces(depsgraph)
    view = (camera.viewmat.tobytes(), camera.K.tobytes(), camera.width, camera.height)
    view += (camera.orthographic, camera.near, far)
    if not placed:
        _picture = None
    elif _picture is None or _picture.view != view or not unchanged(placed, _picture.placed):
        _picture = None  # frees its memory for the next one
        _picture = DepthImage(view, placed, mesh_depth((one.mesh() for one in placed), camera, far))
    return _picture and _picture.depth


def forget_meshes() -> None:
    """Clears the cached surfaces and the cached depth image."""
    global _picture
    _picture = None
    _surfaces.clear()


def placed_surfaces(depsgraph: bpy.types.Depsgraph, shown=None) -> list[Placed]:
    """Every rendered mesh where it stands; meshes with equal content share one `Surface`.

    `shown` (original object -> bool) leaves objects out, as a local view does.
    The depsgraph also lists curves, text, metaballs and geometry nodes as meshes.
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
            matrix = np.array(instance.matrix_world, dtype=np.float64)
            placed.append(Placed(seen[address], matrix, obj.visible_shadow))
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
    """The mesh's surface, the cached one where the content is equal; None where the mesh has no faces. Adds
    the cache key to `used`."""
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
