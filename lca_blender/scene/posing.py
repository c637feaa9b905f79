# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses an armature as a body stands: bones turned, none moved."""

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.body.rotations import nearest_rotation
from ..backend.body.skeleton import INDEX
from .armature import bone_names, channel_matrices, rest_matrices

STAY = ("pelvis", "jaw", "eye.L", "eye.R")  # the pelvis is where the rig has it; the sliders move the others


def can_be_posed(rig: bpy.types.Object, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether the bones of these (joint, bone) pairs turn as they are told: no constraint moves them."""
    bones = [rig.pose.bones[bone] for _, bone in pairs if bone in rig.pose.bones]
    return rig.library is None and all(one.mute for bone in bones for one in bone.constraints)


def pose_rig(
    rig: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    binding,
    resting: np.ndarray,
    pairs: Sequence[tuple[str, str]],
    turns: np.ndarray,
) -> None:
    """Turns the bones of (joint, bone) pairs so that joints stand to the pelvis as turns [J,3,3] say, which
    are rotations from the canonical pose in any axes. `binding`: the avatar's to this armature; resting
    [J,4,4]: from the canonical pose to where its mesh rests.
    """
    names, rest = bone_names(rig), rest_matrices(rig)[:, :3, :3].astype(np.float64)
    channels = nearest_rotation(channel_matrices(rig, depsgraph)[:, :3, :3].astype(np.float64))
    bound = nearest_rotation(resting[:, :3, :3].astype(np.float64))
    pelvis = channels[binding.bones[0]] @ bound[0] if binding.bones[0] >= 0 else bound[0]
    wanted: dict[int, np.ndarray] = {}  # by bone: its rotation from rest to pose
    for joint, bone in pairs:
        if joint not in STAY and bone in names and names.index(bone) != binding.bones[0]:
            j = INDEX[joint]
            wanted.setdefault(names.index(bone), pelvis @ turns[0].T @ turns[j] @ bound[j].T)
    before, after = channels @ rest, np.empty_like(rest)
    parents = [names.index(bone.parent.name) if bone.parent else -1 for bone in rig.pose.bones]
    for number, bone in enumerate(rig.pose.bones):
        parent, offset, above = parents[number], rest[number], [np.eye(3)] * 2
        if parent >= 0:
            offset, above = rest[parent].T @ rest[number], [before[parent], after[parent]]
        own = (above[0] @ offset).T @ before[number]
        if number in wanted:
            own = (above[1] @ offset).T @ wanted[number] @ rest[number]
            place, _, size = bone.matrix_basis.decompose()
            bone.matrix_basis = Matrix.LocRotScale(place, Matrix(own.tolist()).to_quaternion(), size)
        after[number] = above[1] @ offset @ own
    rig.update_tag()
