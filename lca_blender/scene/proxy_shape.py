# SPDX-License-Identifier: GPL-3.0-or-later
"""What bends a proxy besides the turns of its bones: bendy bones, shape keys, modifiers; splats follow it.

Where any of these is in use, the proxy as Blender has it is compared with the proxy as its bones alone would
have it, and the difference carries the splats along: each by the vertices next to it at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import bpy
import numpy as np

NEAR = 4  # vertices that carry a splat
STILL = 5e-4  # of the proxy's size: less is no difference; bendy bones of a resting Rigify rig reach 5e-5
WILDEST = 4.0  # norm of a local deformation: more is a torn triangle, which carries without bending
# Modifiers that make another mesh, whose vertices are no longer the proxy's.
REMAKING = {
    *("ARRAY", "BEVEL", "BOOLEAN", "BUILD", "DECIMATE", "EDGE_SPLIT", "EXPLODE", "MASK", "MESH_TO_VOLUME"),
    *("MIRROR", "MULTIRES", "OCEAN", "REMESH", "SCREW", "SKIN", "SOLIDIFY", "SUBSURF", "TRIANGULATE"),
    *("VOLUME_TO_MESH", "WELD", "WIREFRAME"),
}


class Bend(NamedTuple):
    """Of the proxy's vertices, object space: places [n,3] by bones alone, places [n,3] as they are."""

    plain: np.ndarray
    actual: np.ndarray


def not_followed(obj: bpy.types.Object) -> list[str]:
    """Names of the object's modifiers that make another mesh: then splats follow the bones alone."""
    return [m.name for m in obj.modifiers if m.type in REMAKING and (m.show_viewport or m.show_render)]


def is_bent(obj: bpy.types.Object) -> bool:
    """Whether anything but bones that turn, move and scale may deform the proxy."""
    keys = obj.data.shape_keys
    if keys is not None and any(key.value for key in keys.key_blocks[1:]):
        return True
    if any(
        m.type not in {"ARMATURE", *REMAKING} and (m.show_viewport or m.show_render) for m in obj.modifiers
    ):
        return True
    rig = obj.lca.armature
    if rig is None:
        return False
    bones = (rig.data.bones.get(pair.bone) for pair in obj.lca.bone_map if pair.bone)
    return any(bone is not None and bone.bbone_segments > 1 for bone in bones)


def bend_of(
    obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph, moves: Sequence[np.ndarray | None]
) -> Bend | None:
    """How the proxy is bent now; None where it is not, or where its vertices are no longer those of the body.

    moves: for every joint the matrix [4,4] by which its bone moves the mesh, None without a bone.
    """
    from .avatar_object import proxy_body

    vertices = proxy_body()[0]
    evaluated = obj.evaluated_get(depsgraph).data
    if len(obj.data.vertices) != len(vertices) or len(evaluated.vertices) != len(vertices):
        return None
    base, actual = (np.empty((len(vertices), 3), np.float32) for _ in range(2))
    obj.data.attributes["position"].data.foreach_get("vector", base.ravel())
    evaluated.attributes["position"].data.foreach_get("vector", actual.ravel())
    known = np.array([move is not None for move in moves])
    stack = np.stack([np.eye(4) if move is None else move for move in moves])[:, :3].astype(np.float32)
    share = _dense_weights() * known
    total = share.sum(1)
    share[total <= 1e-4] = 0
    blended = (share @ stack.reshape(-1, 12) / np.where(total > 1e-4, total, 1)[:, None]).reshape(-1, 3, 4)
    blended[total <= 1e-4] = np.eye(4)[:3]
    plain = np.einsum("nab,nb->na", blended[:, :, :3], base) + blended[:, :, 3]
    size = float(np.ptp(base, axis=0).max())
    return Bend(plain, actual) if np.abs(plain - actual).max() > STILL * size else None


@lru_cache(maxsize=1)
def _dense_weights() -> np.ndarray:
    """[n,J] how much each joint moves each vertex of the proxy."""
    from ..backend.body.skeleton import JOINT_NAMES
    from .avatar_object import proxy_body

    _, _, indices, weights = proxy_body()
    dense = np.zeros((len(indices), len(JOINT_NAMES)), np.float32)
    np.add.at(dense, (np.arange(len(indices))[:, None], indices), weights)
    return dense


