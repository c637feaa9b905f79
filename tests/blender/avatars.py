# SPDX-License-Identifier: GPL-3.0-or-later
"""Small avatars for the tests, made from the built-in body through the real `Avatar`; where they stand."""

import bpy
import numpy as np
import torch
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.anchors import sample_anchors
from lca_blender.backend.body.pose import pose_features
from lca_blender.backend.body.template import VERSION, load_template

from lca_blender.scene.evaluate import evaluate

TOKENS, CHILDREN, WIDTH = 700, 2, 16


def write_avatar(path, detail=1.0):
    """Writes an avatar of flat, coloured splats on the template's surface and returns its path.

    `detail` scales the pose decoder's random weights; 0 leaves plain skinning.
    """
    template, anchors = load_template(), sample_anchors(TOKENS)
    random = np.random.default_rng(7)

    def each(values):
        return np.repeat(values, CHILDREN, 0)

    shift = random.normal(size=(TOKENS * CHILDREN, 2)) * each(anchors.spacing)[:, None] * 0.3
    frames = each(anchors.frames)
    means = each(anchors.positions) + np.einsum("nab,nb->na", frames[:, :, :2], shift)
    sides = each(anchors.spacing)[:, None] * np.array([0.6, 0.6, 0.1])
    joints = len(template.joint_names)
    signal = pose_features(torch.eye(4).repeat(joints, 1, 1), template.joint_parents).numel() + 128 + 6

    def weights(*shape):
        return random.normal(size=shape) / np.sqrt(shape[-1])

    decoder = {
        "signal_weight": weights(WIDTH, signal),
        "hidden0_weight": weights(WIDTH, WIDTH),
        "hidden0_bias": np.zeros(WIDTH),
        "last_weight": weights(13 * CHILDREN, WIDTH) * detail,
        "last_bias": np.zeros(13 * CHILDREN),
        "delta_scale": np.array([0.2] * 3 + [0.01] * 3 + [0.1] * 4 + [0.1] * 3),
    }
    avatar = Avatar(
        joint_names=template.joint_names,
        joint_parents=template.joint_parents.copy(),
        joint_heads=template.joint_heads.copy(),
        joint_tails=template.joint_tails.copy(),
        means=means,
        offsets=np.zeros_like(means),
        quats=quaternions(frames),
        scales=sides,
        opacities=np.full(len(means), 0.95),
        colors=0.5 + 0.45 * np.sin(means * (7, 9, 11) + (0, 1, 2)),
        skin_indices=each(anchors.skin_indices),
        skin_weights=each(anchors.skin_weights),
        expression_basis=np.repeat(anchors.expression_deltas, CHILDREN, 1),
        token_bias=random.normal(size=(TOKENS, WIDTH)) * detail,
        decoder=decoder,
        header={"name": "Test", "template": VERSION, "warnings": ["The back was not seen."]},
    )
    avatar.save(path)
    return path


def splats(avatar):
    """Means [n,3] of an avatar object's splats now, world space."""
    bpy.context.view_layer.update()
    return evaluate(avatar, bpy.context.evaluated_depsgraph_get()).means.numpy()


def quaternions(frames):
    """Rotation matrices [n,3,3] -> (w, x, y, z) [n,4]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(frames).as_quat()[:, [3, 0, 1, 2]]
