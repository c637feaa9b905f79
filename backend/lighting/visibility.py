# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a light reaches a posed avatar: depth maps of a few of its Gaussians, drawn as squares.

Every frame needs this anew, so that everything that does not change with the pose is in `Proxy`: which
Gaussians stand for all, and with which weights the others take what is found at these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from ..native import INT, POINTER, Kernel
from ..raster.camera import Camera, look_at
from ..raster.mesh_depth import Mesh, mesh_depth
from ..workers import default_threads, share

SOLID = 0.4  # opacity from which a Gaussian hides what is behind it
SIDE = 1.5  # of a square, in mean distances between the squares
SIDES_APART = 0.1  # metres that the sides of cloth are taken to be apart, in finding a square's neighbours
TILT = 0.02  # metres that opposite normals are apart, in finding what stands for what
NEAR = 3  # squares that a Gaussian takes its visibility from
# Metres, and pixels of the depth map, that points are lifted off their surface, and that they may lie deeper.
LIFTS = np.array([0.004, 0.8, 0.006], np.float32)
MARGIN = 0.01  # metres about the points in a depth map
DISC = 0.4  # radius of a disc in sides of a square: smaller ones leak, larger ones shade their neighbours
DEEPEST = 0.012  # metres: of Gaussians beneath others, which take these others' shadows


_reach = Kernel("lca_light_reach", POINTER, INT, INT, *[POINTER] * 5, INT, *[POINTER] * 3)


@dataclass(frozen=True)
class Squares:
    """rows [s] of the Gaussians that stand for others; side [s] metres of their squares."""

    rows: np.ndarray
    side: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, normals: np.ndarray, solid: np.ndarray, cells: np.ndarray) -> "Squares":
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
        near = min(6, max(len(chosen) - 1, 1))
        placed = np.hstack([means[chosen], SIDES_APART / 2 * normals[chosen]])
        around = cKDTree(placed).query(placed, k=near + 1)[1][:, 1:]
        apart = np.linalg.norm(means[chosen][around] - means[chosen][:, None], axis=2).mean(1)
        side = np.minimum(SIDE * apart, 1.5 * cells[chosen])
        return cls(chosen, side.astype(np.float32))

    def mesh(self, means: np.ndarray, normals: np.ndarray) -> Mesh:
        """The squares of posed Gaussians, two triangles each."""
        center, half = means[self.rows], 0.5 * self.side[:, None]
        right, up = tangents(normals[self.rows])
        right, up = right * half, up * half
        sides = -right - up, right - up, right + up, up - right
        corners = np.stack([center + side for side in sides], 1).reshape(-1, 3)
        return Mesh(np.ascontiguousarray(corners, np.float32), _triangles(len(center)), np.eye(4))