def bent(splats, bend: Bend, world: np.ndarray, carriers: tuple[np.ndarray, np.ndarray]):
    """The `Gaussians`, carried from the plain proxy to the bent one; `world` [4,4] of the object."""
    import torch

    linear = world[:3, :3].astype(np.float64)
    plain = bend.plain @ linear.T + world[:3, 3]
    actual = bend.actual @ linear.T + world[:3, 3]
    local = _deformations(plain, actual).astype(np.float32)
    moves = np.abs(actual - plain).max(1) > 0.1 * STILL * float(np.ptp(plain, axis=0).max())
    rows = np.flatnonzero(moves[carriers[0]].any(1))
    vertices, weights = (torch.from_numpy(one[rows]) for one in carriers)
    plain, moved = (torch.from_numpy(one.astype(np.float32)) for one in (plain, actual))
    matrices, rows = torch.from_numpy(local), torch.from_numpy(rows)
    offsets = moved - (matrices @ plain[..., None])[..., 0]
    linear = (weights[..., None, None] * matrices[vertices]).sum(1)
    means, covariances = splats.means.clone(), splats.covariances.clone()
    means[rows] = (linear @ means[rows, :, None])[..., 0] + (weights[..., None] * offsets[vertices]).sum(1)
    covariances[rows] = linear @ covariances[rows] @ linear.mT
    return replace(splats, means=means, covariances=covariances)


def _deformations(plain: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """[n,3,3] how the surface around every vertex is turned and stretched: the mean over its triangles."""
    from .avatar_object import proxy_body

    faces = proxy_body()[1]

    def frames(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, b, c = (points[faces[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        area = np.linalg.norm(normal, axis=1, keepdims=True)
        height = np.sqrt(np.maximum(area, 1e-12))
        return np.stack([b - a, c - a, normal / np.maximum(area, 1e-12) * height], 2), area[:, 0]

    before, area = frames(plain)
    after, _ = frames(actual)
    good = (area > 1e-10) & (np.abs(np.linalg.det(before)) > 1e-15)
    before[~good], after[~good] = np.eye(3), np.eye(3)
    turned = after @ np.linalg.inv(before)
    turned[np.linalg.norm(turned, axis=(1, 2)) > WILDEST] = np.eye(3)
    area = np.where(good, area, 0)
    sums = _around() @ np.c_[area, area[:, None] * turned.reshape(-1, 9)]
    lonely = sums[:, 0] <= 0
    sums[lonely] = np.append(1, np.eye(3).ravel())
    return (sums[:, 1:] / sums[:, :1]).reshape(-1, 3, 3)


@lru_cache(maxsize=1)
def _around():
    """Sparse [n,f]: 1 where a vertex is a corner of a triangle."""
    from scipy.sparse import csr_array

    from .avatar_object import proxy_body

    vertices, faces, _, _ = proxy_body()
    corners = (faces.ravel(), np.repeat(np.arange(len(faces)), 3))
    return csr_array((np.ones(faces.size), corners), (len(vertices), len(faces)))


def carriers_of(avatar, obj: bpy.types.Object, resting: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every splat the vertices [N,4] that carry it and their weights [N,4], by nearness at rest.

    resting [J,4,4]: the joints' transforms to where the proxy's mesh rests.
    """
    base = np.empty((len(obj.data.vertices), 3), np.float32)
    obj.data.attributes["position"].data.foreach_get("vector", base.ravel())
    return _carriers(_Avatar(avatar), base.tobytes(), resting.tobytes())


class _Avatar:
    """An avatar, hashable by its content."""

    def __init__(self, avatar):
        self.avatar = avatar

    def __hash__(self) -> int:
        return hash(self.avatar.hash)

    def __eq__(self, other) -> bool:
        return self.avatar.hash == other.avatar.hash


@lru_cache(maxsize=8)
def _carriers(key: _Avatar, base: bytes, resting: bytes) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from scipy.spatial import cKDTree

    from ..backend.avatar import Signal

    transforms = torch.from_numpy(np.frombuffer(resting, np.float32).reshape(-1, 4, 4).copy())
    at_rest = key.avatar.drive(Signal(transforms, torch.zeros(52), torch.zeros(2, 2)))
    points = np.frombuffer(base, np.float32).reshape(-1, 3)
    distance, vertices = cKDTree(points).query(at_rest.means.numpy(), NEAR, workers=1)
    weights = 1 / np.maximum(distance, 1e-6 + 0.01 * distance.max(1, keepdims=True)) ** 2
    weights /= weights.sum(1, keepdims=True)
    return vertices.astype(np.int64), weights.astype(np.float32)
