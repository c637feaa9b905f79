# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a light reaches a posed avatar: depth maps of the surface that some of its Gaussians span.

Every frame needs this anew, so that everything that does not change with the pose is in `Proxy`: which
Gaussians stand for all, the triangles between them, and with which weights others take what is found there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ..native import INT, POINTER, Kernel, Struct
from ..raster.camera import Camera, look_at
from ..raster.mesh_depth import Mesh, mesh_depth
from ..workers import default_threads, share
from .triangles import neighbour_triangles

SOLID = 0.4  # opacity from which a Gaussian hides what is behind it
WIDEST = 2.5  # of a triangle, in sides of the cubes that one Gaussian each is chosen of
FINER = 0.5  # cubes of the fine shell by those of the coarse
TILT = 0.02  # metres that opposite normals are apart, in finding what stands for what
NEAR = 3  # points of the shell that a Gaussian takes its visibility from
# Metres, and pixels of the depth map, that points are lifted off their surface, and that they may lie deeper.
LIFTS = np.array([0.0005, 0.7, 0.0005], np.float32)
MARGIN = 0.01  # metres about the points in a depth map
SPARE = 7  # floats at the end of a depth map, for eight lanes
DEEPEST = 0.012  # metres: of Gaussians beneath others, which take these others' shadows
ABOUT = 6  # points of the fine shell about a Gaussian, which may lie above it

_depth = Kernel("lca_light_depth", POINTER, INT, POINTER, INT, POINTER, INT, *[POINTER] * 3)
_reach = Kernel("lca_light_reach", POINTER, INT, POINTER, INT, *[POINTER] * 4)


