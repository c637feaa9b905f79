# SPDX-License-Identifier: GPL-3.0-or-later
"""Armatures as arrays: the rest pose for binding, the evaluated pose for every frame.

Nothing of an evaluated object is kept: Blender frees it at the next update of the depsgraph.
"""

import bpy
import numpy as np


def _matrices(collection, name: str) -> np.ndarray:
    """[B,4,4] float32 from a collection's 4x4 property; Blender hands matrices over column by column."""
    flat = np.empty(len(collection) * 16, np.float32)
    collection.foreach_get(name, flat)
    return np.ascontiguousarray(flat.reshape(-1, 4, 4).transpose(0, 2, 1))


def channel_matrices(armature: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Skinning matrices of all bones [B,4,4], rest to pose in armature space, ordered as `data.bones`."""
    return _matrices(armature.evaluated_get(depsgraph).pose.bones, "matrix_channel")


def rest_matrices(armature: bpy.types.Object) -> np.ndarray:
    """Rest matrices of all bones [B,4,4], bone to armature space."""
    return _matrices(armature.data.bones, "matrix_local")


def bone_names(armature: bpy.types.Object) -> tuple[str, ...]:
    return tuple(bone.name for bone in armature.data.bones)


def rig_of(armature: bpy.types.Object):
    """The backend `Rig` of an armature's rest pose, metres of the armature's own space."""
    from ..backend.body.rig import Rig

    bones = armature.data.bones
    names = bone_names(armature)
    index = {name: i for i, name in enumerate(names)}
    heads, tails = np.empty(len(bones) * 3, np.float32), np.empty(len(bones) * 3, np.float32)
    bones.foreach_get("head_local", heads)
    bones.foreach_get("tail_local", tails)
    parents = np.array([index[b.parent.name] if b.parent else -1 for b in bones], np.int32)
    deforms = tuple(bone.use_deform for bone in bones)
    return Rig(names, parents, heads.reshape(-1, 3), tails.reshape(-1, 3), rest_matrices(armature), deforms)
