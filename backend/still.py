# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats of any scan or scene as an avatar that keeps still: it hangs on one joint and has no face."""

import numpy as np
import torch

from .avatar import Avatar
from .body.template import VERSION, load_template
from .decoder import CHANGES, signal_size
from .gaussians import Gaussians

UPRIGHT = {  # which way is up in a file -> rotation [3,3] to Blender's Z up
    "Z": np.eye(3),
    "Y": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "-Y": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
}


def upright(up: str, scale: float = 1.0) -> np.ndarray:
    """[4,4] from a file whose `up` is "Z", "Y" or "-Y" (as 3DGS trainers write) to Z up in metres."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * UPRIGHT[up]
    return matrix


def still_avatar(gaussians: Gaussians, matrix: np.ndarray, name: str) -> Avatar:
    """An avatar of some Gaussians, carried by a similarity [4,4]. Its header says `still`."""
    template = load_template()
    linear = torch.from_numpy(matrix[:3, :3].astype(np.float32))
    means = gaussians.means @ linear.T + torch.from_numpy(matrix[:3, 3].astype(np.float32))
    moved = Gaussians(means, linear @ gaussians.covariances @ linear.T, gaussians.opacities, gaussians.colors)
    quats, scales = moved.to_quats_scales()
    count, joints = len(moved), len(template.joint_names)
    return Avatar(
        joint_names=template.joint_names,
        joint_parents=template.joint_parents.copy(),
        joint_heads=template.joint_heads.copy(),
        joint_tails=template.joint_tails.copy(),
        means=means,
        offsets=torch.zeros(count, 3),
        quats=quats,
        scales=scales,
        opacities=moved.opacities,
        colors=moved.colors.clamp(0, 1),
        skin_indices=torch.zeros(count, 1),
        skin_weights=torch.ones(count, 1),
        expression_basis=torch.zeros(52, 1, 3),
        expression_rows=torch.zeros(1),
        token_bias=torch.zeros(1, 1),
        token=torch.zeros(count),
        slot=torch.zeros(count),
        decoder={
            "signal_weight": torch.zeros(1, signal_size(joints)),
            "last_weight": torch.zeros(CHANGES, 1),
            "last_bias": torch.zeros(CHANGES),
            "delta_scale": torch.ones(CHANGES),
        },
        header={"name": name, "template": VERSION, "warnings": [], "still": True},
    )