@dataclass(frozen=True)
class Shell:
    """The surface of some Gaussians: rows [s] of these, triangles int32 [t,3] between them (numbers in
    `rows`), area [s] square metres that each stands for at rest."""

    rows: np.ndarray
    triangles: np.ndarray
    area: np.ndarray

    @classmethod
    def between(cls, rows: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> "Shell":
        """Of points [s,3] at rest."""
        a, b, c = np.moveaxis(points[triangles].astype(np.float64), 1, 0)
        part = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
        area = np.bincount(triangles.ravel(), np.repeat(part, 3), len(rows))
        return cls(rows, np.ascontiguousarray(triangles, np.int32), area.astype(np.float32))

    @classmethod
    def of(cls, means: np.ndarray, normals: np.ndarray, solid: np.ndarray, cells: np.ndarray) -> "Shell":
        """One of the solid Gaussians [N] bool for each cube and each of the six main directions of its
        normal, that which lies farthest out; cells [N]: the cubes' sides in metres."""
        rows = np.flatnonzero(solid)
        cube = np.floor(means[rows] / cells[rows, None]).astype(np.int64)
        axis = np.abs(normals[rows]).argmax(1)
        towards = 2 * axis + (np.take_along_axis(normals[rows], axis[:, None], 1)[:, 0] > 0)
        key = (((cube[:, 0] * 8191 + cube[:, 1]) * 8191 + cube[:, 2]) * 8 + towards) * 2
        key += cells[rows] > np.median(cells)
        _, group = np.unique(key, return_inverse=True)
        mean = lambda values: _means(group, values[rows])[group]  # noqa: E731
        out = ((means[rows] - mean(means)) * mean(normals)).sum(1)
        order = np.lexsort((-out, group))
        first = np.flatnonzero(np.diff(group[order], prepend=-1))
        chosen = rows[order[first]]
        triangles = neighbour_triangles(means[chosen], normals[chosen], WIDEST * float(cells.max()))
        return cls.between(chosen, means[chosen], triangles)

    def mesh(self, means: np.ndarray) -> Mesh:
        """The surface of posed Gaussians [N,3]."""
        return Mesh(np.ascontiguousarray(means[self.rows], np.float32), self.triangles, np.eye(4))


def _means(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the values [n,3] of each group, of the groups' numbers [n]."""
    sums = np.stack([np.bincount(group, column) for column in values.T], 1)
    return (sums / np.bincount(group)[:, None]).astype(np.float32)


def tangents(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors [n,3] across each unit normal and each other (Duff et al. 2017)."""
    x, y, z = normals.T
    sign = np.where(z < 0, np.float32(-1), np.float32(1))
    a = -1 / (sign + z)
    b = x * y * a
    right = np.stack([1 + sign * x * x * a, sign * b, -sign * x], 1)
    return right, np.stack([b, sign + y * y * a, -y], 1)


@dataclass(frozen=True)
class Proxy:
    """coarse: where the visibility of an environment is found for frames that must be soon, and what hides it
    there; near int32 and share [N,NEAR]: the points of it that a Gaussian takes it from, and by how much;
    fine: what casts the shadows of lamps and of final frames; inset [N] metres that a Gaussian lies beneath
    it."""

    coarse: Shell
    fine: Shell
    near: np.ndarray
    share: np.ndarray
    inset: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, normals: np.ndarray, opacities: np.ndarray, cells: np.ndarray) -> "Proxy":
        """Of an avatar at rest: means, unit normals [N,3], opacities [N]; cells [N] metres, how coarse."""
        solid = opacities > min(SOLID, float(np.median(opacities)))
        return cls.around(Shell.of(means, normals, solid, FINER * cells), means, normals, solid, cells)

    @classmethod
    def around(cls, fine: Shell, means, normals, solid: np.ndarray, cells: np.ndarray) -> "Proxy":
        """With a surface that is known."""
        coarse = Shell.of(means, normals, solid, cells)
        placed = np.hstack([means, TILT / 2 * normals])
        most = min(NEAR, len(coarse.rows))
        distance, near = cKDTree(placed[coarse.rows]).query(placed, k=[*range(1, most + 1)], workers=-1)
        share = np.pad(1 / (distance**2 + 1e-6), ((0, 0), (0, NEAR - most)))
        share = np.ascontiguousarray(share / share.sum(1, keepdims=True), np.float32)
        near = np.ascontiguousarray(np.pad(near, ((0, 0), (0, NEAR - most))), np.int32)
        return cls(coarse, fine, near, share, _insets(fine, means, normals, placed))

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of the coarse points [s,...] at all Gaussians [N,...]."""
        return np.einsum("nk...,nk->n...", values[self.near], self.share)


def _insets(fine: Shell, means: np.ndarray, normals: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """[N] metres that Gaussians lie beneath the highest of those of a surface that are about them."""
    most = min(ABOUT, len(fine.rows))
    found = cKDTree(placed[fine.rows]).query(placed, k=[*range(1, most + 1)], workers=-1)[1]
    heights = np.einsum("nkc,nc->nk", means[fine.rows[found]] - means[:, None], normals)
    return heights.max(1).clip(0, DEEPEST).astype(np.float32)


@dataclass(frozen=True)
class DepthMap:
    """camera; depth float32: rows of [height + 2, width + 2], one pixel around the map, and SPARE."""

    camera: Camera
    depth: np.ndarray

    @classmethod
    def empty(cls, camera: Camera) -> "DepthMap":
        pixels = (camera.height + 2) * (camera.width + 2)
        return cls(camera, np.full(pixels + SPARE, np.inf, np.float32))

    def struct(self, outside: bool = True) -> Struct:
        """`map_t` of kernels/light.h; outside: whether what lies outside of it is lit."""
        size = self.camera.width, self.camera.height, int(self.camera.orthographic), int(outside)
        return Struct(*size, self.depth, self._view, LIFTS)

    @cached_property
    def _view(self) -> np.ndarray:
        camera, K = self.camera, self.camera.K
        lens = K[0, 0], K[1, 1], K[0, 2], K[1, 2], max(camera.near, 1e-3)
        return np.concatenate([camera.viewmat[:3].ravel(), lens]).astype(np.float32)

    def add(self, meshes: Sequence[Mesh]) -> None:
        """Draws meshes of other objects, before anything else."""
        height, width = self.camera.height, self.camera.width
        inside = self.depth[: (height + 2) * (width + 2)].reshape(height + 2, -1)[1:-1, 1:-1]
        inside[:] = mesh_depth(meshes, self.camera)


def depth_maps(mesh: Mesh, others: Sequence[Mesh], cameras: Sequence[Camera]) -> list[DepthMap]:
    """Maps of an avatar's surface, whose matrix is not looked at, and other meshes."""
    maps = [DepthMap.empty(camera) for camera in cameras]
    for one in maps if others else ():
        one.add(others)
    structs, threads = Struct(*(one.struct() for one in maps)), min(default_threads(), len(maps))
    corners, slots = np.empty((threads, len(mesh.points), 3), np.float32), np.zeros(1, np.int64)
    given = len(maps), structs, len(mesh.points), mesh.points, len(mesh.triangles), mesh.triangles
    share(_depth, len(maps), threads, *given, slots, corners)
    return maps


def reached(
    mesh: Mesh,
    others: Sequence[Mesh],
    places: np.ndarray,
    normals: np.ndarray,
    inset: np.ndarray,
    directions: np.ndarray,
    pixels: int,
) -> np.ndarray:
    """uint8 [D,n], in 255ths: how much of distant light from directions [D,3] reaches places with unit
    normals float32 [n,3], `inset` [n] metres beneath a surface, by depth maps of at most `pixels` a side."""
    maps = depth_maps(mesh, others, distant_cameras(box_of(mesh.points), directions, pixels))
    structs = Struct(*(one.struct() for one in maps))
    seen = np.empty((len(maps), len(places)), np.uint8)
    given = len(places), *(np.ascontiguousarray(a, np.float32) for a in (places, normals, inset))
    share(_reach, len(maps), default_threads(), len(maps), structs, *given, seen)
    return seen


def box_of(points: np.ndarray) -> np.ndarray:
    """Corners [8,3] of the box about points [n,3] and MARGIN."""
    columns = np.ascontiguousarray(points.T)
    sides = np.stack([columns.min(1) - MARGIN, columns.max(1) + MARGIN], 1).astype(np.float64)
    return np.array(np.meshgrid(*sides)).reshape(3, -1).T


def distant_cameras(corners: np.ndarray, directions: np.ndarray, pixels: int) -> list[Camera]:
    """Orthographic views against directions [D,3], from the light, of a box's corners [8,3], each as large as
    fits into a square of `pixels`."""
    directions = np.asarray(directions, np.float64)
    right, up = tangents(directions)
    rotations = np.stack([right, -up, -directions], 1)
    cameras = []
    for rotation in rotations:
        seen = rotation[:2] @ corners.T
        extent = np.ptp(seen, axis=1)
        scale = pixels / max(extent.max(), 1e-6)
        width, height = np.maximum(np.ceil(extent * scale), 8).astype(int).tolist()
        viewmat, middle = np.eye(4), -seen.min(1) * scale
        viewmat[:3, :3] = rotation
        K = np.array([[scale, 0, middle[0]], [0, scale, middle[1]], [0, 0, 1]])
        cameras.append(Camera(viewmat, K, width, height, orthographic=True, near=-1e4))
    return cameras


def lamp_cameras(corners: np.ndarray, position: np.ndarray, pixels: int) -> list[Camera]:
    """Views from a position [3] of a box's corners [8,3]: one where they lie on one side of it, else six."""
    position = np.asarray(position, np.float64)
    middle = corners.mean(0)
    apart = np.linalg.norm(middle - position)
    if apart > 1e-3:
        viewmat = look_at(position, middle)
        seen = corners @ viewmat[:3, :3].T + viewmat[:3, 3]
        if seen[:, 2].min() > 0.2 * apart:
            at = seen[:, :2] / seen[:, 2:]
            low, high = at.min(0), at.max(0)
            scale = pixels / max(high - low)
            width, height = np.maximum(np.ceil((high - low) * scale), 8).astype(int).tolist()
            K = np.array([[scale, 0, -low[0] * scale], [0, scale, -low[1] * scale], [0, 0, 1]])
            return [Camera(viewmat, K, width, height)]
    sides = np.concatenate([np.eye(3), -np.eye(3)])
    K = np.array([[pixels / 2, 0, pixels / 2], [0, pixels / 2, pixels / 2], [0, 0, 1]])
    return [Camera(look_at(position, position + side), K, pixels, pixels) for side in sides]
