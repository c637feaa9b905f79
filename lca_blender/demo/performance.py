# SPDX-License-Identifier: GPL-3.0-or-later
"""An artist's rig and 48 frames of acting on its controls: walk, wave, fingers, smile, blink, a glance."""

import math

import bpy
from mathutils import Quaternion, Vector

FRAMES = 48
STEP_FRAMES = 24  # the walk fills the first half
RIGHT, FORWARD, UP = Vector((1, 0, 0)), Vector((0, -1, 0)), Vector((0, 0, 1))  # axes of a rig that faces -Y


def generate_rig() -> bpy.types.Object:
    """Adds Rigify's human metarig and generates its rig, without this add-on."""
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    rig = bpy.context.object
    metarig.hide_set(True)
    metarig.hide_render = True
    for limb in ("upper_arm_parent", "thigh_parent"):
        for side in "LR":
            rig.pose.bones[f"{limb}.{side}"]["IK_FK"] = 1.0
    return rig


def turn(rig: bpy.types.Object, bone: str, frame: int, *turns: tuple[Vector, float]) -> None:
    """Keys a control's rotation: turns (axis in the rig's rest axes, degrees), the first applied first."""
    pose_bone = rig.pose.bones[bone]
    total = Quaternion()
    for axis, degrees in turns:
        total = Quaternion(axis, math.radians(degrees)) @ total
    rest = pose_bone.bone.matrix_local.to_quaternion()
    local = rest.inverted() @ total @ rest
    if pose_bone.rotation_mode == "QUATERNION":
        pose_bone.rotation_quaternion = local
        pose_bone.keyframe_insert("rotation_quaternion", frame=frame)
    else:
        pose_bone.rotation_euler = local.to_euler(pose_bone.rotation_mode)
        pose_bone.keyframe_insert("rotation_euler", frame=frame)


def shift(rig: bpy.types.Object, bone: str, frame: int, offset: Vector) -> None:
    """Keys a control's location: offset in the rig's axes, metres."""
    pose_bone = rig.pose.bones[bone]
    pose_bone.location = pose_bone.bone.matrix_local.to_3x3().inverted() @ offset
    pose_bone.keyframe_insert("location", frame=frame)


def perform(rig: bpy.types.Object, avatar: bpy.types.Object) -> None:
    """Keys the whole performance on the rig's controls and the avatar's face sliders."""
    for frame in range(1, FRAMES + 1, 3):
        walk(rig, frame)
        greet(rig, frame)
    wave_fingers(rig)
    act_face(avatar)


