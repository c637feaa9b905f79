# SPDX-License-Identifier: GPL-3.0-or-later
"""From a `FacePerformance` to keys on an avatar object and on its rig's head and neck, and back."""

from collections.abc import Iterable

import bpy
import numpy as np
from mathutils import Matrix
from scipy.spatial.transform import Rotation

from ..backend.body.arkit import ARKIT_NAMES
from ..backend.body.rotations import nearest_rotation
from ..backend.body.skeleton import INDEX
from ..backend.face.channels import EYES, GAZE
from ..backend.face.performance import FacePerformance
from .avatar_data import load_avatar
from .evaluate import evaluated, joint_matrices, pose_of, resting
from .face import PLACES, Place, face_of, key_frames, keyable
from .rest_pose import applied

TURNING = ("neck1", "neck2", "head")  # share the head's turn, as far as the rig has bones for them
CONTROLS = {"neck1": "neck", "neck2": "neck", "head": "head"}  # of a rig that Rigify generated
ORDER = "ZXY"  # yaw about Z, then pitch about X, then roll about Y, each about the axes turned so far
SIGNS = np.array([1.0, -1.0, 1.0])  # facing -Y, the chin goes up with a negative turn about X


def key_performance(obj: bpy.types.Object, performance: FacePerformance, start: float) -> None:
    """Keys sliders and gaze, one frame for each of the performance's moments from `start` on.

    Both eyes' mean is the gaze, the rest each eye's own. Channels that a driver moves are left out.
    """
    mean = performance.gaze.mean(1)
    each = performance.gaze - mean[:, None]
    values = np.concatenate([performance.arkit, mean, each.reshape(-1, 4)], 1)
    own = set(keyable(obj))
    kept = [(i, name) for i, name in enumerate((*ARKIT_NAMES, *GAZE, *EYES)) if name in own]
    frames = start + np.arange(len(performance.seconds))
    key_frames(obj, obj, [PLACES[name] for _, name in kept], frames, values[:, [i for i, _ in kept]])


def turning_bones(obj: bpy.types.Object) -> list[tuple[str, bpy.types.PoseBone]]:
    """(joint, pose bone) that can be keyed to turn the head: the bound ones, or the controls that move them
    in a rig that Rigify generated; empty where there are none that are free."""
    rig, found = obj.lca.armature, []
    if rig is None or rig.library is not None:
        return []
    bones = {pair.joint: pair.bone for pair in obj.lca.bone_map}
    for joint in TURNING:
        bone = rig.pose.bones.get(bones.get(joint, ""))
        if bone is not None and "rig_id" in rig.data:
            bone = rig.pose.bones.get(CONTROLS[joint], bone)
        if (
            bone is not None
            and all(one.mute for one in bone.constraints)
            and bone not in dict(found).values()
        ):
            found.append((joint, bone))
    return found


def key_head(obj: bpy.types.Object, head: np.ndarray, start: float, depsgraph) -> list[str]:
    """Keys the turns head [n,3] on the rig's neck and head, one frame each from `start` on; returns the
    bones' names, none where no bone is free to be keyed."""
    bones = turning_bones(obj)
    if not bones:
        return []
    avatar = load_avatar(obj)
    rest = resting(avatar, pose_of(obj, avatar, depsgraph), applied(obj.data))[:, :3, :3]
    to_rig = obj.lca.armature.matrix_world.inverted_safe() @ obj.matrix_world
    to_rig = nearest_rotation(np.array(to_rig, float)[None, :3, :3])[0]
    share = Rotation.from_rotvec(head_turns(head).as_rotvec() / len(bones)).as_matrix()
    frames = start + np.arange(len(head))
    for joint, bone in bones:
        axes = to_rig @ nearest_rotation(rest[None, INDEX[joint]].astype(float))[0]  # canonical -> armature
        local = np.array(bone.bone.matrix_local, float)[:3, :3]
        turns = Rotation.from_matrix(local.T @ axes @ share @ axes.T @ local)
        path, values = _as_channels(bone, turns)
        places = [Place(path, i) for i in range(values.shape[1])]
        key_frames(obj.lca.armature, bone, places, frames, values)
    obj.lca.armature.update_tag(refresh={"TIME"})
    return [bone.name for _, bone in bones]


def head_turns(head: np.ndarray) -> Rotation:
    """Rotations in canonical axes of yaw, pitch and roll [n,3]."""
    return Rotation.from_euler(ORDER, head * SIGNS)


def recorded(
    context: bpy.types.Context, obj: bpy.types.Object, frames: Iterable[int], rate: float
) -> FacePerformance:
    """The animation of an avatar object on some frames, as it is drawn: with drivers, NLA and *Look At*.

    Plays the scene to each frame; the current one comes back.
    """
    scene, rows = context.scene, []
    now, part = scene.frame_current, scene.frame_subframe
    try:
        for frame in frames:
            scene.frame_set(frame)
            rows.append(_shown(obj, context.evaluated_depsgraph_get()))
    finally:
        scene.frame_set(now, subframe=part)
    arkit, gaze, head = (np.stack(part) for part in zip(*rows, strict=True))
    return FacePerformance(np.arange(len(rows)) / rate, arkit, gaze, np.unwrap(head, axis=0))


def _shown(obj: bpy.types.Object, depsgraph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """arkit [52], gaze [2,2] and head [3] of an avatar object as the depsgraph has it now."""
    of_graph, avatar = obj.evaluated_get(depsgraph), load_avatar(obj)
    pose = pose_of(obj, avatar, depsgraph)
    moved = joint_matrices(avatar, pose, applied(obj.data))
    turned = nearest_rotation(moved[:, :3, :3].astype(float))
    rest = nearest_rotation(resting(avatar, pose, applied(obj.data))[:, :3, :3].astype(float))
    chest, head = (turned[INDEX[joint]] @ rest[INDEX[joint]].T for joint in ("spine3", "head"))
    axes = rest[INDEX["head"]]
    turn = Rotation.from_matrix(axes.T @ chest.T @ head @ axes).as_euler(ORDER) * SIGNS
    gaze = evaluated(obj, depsgraph).signal.gaze.numpy()
    return np.array([*face_of(of_graph, ARKIT_NAMES).values()]), gaze, turn


def _as_channels(bone: bpy.types.PoseBone, turns: Rotation) -> tuple[str, np.ndarray]:
    """The bone's rotation channel and its values [n,3 or 4] for local turns, without jumps."""
    if bone.rotation_mode == "QUATERNION":
        values = turns.as_quat()[:, [3, 0, 1, 2]]
        flips = np.cumprod(np.append(1, np.where((values[1:] * values[:-1]).sum(1) < 0, -1, 1)))
        return "rotation_quaternion", values * flips[:, None] * np.sign(values[0, 0] or 1)
    if bone.rotation_mode == "AXIS_ANGLE":
        vector = turns.as_rotvec()
        angle = np.linalg.norm(vector, axis=1, keepdims=True)
        axis = np.where(angle > 1e-9, vector / np.maximum(angle, 1e-9), (0, 1, 0))
        return "rotation_axis_angle", np.concatenate([angle, axis], 1)
    values = [Matrix(turn.tolist()).to_euler(bone.rotation_mode) for turn in turns.as_matrix()]
    return "rotation_euler", np.unwrap(np.array(values), axis=0)
