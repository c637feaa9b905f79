# SPDX-License-Identifier: GPL-3.0-or-later
"""What is timed: a body of seventeen capsules, and an avatar on the built-in body with a decoder of random
weights."""

import numpy as np
import torch

from ...avatar import Avatar, Signal
from ...body.anchors import sample_anchors
from ...body.pose import joint_transforms
from ...body.template import load_template
from ...decoder import CHANGES, signal_size
from ...gaussians import Gaussians
from ...raster import Camera, look_at

HEIGHT = 1.8  # metres
# ends (x, y, z) and radius, metres; the person stands on z = 0 and faces -Y. A limb is there twice.
MIDDLE = (
    ((0, -0.01, 1.66), (0, -0.01, 1.705), 0.095),
    ((0, 0, 1.48), (0, 0, 1.56), 0.055),
    ((-0.13, 0, 1.36), (0.13, 0, 1.36), 0.10),
    ((0, 0, 1.05), (0, 0, 1.34), 0.15),
    ((-0.08, 0, 0.94), (0.08, 0, 0.94), 0.12),
)
LIMBS = (
    ((0.20, 0, 1.40), (0.36, 0, 1.14), 0.047),
    ((0.36, 0, 1.14), (0.46, -0.05, 0.90), 0.040),
    ((0.46, -0.05, 0.90), (0.50, -0.08, 0.78), 0.035),
    ((0.10, 0, 0.90), (0.13, 0, 0.50), 0.080),
    ((0.13, 0, 0.50), (0.15, 0.02, 0.10), 0.055),
    ((0.15, 0.03, 0.045), (0.17, -0.14, 0.045), 0.045),
)


def _capsules() -> list[tuple[np.ndarray, np.ndarray, float]]:
    mirror = np.array([-1.0, 1, 1])
    capsules = [(np.array(a, float), np.array(b, float), r) for a, b, r in (*MIDDLE, *LIMBS)]
    return capsules + [(a * mirror, b * mirror, r) for a, b, r in capsules[len(MIDDLE) :]]


