# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds of cloth that come and go with the pose: where a limb shortens on one side, cloth creases across it.

Each cloth vertex knows the direction along which its garment bunches up (down a sleeve, down a leg, round a
skirt) and how far along it lies. A pose shortens some edges of the mesh; the share that is lost along that
direction is how deep the creases are there. They are drawn as a slope of the surface at every pixel, as sharp
as the picture and without triangles (bump mapping, Blinn 1978).
"""

from __future__ import annotations

import numba
import numpy as np

from .noise import noise3
from .sites import Sites

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}
WAVELENGTH = 0.042  # metres between creases
LEAST, GAIN, MOST = 0.09, 2.4, 0.75  # slope of cloth at rest, per share of length lost, and at most


def along_limbs(rest: np.ndarray, sites: Sites, looseness) -> np.ndarray:
    """Crease directions of garments that follow the limbs, at rest points [n, 3] of the mean template.

    looseness [n] or a number in 0..1. Returns [n, 5]: direction times looseness, metres along it, slope at
    rest.
    """
    arm = sites.is_arm(rest)
    t, _ = sites.along_arm(rest)
    sleeve = sites.arm_axis * np.stack([np.sign(rest[:, 0]), np.ones(len(rest)), np.ones(len(rest))], 1)
    axis = np.where(arm[:, None], sleeve, [0.0, 0.0, -1.0])
    looseness = np.broadcast_to(looseness, len(rest))
    along = np.where(arm, t, -rest[:, 2])
    return np.column_stack([axis * looseness[:, None], along, LEAST * looseness]).astype(np.float32)


@numba.njit(**_JIT)
def fold_vectors(rest, posed, faces, folds):
    """[n, 4]: direction of the creases' slope in the world times its strength, and metres along it at rest.

    rest, posed [n, 3] vertices; faces [f, 3]; folds [n, 5] as from `along_limbs`, zeros where nothing folds.
    """
    count = len(rest)
    lost = np.zeros(count, np.float32)
    total = np.full(count, 1e-9, np.float32)
    ahead = np.zeros((count, 3), np.float32)
    for t in range(len(faces)):
        for e in range(3):
            i, j = faces[t, e], faces[t, (e + 1) % 3]
            ax, ay, az = folds[i, 0], folds[i, 1], folds[i, 2]
            size = ax * ax + ay * ay + az * az
            if size == 0:
                continue
            dx, dy, dz = rest[j, 0] - rest[i, 0], rest[j, 1] - rest[i, 1], rest[j, 2] - rest[i, 2]
            px, py, pz = posed[j, 0] - posed[i, 0], posed[j, 1] - posed[i, 1], posed[j, 2] - posed[i, 2]
            before = dx * dx + dy * dy + dz * dz + np.float32(1e-12)
            toward = dx * ax + dy * ay + dz * az
            share = toward * toward / (before * size)
            ratio = np.sqrt((px * px + py * py + pz * pz) / before)
            sign = np.float32(1) if toward >= 0 else np.float32(-1)
            for v in (i, j):
                lost[v] += share * (1 - ratio)
                total[v] += share
                ahead[v, 0] += sign * share * px
                ahead[v, 1] += sign * share * py
                ahead[v, 2] += sign * share * pz
    out = np.zeros((count, 4), np.float32)
    for i in range(count):
        size = np.sqrt(folds[i, 0] ** 2 + folds[i, 1] ** 2 + folds[i, 2] ** 2)
        length = np.sqrt(ahead[i, 0] ** 2 + ahead[i, 1] ** 2 + ahead[i, 2] ** 2)
        if size == 0 or length == 0:
            continue
        strength = folds[i, 4] + size * GAIN * max(lost[i] / total[i], np.float32(0))
        strength = min(strength, np.float32(MOST))
        for c in range(3):
            out[i, c] = strength * ahead[i, c] / length
        out[i, 3] = folds[i, 3]
    return out


@numba.njit(**_JIT)
def crease(normals, vectors, rest, sky):
    """Tilts unit normals [p, 3] by the creases and darkens their valleys in sky [p], both in place.

    vectors [p, 4] as from `fold_vectors`, rest [p, 3] points of the cloth at rest.
    """
    for i in range(len(normals)):
        strength = np.sqrt(vectors[i, 0] ** 2 + vectors[i, 1] ** 2 + vectors[i, 2] ** 2)
        if strength < 1e-3:
            continue
        x, y, z = rest[i, 0], rest[i, 1], rest[i, 2]
        # Creases wander, end and begin again.
        wander = 5.0 * noise3(x * 8.0, y * 8.0, z * 6.0) + 1.6 * noise3(x * 21.0, y * 21.0, z * 21.0)
        phase = 2 * np.pi * vectors[i, 3] / WAVELENGTH + wander
        there = 0.55 + 0.9 * noise3(x * 13.0 + 31.0, y * 13.0, z * 13.0)
        wave = np.cos(phase) * max(there, 0.0)
        facing = 0.0
        for c in range(3):
            facing += vectors[i, c] * normals[i, c]
        size = 0.0
        for c in range(3):
            normals[i, c] -= wave * (vectors[i, c] - facing * normals[i, c])
            size += normals[i, c] ** 2
        size = np.sqrt(size)
        for c in range(3):
            normals[i, c] /= size
        sky[i] *= 1 - 0.5 * strength * max(there, 0.0) * max(-np.sin(phase), 0.0)
