# SPDX-License-Identifier: GPL-3.0-or-later
"""Skinning weights smoothed where hard poses tear the skin: at groin, armpits, elbows and knees."""

from types import SimpleNamespace

import numpy as np
from lca_blender.backend.body.pose import joint_transforms
from lca_blender.backend.body.skeleton import INDEX, joint_parents
from scipy.sparse import csr_matrix, diags
from scipy.spatial import cKDTree

STRETCH = 1.45  # of an edge's length at rest: more is smoothed
SHORTEST = 0.001  # metres: shorter edges are measured as if they were that long
REACH = 0.012  # metres: what is averaged at once
ROUNDS, SPREAD = 90, 5
# starts of the names of joints whose skin stays as it is
STIFF = ("head", "neck2", "jaw", "eye", "hand", "thumb", "index", "middle", "ring", "pinky", "toe")
# Degrees about x, y and z in the canonical frame, of left joints; right ones turn as their mirror image.
HARD_POSES = (
    {"upper_arm": (0, -110, 0), "clavicle": (0, -20, 0), "forearm": (-60, -60, 0)},
    {"upper_arm": (0, -45, 0), "forearm": (-85, 0, -85)},
    {"thigh": (-115, 0, 0), "shin": (130, 0, 0), "foot": (-25, 0, 0), "spine1": (25, 0, 0)},
    {"thigh": (-95, -30, 20), "shin": (120, 0, 0)},
    {"thigh": (0, -70, 0), "upper_arm": (0, 30, 0)},
    {"thigh.L": (-130, 0, 0), "shin.L": (130, 0, 0)},
    {"thigh.L": (-85, 0, 0), "thigh.R": (60, 0, 0)},
)


def smooth_torn(vertices, faces, weights, heads, mirror, skin) -> np.ndarray:
    """Weights [n,58] averaged over neighbours, again and again, around edges that a hard pose lengthens by
    more than `STRETCH`. vertices [n,3]; faces [f,3]; heads [58,3]; mirror [n]; skin [n] bool: what may
    change."""
    faces = faces[skin[faces].all(1)]
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    ends = np.unique(ends, axis=0)
    stiff = weights[:, [j for name, j in INDEX.items() if name.startswith(STIFF)]].sum(1) > 0.5
    mean = _around_mean(vertices, _areas(vertices, faces), skin & ~stiff)
    length = np.maximum(np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1), SHORTEST)
    transforms = [_transforms(pose, heads) for pose in HARD_POSES]
    weights = weights.copy()
    for _ in range(ROUNDS):
        torn = np.zeros(len(ends), bool)
        for matrices in transforms:
            posed = _posed(vertices, weights, matrices)
            torn |= np.linalg.norm(posed[ends[:, 0]] - posed[ends[:, 1]], axis=1) > STRETCH * length
        if not torn.any():
            break
        share = np.zeros(len(vertices))
        share[ends[torn]] = 1
        share = np.maximum(share, share[mirror])
        for _ in range(SPREAD):
            share = np.maximum(share, mean @ share)
        weights += (share * ~stiff)[:, None] * (mean @ weights - weights)
    return weights / weights.sum(1, keepdims=True)


def _around_mean(vertices: np.ndarray, areas: np.ndarray, near: np.ndarray) -> csr_matrix:
    """[n,n]: the mean of the surface within about `REACH` metres of each vertex where `near` [n] is true;
    elsewhere every vertex is alone."""
    rows = np.flatnonzero(near)
    pairs = cKDTree(vertices[rows]).query_pairs(2 * REACH, output_type="ndarray")
    pairs = rows[np.concatenate([pairs, pairs[:, ::-1], np.arange(len(rows))[:, None].repeat(2, 1)])]
    distance = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    weight = areas[pairs[:, 1]] * np.exp(-((distance / REACH) ** 2))
    kernel = csr_matrix((weight, pairs.T), (len(vertices),) * 2)
    return diags(1 / np.maximum(np.asarray(kernel.sum(1)).ravel(), 1e-30)) @ kernel


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[n]: a third of the area of the triangles at each vertex."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(faces.ravel(), area.repeat(3), len(vertices))


def _transforms(pose: dict, heads: np.ndarray) -> np.ndarray:
    """[58,4,4] float64."""
    rotations = np.zeros((len(INDEX), 3), np.float32)
    for name, degrees in pose.items():
        turn = np.radians(degrees)
        if name in INDEX:
            rotations[INDEX[name]] = turn
        else:
            rotations[INDEX[f"{name}.L"]], rotations[INDEX[f"{name}.R"]] = turn, turn * (1, -1, -1)
    body = SimpleNamespace(joint_heads=heads, joint_parents=joint_parents())
    return joint_transforms(body, rotations).astype(np.float64)


def _posed(vertices, weights, matrices) -> np.ndarray:
    blended = (weights @ matrices[:, :3].reshape(len(matrices), 12)).reshape(-1, 3, 4)
    return np.einsum("nab,nb->na", blended[:, :, :3], vertices) + blended[:, :, 3]