def _on_capsule(rng, count: int, start, end, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals [count,3], uniform over the surface: a band of a sphere has the area of the cylinder
    around it (Archimedes)."""
    length = np.linalg.norm(end - start)
    axis = (end - start) / length
    side = np.cross(axis, (0.3, 0.9, 0.1))
    side /= np.linalg.norm(side)
    along = rng.uniform(-radius, length + radius, size=count)
    angle = rng.uniform(0, 2 * np.pi, size=(count, 1))
    sine = (along - along.clip(0, length)) / radius
    around = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
    normals = np.sqrt(1 - sine**2)[:, None] * around + sine[:, None] * axis
    return start + along.clip(0, length)[:, None] * axis + radius * normals, normals


def _outer_surface(rng, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """About `count` points and normals, capsule by capsule, on what of the capsules lies in no other one; its
    area."""
    capsules = _capsules()
    areas = np.array([2 * np.pi * r * np.linalg.norm(b - a) + 4 * np.pi * r * r for a, b, r in capsules])
    points, normals = [], []
    for own, area in zip(capsules, areas, strict=True):
        p, n = _on_capsule(rng, round(count * area / areas.sum()), *own)
        outside = np.ones(len(p), bool)
        for a, b, r in capsules:
            if a is not own[0]:
                t = ((p - a) @ (b - a) / ((b - a) @ (b - a))).clip(0, 1)[:, None]
                outside &= np.linalg.norm(p - a - t * (b - a), axis=1) >= r
        points.append(p[outside])
        normals.append(n[outside])
    kept = sum(map(len, points))
    return np.concatenate(points), np.concatenate(normals), areas.sum() * kept / count


def _quats_of(normals: np.ndarray, rng) -> np.ndarray:
    """Unit quaternions [N,4] that turn z onto the normals, with a random turn about them."""
    onto = np.concatenate([1 + normals[:, 2:], np.cross((0.0, 0, 1), normals)], 1)
    onto[onto[:, 0] < 1e-6] = 0, 1, 0, 0
    onto /= np.linalg.norm(onto, axis=1, keepdims=True)
    half = rng.uniform(0, np.pi, size=len(normals))
    w, x, y, z = onto.T
    c, s = np.cos(half), np.sin(half)
    return np.stack([w * c - z * s, x * c + y * s, y * c - x * s, z * c + w * s], 1)


def body(count: int, seed: int = 0) -> Gaussians:
    """`count` flat, nearly opaque Gaussians on a standing body's surface, spaced as an avatar's are: sigma
    0.5 to 1.2 of the spacing along the surface, 0.15 across."""
    rng = np.random.default_rng(seed)
    points, normals, area = _outer_surface(rng, 2 * count)
    kept = np.sort(rng.permutation(len(points))[:count])
    points, normals = points[kept], normals[kept]
    spacing = np.sqrt(area / count)
    scales = spacing * np.column_stack([rng.uniform(0.5, 1.2, size=(count, 2)), np.full(count, 0.15)])
    x, y, z = points.T
    waves = np.stack([np.sin(9 * x + 4 * z), np.sin(7 * z + 1), np.cos(5 * z - 11 * y)], 1)
    colors = (0.5 + 0.35 * waves + rng.normal(scale=0.05, size=(count, 3))).clip(0.02, 0.98)
    opacities = rng.normal(0.95, 0.02, size=count).clip(0.85, 0.99)
    arrays = (points, _quats_of(normals, rng), scales, opacities, colors)
    return Gaussians.from_quats_scales(*(torch.tensor(a, dtype=torch.float32) for a in arrays))


def camera(width: int, height: int, distance: float = 3.0, turn: float = 0.35) -> Camera:
    """The body, turned by 20 degrees, fills 80 % of the picture's height."""
    middle = np.array([0, 0, 0.5 * HEIGHT])
    eye = middle + distance * np.array([np.sin(turn), -np.cos(turn), 0])
    focal = 0.8 * height / HEIGHT * distance
    K = [[focal, 0, 0.5 * width], [0, focal, 0.5 * height], [0, 0, 1]]
    return Camera(look_at(eye, middle), K, width, height)


def avatar(tokens: int = 8192, per_token: int = 8, seed: int = 0) -> Avatar:
    """An avatar on the template's anchors, half of them in the face, as created ones are; random weights, so
    that the decoder changes everything a little."""
    rng = np.random.default_rng(seed)
    template, anchors = load_template(), sample_anchors(tokens)
    owner = np.repeat(np.arange(tokens), per_token)
    count, width, signal = len(owner), 128, signal_size(len(template.joint_names))
    spacing = anchors.spacing[owner, None] / np.sqrt(per_token)
    tangents = anchors.frames[owner][:, :, :2]
    spread = np.sqrt(per_token) * spacing * rng.uniform(-0.5, 0.5, size=(count, 2))
    offsets = (tangents @ spread[:, :, None])[..., 0]

    def weights(rows, columns):
        return rng.normal(scale=columns**-0.5, size=(rows, columns))

    decoder = {
        "signal_weight": weights(width, signal),
        **{f"hidden{i}_weight": weights(width, width) for i in range(2)},
        **{f"hidden{i}_bias": np.zeros(width) for i in range(2)},
        "last_weight": weights(CHANGES * per_token, width),
        "last_bias": np.zeros(CHANGES * per_token),
        "delta_scale": np.array([0.05] * 3 + [0.002] * 3 + [0.05] * 4 + [0.1] * 3),
    }
    return Avatar(
        joint_names=template.joint_names,
        joint_parents=template.joint_parents,
        joint_heads=template.joint_heads,
        joint_tails=template.joint_tails,
        means=anchors.positions[owner] + offsets,
        offsets=offsets,
        quats=_quats_of(anchors.frames[owner][:, :, 2], rng),
        scales=spacing * np.column_stack([rng.uniform(0.5, 1.2, size=(count, 2)), np.full(count, 0.15)]),
        opacities=rng.normal(0.95, 0.02, size=count).clip(0.85, 0.99),
        colors=rng.uniform(0.2, 0.8, size=(count, 3)),
        skin_indices=anchors.skin_indices[owner],
        skin_weights=anchors.skin_weights[owner],
        expression_basis=anchors.expression_deltas[:, owner],
        token_bias=rng.normal(size=(tokens, width)),
        decoder=decoder,
        header={"name": "Bench", "model": {"name": "none", "version": 0}},
    )


def signal(phase: float) -> Signal:
    """A person who sways, talks and looks around; every phase is another frame."""
    names = load_template().joint_names
    rotations = np.zeros((len(names), 3), np.float32)
    sway = 0.3 * np.sin(phase)
    for name, axis, size in (("spine2", 2, 0.5), ("upper_arm.L", 1, 1.0), ("upper_arm.R", 1, 1.0),
                             ("forearm.L", 0, 1.0), ("thigh.L", 0, 0.7), ("thigh.R", 0, -0.7)):  # fmt: skip
        rotations[names.index(name), axis] = size * sway
    expression = torch.zeros(52)
    expression[:12] = 0.5 + 0.5 * torch.sin(phase + torch.arange(12.0))
    gaze = torch.full((2, 2), 0.2 * float(np.sin(2 * phase)))
    return Signal(joint_transforms(load_template(), torch.from_numpy(rotations)), expression, gaze)
