# SPDX-License-Identifier: GPL-3.0-or-later
"""Finger- and toenails, found by the template's regions, palms and knuckles."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from scipy.sparse.csgraph import connected_components

from .noise import noise3, smoothstep
from .sites import load_sites
from .surface import adjacency

_JIT = {"cache": True, "nogil": True}


@lru_cache(maxsize=1)
def nail_frames() -> np.ndarray:
    """[10, 4, 3] of the left hand's and foot's nails on the mean template, metres: the middle, unit vectors
    along the digit and out of the nail, and half the (length, width, thickness)."""
    template = load_sites().template
    tips = template.joint_tails
    names = template.joint_names
    out = []
    for region, ends in (("fingernails", "thumb index middle ring pinky"), ("toenails", "")):
        own = (template.region(region) > 0.3) & (template.vertices[:, 0] > 0)
        faces = template.faces[own[template.faces].all(1)]
        _, label = connected_components(adjacency(len(own), faces), directed=False)
        used = np.unique(faces)
        joints = [names.index(f"{finger}3.L") for finger in ends.split()]
        for piece in np.unique(label[used]):
            rows = used[label[used] == piece]
            points, middle = template.vertices[rows], template.vertices[rows].mean(0)
            if len(rows) < 3:
                continue
            out_of = template.normals[rows].mean(0)
            along = np.array([0.0, -1.0, 0.0])
            if joints:
                near = joints[np.linalg.norm(tips[joints] - middle, axis=1).argmin()]
                along = tips[near] - template.joint_heads[near]
            along = along - out_of * (along @ out_of) / (out_of @ out_of)
            along, out_of = along / np.linalg.norm(along), out_of / np.linalg.norm(out_of)
            frame = np.stack([along, np.cross(out_of, along), out_of])
            local = ((points - middle)[:, None] * frame).sum(2)
            middle = middle + (0.5 * (local.max(0) + local.min(0))[:, None] * frame).sum(0)
            out.append([middle, along, out_of, 0.5 * np.ptp(local, axis=0) + (0.0004, 0.0004, 0.0015)])
    return np.array(out, np.float64)


@lru_cache(maxsize=1)
def hand_frame() -> np.ndarray:
    """[3, 3] the mean template's left hand: the wrist, metres, directions of fingers and back of the hand."""
    sites = load_sites()
    wrist, middle, index, pinky = (sites.joint(n) for n in ("hand.L", "middle1.L", "index1.L", "pinky1.L"))
    along = (middle - wrist) / np.linalg.norm(middle - wrist)
    dorsal = np.cross(along, index - pinky)
    dorsal = dorsal / np.linalg.norm(dorsal)
    return np.array([wrist, along, dorsal if dorsal[0] + dorsal[2] > 0 else -dorsal], np.float64)


@numba.njit(**_JIT)
def paint_nails(px, py, pz, look, frames, c):
    """Nails at a point of the left side, metres, into c [3]; returns how much of a nail it is, 0..1."""
    most = 0.0
    for f in range(len(frames)):
        ex, ey, ez = px - frames[f, 0, 0], py - frames[f, 0, 1], pz - frames[f, 0, 2]
        if ex * ex + ey * ey + ez * ez > 4e-4:
            continue
        a, o, size = frames[f, 1], frames[f, 2], frames[f, 3]
        u = (ex * a[0] + ey * a[1] + ez * a[2]) / size[0]
        w = ex * (o[1] * a[2] - o[2] * a[1]) + ey * (o[2] * a[0] - o[0] * a[2])
        w = (w + ez * (o[0] * a[1] - o[1] * a[0])) / size[1]
        v = (ex * o[0] + ey * o[1] + ez * o[2]) / size[2]
        if v < -1.3:
            continue
        edge = (u * u) ** 2 + (w * w) ** 1.5
        nail = smoothstep(1.15, 0.9, edge)
        fold = smoothstep(1.7, 1.2, edge) * (1 - nail)
        tip = smoothstep(0.62, 0.78, u) * (1 - look.polish)
        moon = smoothstep(0.45, 0.3, (u + 0.95) ** 2 + 0.5 * w * w) * (1 - look.polish)
        for i in range(3):
            colour = look.nails[i] + (0.45 * tip + 0.25 * moon) * (0.93 - look.nails[i])
            c[i] *= 1 - 0.14 * fold * (0.6, 1.0, 1.0)[i]
            c[i] += nail * (colour - c[i])
        most = max(most, nail)
    return most


@numba.njit(**_JIT)
def paint_hand(px, py, pz, look, hand, c):
    """Palms, creases and knuckles of the hand on the point's side (mirrored to the left), metres."""
    dx, dy, dz = px - hand[0, 0], py - hand[0, 1], pz - hand[0, 2]
    along = dx * hand[1, 0] + dy * hand[1, 1] + dz * hand[1, 2]
    if along < -0.03:
        return
    dorsal = dx * hand[2, 0] + dy * hand[2, 1] + dz * hand[2, 2]
    palm = smoothstep(0.002, -0.012, dorsal + 0.22 * max(along - 0.08, 0.0)) * smoothstep(-0.02, 0.02, along)
    pink = 0.5 + 0.5 * noise3(px * 90.0, py * 90.0, pz * 90.0)
    for i in range(3):
        c[i] += 0.8 * palm * (look.palm[i] * (1.0, 0.93, 0.93)[i] ** pink - c[i])
    # Fine folds across the fingers' backs and the palm.
    line = noise3(along * 420.0, px * 60.0, py * 60.0)
    dark = 0.10 * max(line - 0.25, 0.0) * smoothstep(0.05, 0.09, along)
    for i in range(3):
        c[i] *= 1 - dark * (0.7, 1.0, 1.0)[i]