def ease(frame: float, start: float, end: float) -> float:
    t = min(max((frame - start) / (end - start), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def walk(rig: bpy.types.Object, frame: int) -> None:
    """One walk cycle that fades into standing; angles after the sagittal curves of gait textbooks."""
    strength = 1 - ease(frame, STEP_FRAMES - 6, STEP_FRAMES + 3)
    phase = 2 * math.pi * (frame - 1) / STEP_FRAMES
    for side, offset in (("L", 0.0), ("R", math.pi)):
        hip = strength * (5 + 24 * math.sin(phase + offset))
        knee = strength * (8 + 26 * (1 + math.cos(phase + offset - 0.4)) / 2 * (1 + math.cos(phase + offset)))
        ankle = strength * (-8 * math.sin(phase + offset + 0.6))
        turn(rig, f"thigh_fk.{side}", frame, (RIGHT, -hip))
        turn(rig, f"shin_fk.{side}", frame, (RIGHT, knee))
        turn(rig, f"foot_fk.{side}", frame, (RIGHT, ankle))
    shift(rig, "torso", frame, UP * strength * 0.018 * (math.cos(2 * phase) - 1))
    turn(rig, "chest", frame, (UP, strength * 5 * math.sin(phase)))
    swing = strength * 22 * math.sin(phase)
    arm(rig, frame, "L", lowered=1.0, swing=swing, elbow=14 + 8 * strength)


def arm(rig: bpy.types.Object, frame: int, side: str, lowered: float, swing: float, elbow: float) -> None:
    """Lowers an arm from the rig's rest to the side, swings it and bends the elbow; degrees."""
    mirror = 1 if side == "L" else -1
    turn(rig, f"upper_arm_fk.{side}", frame, (FORWARD, -mirror * 50 * lowered), (RIGHT, swing))
    turn(rig, f"forearm_fk.{side}", frame, (UP, -mirror * elbow))


def greet(rig: bpy.types.Object, frame: int) -> None:
    """The right arm swings with the walk, then rises and waves; the head turns to the viewer."""
    phase = 2 * math.pi * (frame - 1) / STEP_FRAMES
    strength = 1 - ease(frame, STEP_FRAMES - 6, STEP_FRAMES + 3)
    rise = ease(frame, 21, 30)
    wave = rise * 20 * math.sin(2 * math.pi * (frame - 28) / 9)
    down = (FORWARD, 50 * (1 - rise) - 22 * rise)
    turn(rig, "upper_arm_fk.R", frame, down, (RIGHT, -strength * 22 * math.sin(phase)))
    turn(rig, "forearm_fk.R", frame, (UP, (14 + 8 * strength) * (1 - rise)), (FORWARD, -rise * (78 + wave)))
    turn(rig, "hand_fk.R", frame, (FORWARD, -rise * wave * 0.5))
    turn(rig, "head", frame, (UP, -12 * ease(frame, 36, 42)), (FORWARD, 6 * rise))


def wave_fingers(rig: bpy.types.Object) -> None:
    """Relaxed, then the right hand opens and its fingers ripple; the left one closes to a fist."""
    for index, finger in enumerate(("f_index", "f_middle", "f_ring", "f_pinky")):
        for frame in (1, 20):
            curl_finger(rig, finger, "R", frame, 14)
            curl_finger(rig, finger, "L", frame, 14)
        curl_finger(rig, finger, "L", 34, 70)
        for beat, frame in enumerate((30, 35, 40, 45)):
            curl_finger(rig, finger, "R", frame + index % 3, 4 if beat % 2 == 0 else 30)


def curl_finger(rig: bpy.types.Object, finger: str, side: str, frame: int, degrees: float) -> None:
    """Bends the three joints of a finger towards the palm about the axis the finger's own bones define."""
    for joint in ("01", "02", "03"):
        bone = rig.data.bones[f"{finger}.{joint}.{side}"]
        axis = bone.matrix_local.to_3x3() @ Vector((1, 0, 0))
        turn(rig, bone.name, frame, (axis, degrees if joint != "03" else degrees * 0.7))


def act_face(avatar: bpy.types.Object) -> None:
    """Two blinks, a smile and a look aside, keyed on the avatar's ARKit sliders and gaze."""
    blink = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
    for middle in (10, 33):
        key_sliders(avatar, middle - 2, dict.fromkeys(blink, 0.0))
        key_sliders(avatar, middle, blink)
        key_sliders(avatar, middle + 2, dict.fromkeys(blink, 0.0))
    smile = {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5}
    key_sliders(avatar, 22, dict.fromkeys(smile, 0.0))
    key_sliders(avatar, 30, smile)
    key_sliders(avatar, 1, {"jawOpen": 0.0})
    key_sliders(avatar, 38, {"jawOpen": 0.0})
    key_sliders(avatar, 43, {"jawOpen": 0.35})
    key_sliders(avatar, 48, {"jawOpen": 0.1})
    for frame, yaw in ((1, 0.0), (36, 0.0), (39, 28.0), (45, 28.0), (48, 0.0)):
        key_gaze(avatar, frame, yaw)


def key_sliders(avatar: bpy.types.Object, frame: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        setattr(avatar.lca.expression, name, value)
        avatar.lca.expression.keyframe_insert(name, frame=frame)


def key_gaze(avatar: bpy.types.Object, frame: int, yaw: float) -> None:
    avatar.lca.gaze = (math.radians(yaw), 0.0)
    avatar.lca.keyframe_insert("gaze", frame=frame)