def _means(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the values [n,3] of each group, of the groups' numbers [n]."""
    sums = np.stack([np.bincount(group, column) for column in values.T], 1)
    return (sums / np.bincount(group)[:, None]).astype(np.float32)


@lru_cache(maxsize=8)
def _triangles(count: int) -> np.ndarray:
    pair = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return (np.arange(count, dtype=np.int32)[:, None, None] * 4 + pair).reshape(-1, 3)


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
    """coarse: squares where visibility is found for the many directions of an environment; near int32 and
    share [N,NEAR]: those of them that a Gaussian takes it from, and by how much; fine: squares that cast the
    shadows of lamps; inset [N] metres that a Gaussian lies beneath them."""

    coarse: Squares
    fine: Squares
    near: np.ndarray
    share: np.ndarray
    inset: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, normals: np.ndarray, opacities: np.ndarray, cells: np.ndarray) -> "Proxy":
        """Of an avatar at rest: means, unit normals [N,3], opacities [N]; cells [N] metres, how coarse."""
        solid = opacities > min(SOLID, float(np.median(opacities)))
        coarse = Squares.of(means, normals, solid, cells)
        fine = Squares.of(means, normals, solid, cells / 2)
        placed = np.hstack([means, TILT / 2 * normals])
        most = min(NEAR, len(coarse.rows))
        distance, near = cKDTree(placed[coarse.rows]).query(placed, k=[*range(1, most + 1)], workers=-1)
        share = np.pad(1 / (distance**2 + 1e-6), ((0, 0), (0, NEAR - most)))
        share = np.ascontiguousarray(share / share.sum(1, keepdims=True), np.float32)
        near = np.ascontiguousarray(np.pad(near, ((0, 0), (0, NEAR - most))), np.int32)
        above = fine.rows[cKDTree(placed[fine.rows]).query(placed, workers=-1)[1]]
        inset = ((means[above] - means) * normals).sum(1).clip(0, DEEPEST).astype(np.float32)
        return cls(coarse, fine, near, share, inset)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of the coarse squares [s,...] at all Gaussians [N,...]."""
        return np.einsum("nk...,nk->n...", values[self.near], self.share)


def reached(
    squares: Squares,
    means: np.ndarray,
    normals: np.ndarray,
    directions: np.ndarray,
    pixels: int,
    others: Sequence[Mesh] = (),
) -> np.ndarray:
    """[D,s] float32, 0 or 1: whether distant light from directions [D,3] reaches the squares of posed
    Gaussians, by depth maps of at most `pixels` a side, in which the squares are discs, and others meshes."""
    points, normals = (np.ascontiguousarray(a[squares.rows], np.float32) for a in (means, normals))
    viewmats, middles, scales, sizes = _distant_views(points, np.asarray(directions, np.float64), pixels)
    depth = np.full((len(sizes), int(sizes.prod(1).max(initial=1))), np.inf, np.float32)
    for number in range(len(sizes) if others else 0):
        K = np.diag([scales[number], scales[number], 1.0])
        K[:2, 2] = middles[number]
        size = sizes[number].tolist()
        drawn = mesh_depth(others, Camera(viewmats[number], K, *size, orthographic=True, near=-1e4)).ravel()
        depth[number, : len(drawn)] = drawn
    numbers = np.concatenate([viewmats[:, :3].reshape(-1, 12), scales[:, None], middles], 1)
    seen = np.empty((len(sizes), len(points)), np.float32)
    discs = points, normals, squares.side * np.float32(DISC)
    maps = numbers.astype(np.float32), sizes, depth.shape[1], depth, LIFTS
    share(_reach, len(sizes), default_threads(), len(sizes), len(points), *discs, *maps, seen)
    return seen


def _distant_views(points: np.ndarray, directions: np.ndarray, pixels: int):
    """As `distant_camera`, of the box about all points, for directions [D,3] at once: viewmats [D,4,4],
    middles [D,2], pixels a metre [D], sizes int64 [D,2]."""
    right, up = tangents(directions)
    viewmats = np.zeros((len(directions), 4, 4))
    viewmats[:, :3, :3] = np.stack([right, -up, -directions], 1)
    viewmats[:, 3, 3] = 1
    low, high = points.min(0), points.max(0)
    corners = np.array(np.meshgrid(*np.stack([low, high], 1).astype(np.float64))).reshape(3, -1)
    seen = viewmats[:, :2, :3] @ corners
    low, extent = seen.min(2), np.ptp(seen, axis=2) + 2 * MARGIN
    scales = pixels / np.maximum(extent.max(1), 1e-6)
    sizes = np.maximum(np.ceil(extent * scales[:, None]), 1).astype(np.int64)
    return viewmats, (MARGIN - low) * scales[:, None], scales, sizes


def depth_maps(meshes: Sequence[Mesh], cameras: Sequence[Camera]) -> list[tuple[Camera, np.ndarray]]:
    """Cameras and their depth [H+2,W+2] of meshes, nothing in the pixels around it."""
    drawn = [np.pad(mesh_depth(meshes, camera), 1, constant_values=np.inf) for camera in cameras]
    return list(zip(cameras, drawn, strict=True))


def distant_camera(points: np.ndarray, direction: np.ndarray, pixels: int) -> Camera:
    """An orthographic view against a direction [3], from the light, of all points [n,3], as large as fits
    into a square of `pixels`."""
    direction = np.asarray(direction, np.float64)
    viewmat = look_at(direction, (0.0, 0.0, 0.0))
    seen = np.einsum("ij,nj->ni", viewmat[:2, :3], points)
    low, high = seen.min(0) - MARGIN, seen.max(0) + MARGIN
    scale = pixels / max(high - low)
    width, height = np.maximum(np.ceil((high - low) * scale), 8).astype(int).tolist()
    K = np.array([[scale, 0, -low[0] * scale], [0, scale, -low[1] * scale], [0, 0, 1]])
    return Camera(viewmat, K, width, height, orthographic=True, near=-1e4)


def lamp_cameras(points: np.ndarray, position: np.ndarray, pixels: int) -> list[Camera]:
    """Views from a position [3] of all points [n,3]: one where they lie on one side of it, else six."""
    position = np.asarray(position, np.float64)
    low, high = points.min(0), points.max(0)
    corners = np.array(np.meshgrid(*np.stack([low, high], 1))).reshape(3, -1).T - 0.01
    corners += 0.02 * (corners > (low + high) / 2)
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
