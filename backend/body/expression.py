# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression code, the face's three joints and the gaze vectors. numpy in, numpy out; torch in, torch
out."""

from functools import lru_cache

import numpy as np
import torch

from .arkit import ARKIT_INDEX
from .jaw import JAW_MOTIONS
from .pose import _affine, _same_kind, _tensor, rotation_matrices
from .skeleton import INDEX
from .template import VERSION, load_template

CODE_SIZE = 128


@lru_cache(maxsize=1)
def _embedding():
    """[52, 128] with orthonormal rows: the first rows of the DCT-II, the constant one left out."""
    k = np.arange(1, 1 + len(ARKIT_INDEX))[:, None]
    rows = np.sqrt(2 / CODE_SIZE) * np.cos(np.pi / CODE_SIZE * (np.arange(CODE_SIZE) + 0.5) * k)
    return torch.as_tensor(rows, dtype=torch.float32)


def expression_code(arkit):
    """ARKit values [..., 52] -> code [..., 128], a fixed linear map with orthonormal rows."""
    value = _tensor(arkit)
    return _same_kind(value @ _embedding().to(value), arkit)


def arkit_from_code(code):
    """Code [..., 128] -> ARKit values [..., 52]; exact inverse of `expression_code` on its range."""
    value = _tensor(code)
    return _same_kind(value @ _embedding().to(value).T, code)


def _about(rotation, pivot, shift):
    """Affine [..., 4, 4]: turn about a pivot, then shift."""
    return _affine(rotation, pivot - (rotation @ pivot[..., None])[..., 0] + shift)


def apply_face_joints(transforms, arkit, gaze=None, joint_heads=None, template_version=VERSION):
    """Turns the jaw for jawOpen, jawLeft, jawRight and jawForward, and the eyes for `gaze`.

    transforms [..., J, 4, 4] skinning matrices; arkit [..., 52]; gaze [..., 2, 2] (yaw to the subject's left,
    pitch up) radians of the left and the right eye, or None for straight ahead; joint_heads [J, 3] canonical
    metres, the built-in template's if not given, and the version of the template that they belong to. Returns
    new transforms. The turns are made in canonical space about these joints, before everything that
    `transforms` does.
    """
    if joint_heads is None:
        joint_heads = load_template().joint_heads
    matrices = _tensor(transforms)
    heads = _tensor(joint_heads, like=matrices).to(matrices)
    value, motion = _tensor(arkit, like=matrices).to(matrices), JAW_MOTIONS[template_version]
    opened, left, right, forward = (
        value[..., ARKIT_INDEX[name]] for name in ("jawOpen", "jawLeft", "jawRight", "jawForward")
    )
    sideways, zero = left - right, torch.zeros_like(opened)
    # Z up, facing -Y: opening turns the chin down about +X, a yaw to the left is about +Z
    turns = torch.stack([opened * motion.open, zero, sideways * motion.yaw], -1)
    turns = rotation_matrices(turns)[..., None, :, :]
    glide = torch.tensor(motion.slide, dtype=matrices.dtype, device=matrices.device)
    ahead = torch.stack([sideways * motion.shift, -forward * motion.forward, zero], -1)
    shift, joints = (opened[..., None] * glide + ahead)[..., None, :], [INDEX["jaw"]]
    if gaze is not None:
        turns = torch.cat([turns, eye_rotations(_tensor(gaze, like=matrices).to(matrices))], -3)
        shift = torch.nn.functional.pad(shift, (0, 0, 0, 2))
        joints += [INDEX["eye.L"], INDEX["eye.R"]]
    out = matrices.clone()
    out[..., joints, :, :] = matrices[..., joints, :, :] @ _about(turns, heads[joints], shift)
    return _same_kind(out, transforms)


def eye_rotations(gaze):
    """(yaw, pitch) [..., 2] radians -> rotations [..., 3, 3]: first pitch about X, then yaw about Z."""
    value = _tensor(gaze)
    (sy, sp), (cy, cp) = torch.sin(value).unbind(-1), torch.cos(value).unbind(-1)
    rows = [cy, -sy * cp, -sy * sp, sy, cy * cp, cy * sp, torch.zeros_like(sy), -sp, cp]
    return _same_kind(torch.stack(rows, -1).unflatten(-1, (3, 3)), gaze)


def gaze_vectors(gaze):
    """gaze [..., 2, 2] -> [..., 6]: unit directions of the left and the right eye in the head's frame (ahead
    is -Y)."""
    value = _tensor(gaze)
    yaw, pitch = value.unbind(-1)
    flat = torch.cos(pitch)
    direction = torch.stack([torch.sin(yaw) * flat, -torch.cos(yaw) * flat, torch.sin(pitch)], -1)
    return _same_kind(direction.flatten(-2), gaze)
