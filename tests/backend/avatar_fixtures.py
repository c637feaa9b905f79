# SPDX-License-Identifier: GPL-3.0-or-later
"""A small avatar on the built-in body, with a decoder of random weights."""

from dataclasses import replace

import numpy as np
import torch
from lca_blender.backend.avatar import Avatar, Signal
from lca_blender.backend.body.anchors import sample_anchors
from lca_blender.backend.body.pose import joint_transforms
from lca_blender.backend.body.template import load_template


def make_avatar(tokens=64, per_token=4, seed=0, pose_detail=1.0, width=128, hidden=2, **changes):
    """tokens x per_token Gaussians around the template's anchors; pose_detail 0 leaves the decoder silent."""
    g = torch.Generator().manual_seed(seed)
    template, anchors = load_template(), sample_anchors(tokens)
    count = tokens * per_token
    owner = np.repeat(np.arange(tokens), per_token)
    offsets = 0.3 * anchors.spacing[owner, None] * torch.randn(count, 3, generator=g).numpy()
    signal = 3 * (len(template.joint_names) - 1) + 134
    layers = {}
    for i in range(hidden):
        layers[f"hidden{i}_weight"] = torch.randn(width, width, generator=g) / width**0.5
        layers[f"hidden{i}_bias"] = 0.1 * torch.randn(width, generator=g)
    fields = {
        "joint_names": template.joint_names,
        "joint_parents": template.joint_parents,
        "joint_heads": template.joint_heads,
        "joint_tails": template.joint_tails,
        "means": anchors.positions[owner] + offsets,
        "offsets": offsets,
        "quats": torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        "scales": torch.as_tensor(anchors.spacing[owner, None])
        * (0.1 + 0.4 * torch.rand(count, 3, generator=g)),
        "opacities": 0.5 + 0.5 * torch.rand(count, generator=g),
        "colors": torch.rand(count, 3, generator=g),
        "skin_indices": anchors.skin_indices[owner],
        "skin_weights": anchors.skin_weights[owner],
        "expression_basis": anchors.expression_deltas[:, owner],
        "token_bias": torch.randn(tokens, width, generator=g),
        "decoder": {
            "signal_weight": torch.randn(width, signal, generator=g) / signal**0.5,
            **layers,
            "last_weight": pose_detail * torch.randn(per_token * 13, width, generator=g) / width**0.5,
            "last_bias": pose_detail * 0.1 * torch.randn(per_token * 13, generator=g),
            "delta_scale": torch.tensor([0.1] * 3 + [0.02] * 3 + [0.2] * 4 + [0.3] * 3),
        },
        "thumbnails": (torch.randint(0, 256, (12, 9, 3), generator=g).to(torch.uint8),),
        "header": {
            "name": "Test",
            "model": {"name": "none", "version": 0},
            "warnings": ["The back was not seen."],
        },
    }
    return Avatar(**{**fields, **changes})


def scattered(avatar, count=701, seed=3):
    """`count` Gaussians of an avatar in any order, some of them several times, each with its own token and
    slot; expressions only of those that they move.
    """
    rows = torch.randint(0, len(avatar), (count,), generator=torch.Generator().manual_seed(seed))
    token, slot = (index[rows] for index in avatar.sources())
    basis = avatar.expression_basis[:, rows]
    moved = torch.nonzero((basis != 0).any(2).any(0))[:, 0]
    fields = ("means", "offsets", "quats", "scales", "opacities", "colors", "skin_indices", "skin_weights")
    taken = {name: getattr(avatar, name)[rows] for name in fields}
    return rows, replace(
        avatar, **taken, token=token, slot=slot, expression_rows=moved, expression_basis=basis[:, moved]
    )


def make_signal(seed=0, size=0.5):
    """A random pose, expression and gaze."""
    rng = np.random.default_rng(seed)
    template = load_template()
    rotations = torch.as_tensor(size * rng.normal(size=(len(template.joint_names), 3)), dtype=torch.float32)
    transforms = joint_transforms(template, rotations, torch.tensor([0.1, 0.2, 0.3]))
    expression = torch.as_tensor(rng.uniform(size=52) * (rng.uniform(size=52) < 0.3), dtype=torch.float32)
    return Signal(
        transforms, expression, torch.as_tensor(rng.normal(scale=0.2, size=(2, 2)), dtype=torch.float32)
    )


def rest_signal():
    return Signal(
        torch.eye(4).repeat(len(load_template().joint_names), 1, 1), torch.zeros(52), torch.zeros(2, 2)
    )
