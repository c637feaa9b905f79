# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 expressions as displacements of a mesh's vertices."""

import numpy as np
import torch

from ..body.arkit import ARKIT_INDEX
from ..body.expression import apply_face_joints, eye_rotations
from ..body.skeleton import INDEX, JOINT_NAMES
from ..body.template import load_template

JAW = ("jawOpen", "jawLeft", "jawRight", "jawForward")
# Radians that eyes turn for eyeLook shapes at 1, as the synthetic people's lids follow them.
YAW, UP, DOWN = np.radians(35), np.radians(25), np.radians(30)


def expression_shapes(vertices: np.ndarray, joint_heads: np.ndarray, template_version: int) -> np.ndarray:
    """[52,Nv,3] float32: what each ARKit value at 1 adds to the vertices [Nv,3] of the canonical pose; the
    template's displacements, and the jaw's turn by its skinning weights. joint_heads [J,3] of the avatar."""
    template = load_template()
    shapes = np.array(template.expression_deltas, np.float32)
    weight = _share("jaw")[:, None]
    for name in JAW:
        value = torch.zeros(52)
        value[ARKIT_INDEX[name]] = 1
        rest = torch.eye(4).repeat(len(JOINT_NAMES), 1, 1)
        jaw = apply_face_joints(rest, value, None, joint_heads, template_version)[INDEX["jaw"]].numpy()
        moved = vertices + shapes[ARKIT_INDEX[name]]
        shapes[ARKIT_INDEX[name]] += weight * (moved @ jaw[:3, :3].T + jaw[:3, 3] - moved)
    return shapes


def looking_shapes(vertices: np.ndarray, joint_heads: np.ndarray) -> dict[str, np.ndarray]:
    """[Nv,3] by name: how the eyeballs turn for the eight eyeLook shapes at 1, for rigs without bones of the
    eyes."""
    made = {}
    for side, outward in (("Left", 1), ("Right", -1)):
        joint = f"eye.{side[0]}"
        weight, pivot = _share(joint)[:, None], joint_heads[INDEX[joint]]
        for name, gaze in (
            ("Out", (outward * YAW, 0)), ("In", (-outward * YAW, 0)), ("Up", (0, UP)), ("Down", (0, -DOWN)),
        ):  # fmt: skip
            turn = eye_rotations(np.array(gaze, np.float32))
            away = vertices - pivot
            made[f"eyeLook{name}{side}"] = (weight * (away @ turn.T - away)).astype(np.float32)
    return made


def _share(joint: str) -> np.ndarray:
    """[Nv] skinning weight of a joint."""
    template = load_template()
    return (template.skin_weights * (template.skin_indices == INDEX[joint])).sum(1)
