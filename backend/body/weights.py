# SPDX-License-Identifier: GPL-3.0-or-later
"""Skinning weights by heat diffusion on the surface. Build time only; body centimetres.

Every vertex gets the bone whose capsule is nearest, with a few anatomical borders; the one-hot labels then
diffuse along the skin, (M / tau + L) W = (M / tau) W0 twice with cotangent Laplacian L, lumped mass M and tau
= (0.65 radius)^2. Along the skin nothing leaks between fingers or thighs.
"""

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

from .implicit.head import mouth_line
from .meshing import adjacency
from .skeleton import FINGERS, INDEX, JOINT_NAMES, mirror_joints

DIFFUSION = 0.65
KEPT = 8
BONE_RADIUS = {
    "pelvis": 11, "spine1": 10, "spine2": 10, "spine3": 11, "neck1": 5.5, "neck2": 5.5, "head": 8, "jaw": 3,
    "eye": 1.2, "clavicle": 5, "upper_arm": 5, "forearm": 4, "forearm_twist": 3.3, "hand": 3,
    "thigh": 8.5, "shin": 5.5, "foot": 3.8, "toe": 2.5,
}  # fmt: skip


def bone_radii():
    return np.array([BONE_RADIUS.get(name.split(".")[0], 0.95) for name in JOINT_NAMES], float)


def segment_distance(points, a, b):
    d = b - a
    t = np.clip((points - a) @ d / (d @ d), 0, 1)
    return np.linalg.norm(points - a - t[:, None] * d, axis=1)


def _bone_distances(points, heads, tails):
    radii = bone_radii()
    out = np.full((len(points), len(JOINT_NAMES)), np.inf)
    flat = points * np.array([0.35, 1, 0.6]) + np.array([0, 0, -0.8])
    for j, name in enumerate(JOINT_NAMES):
        base = name.split(".")[0]
        if base in ("eye", "jaw"):
            continue
        if base == "pelvis" or base.startswith("spine"):
            d = segment_distance(flat, heads[j], tails[j]) - 2.0
        elif base == "clavicle":
            d = segment_distance(points, heads[j], tails[j]) - 2.3
        else:
            d = segment_distance(points, heads[j], tails[j]) - radii[j]
        if name[-2:] in (".L", ".R"):
            d = np.where((points[:, 0] >= 0) == name.endswith(".L"), d, d + 50)
        out[:, j] = d
    return out


def bone_labels(points, heads, tails, body):
    """Nearest bone [n], with borders at jaw, shoulder and groin."""
    distances = _bone_distances(points, heads, tails)
    label = distances.argmin(1)
    frame, y, x = body.frame, points[:, 1], np.abs(points[:, 0])
    q = body.head_local(points)
    in_head = (q[:, 1] > -9.5 - np.clip(q[:, 2] - 1, 0, 9) * 0.35) & (q[:, 1] > -13)
    label[in_head] = INDEX["head"]
    label[~in_head & (label == INDEX["head"])] = INDEX["neck2"]
    shoulder, hip = frame.joints["upper_arm"], frame.joints["thigh"]
    axis = frame.joints["forearm"] - shoulder
    axis /= np.linalg.norm(axis)
    inguinal = np.minimum(hip[1] - 4 + 0.55 * (x - 4.5), hip[1] + 4)
    for side, sign in (("L", 1), ("R", -1)):
        own = points[:, 0] * sign >= 0
        arm_bones = ["upper_arm", "forearm", "forearm_twist", "hand"] + [
            f"{f}{i}" for f in FINGERS for i in (1, 2, 3)
        ]
        arm = [INDEX[f"{name}.{side}"] for name in arm_bones]
        leg = [INDEX[f"{name}.{side}"] for name in ("thigh", "shin", "foot", "toe")]
        clavicle = INDEX[f"clavicle.{side}"]
        t = (points * (sign, 1, 1) - shoulder) @ axis
        is_arm = np.isin(label, arm)
        chest = is_arm & ((t < 1.0) | ((x < shoulder[0] - 2.2) & (t < 14)))
        allowed = distances.copy()
        allowed[:, [*arm, leg[0]]] = np.inf
        label[chest] = allowed[chest].argmin(1)
        low = (label == clavicle) & (y < shoulder[1] - 5 * frame.scale)
        allowed[:, clavicle] = np.inf
        label[low] = allowed[low].argmin(1)
        near_hip = own & (y < hip[1] + 5) & ~np.isin(label, arm)
        label[near_hip & (y > inguinal) & np.isin(label, leg)] = INDEX["pelvis"]
        label[near_hip & (y <= inguinal) & ~np.isin(label, leg)] = leg[0]
    return label


def cotangent_laplacian(vertices, faces):
    """Stiffness matrix [n, n] and lumped mass [n]."""
    n = len(vertices)
    rows, columns, values, mass = [], [], [], np.zeros(n)
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        e1 = vertices[faces[:, b]] - vertices[faces[:, a]]
        e2 = vertices[faces[:, c]] - vertices[faces[:, a]]
        area2 = np.linalg.norm(np.cross(e1, e2), axis=1) + 1e-9
        half_cot = np.clip((e1 * e2).sum(1) / area2, 0.02, 8) * 0.5
        rows += [faces[:, b], faces[:, c]]
        columns += [faces[:, c], faces[:, b]]
        values += [half_cot, half_cot]
        mass += np.bincount(faces[:, a], area2 / 6, n)
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (n, n)
    ).tocsr()
    return diags(np.asarray(matrix.sum(1)).ravel()) - matrix, np.maximum(mass, 1e-6)


def diffuse(vertices, faces, label):
    """One-hot labels -> smooth weights [n, 58]."""
    start = np.zeros((len(vertices), len(JOINT_NAMES)))
    start[np.arange(len(vertices)), label] = 1
    stiffness, mass = cotangent_laplacian(vertices.astype(float), faces)
    radius = bone_radii()[label]
    links = adjacency(len(vertices), faces)
    degree = np.maximum(np.asarray(links.sum(1)).ravel(), 1)
    for _ in range(15):
        radius = 0.5 * radius + 0.5 * (links @ radius) / degree
    ratio = mass / (DIFFUSION * radius) ** 2
    solve = splu((diags(ratio) + stiffness).tocsc()).solve
    weights = np.clip(solve(ratio[:, None] * solve(ratio[:, None] * start)), 0, None)
    return weights / weights.sum(1, keepdims=True)


def _reach(points):
    """Factor [n, 58] that keeps arms and clavicles from pulling at the spine, which diffuses far."""
    out = np.ones((len(points), len(JOINT_NAMES)))
    for side, sign in (("L", 1), ("R", -1)):
        x = points[:, 0] * sign
        out[:, INDEX[f"upper_arm.{side}"]] = np.clip((x - 4) / 8, 0, 1)
        out[:, INDEX[f"clavicle.{side}"]] = np.clip((x + 1) / 4, 0, 1)
    return out


def jaw_weights(q, face):
    """Share of the jaw [n] at head-local points of the OPEN mouth: once closed, upper and lower lip are one
    place.

    The corner of the mouth reaches one half from both sides, or a tear would show.
    """
    x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
    half = face.mouth_width
    outside = np.maximum(x - half, 0)
    line = np.where(x < half, mouth_line(x, face), -7.04 + np.clip(outside / 3.5, 0, 1) * 2.2)
    corner = 0.5 * np.minimum(x / half, 1) ** 4
    above = np.exp(-((np.maximum(y - line, 0) / (0.7 + 0.7 * outside)) ** 2))
    below = np.exp(-((np.maximum(line - y, 0) / (0.9 + 0.7 * outside)) ** 2))
    w = np.where(y < line, 1 - corner * below, corner * above)
    w = w * np.clip((z - 0.5) / 4.5, 0, 1) * np.clip((y + 14.2) / 3.2, 0, 1)
    return np.clip(w, 0, 1)


def skin_weights(vertices, faces, image, heads, tails, body):
    """Dense weights [n, 58] of the skin (open mouth), exactly mirror-symmetric under `image`."""
    weights = diffuse(vertices, faces, bone_labels(vertices, heads, tails, body)) * _reach(vertices)
    weights /= weights.sum(1, keepdims=True)
    jaw = jaw_weights(body.head_local(vertices), body.parameters.face)
    weights *= 1 - jaw[:, None]
    weights[:, INDEX["jaw"]] = jaw
    return 0.5 * (weights + weights[image][:, mirror_joints()])


def strongest(weights, kept=KEPT, floor=0.003):
    """Keeps the `kept` largest per row, drops what is below `floor`; indices int16 and weights float32 [n,
    kept]."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :kept]
    values = np.take_along_axis(weights, order, 1)
    values[values < floor] = 0
    values /= values.sum(1, keepdims=True)
    order[values == 0] = 0
    return order.astype(np.int16), values.astype(np.float32)
