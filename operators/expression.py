# SPDX-License-Identifier: GPL-3.0-or-later
"""Preset expressions and the neutral face; keyed when auto-keying is on."""

import bpy
from bpy.props import EnumProperty, FloatProperty

from ..backend.body.arkit import ARKIT_NAMES
from ..scene.avatar_data import active_avatar
from .common import Attempt, OnAvatar


def _both(**values: float) -> dict[str, float]:
    """`mouthSmile=0.8` -> mouthSmileLeft and mouthSmileRight; names without sides stay."""
    found = {}
    for name, value in values.items():
        found.update({name: value} if name in ARKIT_NAMES else {f"{name}Left": value, f"{name}Right": value})
    return found


PRESETS = {
    "SMILE": ("Smile", _both(mouthSmile=0.75, cheekSquint=0.45, eyeSquint=0.3, mouthDimple=0.2)),
    "LAUGH": (
        "Laugh",
        _both(
            mouthSmile=0.95,
            jawOpen=0.4,
            cheekSquint=0.7,
            eyeSquint=0.5,
            mouthUpperUp=0.35,
            mouthLowerDown=0.3,
        ),
    ),
    "SURPRISE": (
        "Surprise",
        _both(jawOpen=0.5, eyeWide=0.9, browInnerUp=0.9, browOuterUp=0.9, mouthFunnel=0.25),
    ),
    "ANGER": ("Anger", _both(browDown=0.95, eyeSquint=0.4, noseSneer=0.6, mouthPress=0.6, mouthFrown=0.35)),
    "SADNESS": ("Sadness", _both(browInnerUp=0.85, mouthFrown=0.75, mouthShrugLower=0.45, eyeBlink=0.2)),
    "FEAR": ("Fear", _both(eyeWide=0.8, browInnerUp=1.0, mouthStretch=0.6, jawOpen=0.2)),
    "DISGUST": (
        "Disgust",
        _both(noseSneer=0.95, mouthUpperUp=0.6, browDown=0.5, mouthFrown=0.3, cheekSquint=0.4),
    ),
    "KISS": ("Kiss", _both(mouthPucker=0.95, eyeBlink=0.25)),
    "BLINK": ("Eyes Closed", _both(eyeBlink=1.0)),
    "WINK": (
        "Wink",
        {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.6, "mouthSmileLeft": 0.55, "mouthSmileRight": 0.2},
    ),
}


def set_face(context: bpy.types.Context, avatar: bpy.types.Object, values: dict[str, float]) -> None:
    """Sets all 52 sliders, to zero where not in `values`; keys them when auto-keying is on."""
    for name in ARKIT_NAMES:
        setattr(avatar.lca.expression, name, values.get(name, 0.0))
    if context.scene.tool_settings.use_keyframe_insert_auto:
        for name in ARKIT_NAMES:
            avatar.lca.expression.keyframe_insert(name)


class LCA_OT_set_expression(OnAvatar, Attempt, bpy.types.Operator):
    """Set the face sliders to an expression"""

    bl_idname = "lca.set_expression"
    bl_label = "Set Expression"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Expression", items=[(key, title, title) for key, (title, _) in PRESETS.items()]
    )
    strength: FloatProperty(name="Strength", min=0.0, max=1.0, default=1.0, subtype="FACTOR")

    def perform(self, context: bpy.types.Context) -> None:
        values = {name: value * self.strength for name, value in PRESETS[self.preset][1].items()}
        set_face(context, active_avatar(context), values)


class LCA_OT_reset_expression(OnAvatar, Attempt, bpy.types.Operator):
    """Reset all face sliders and the gaze to neutral"""

    bl_idname = "lca.reset_expression"
    bl_label = "Reset Expression"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        avatar = active_avatar(context)
        set_face(context, avatar, {})
        avatar.lca.gaze = (0.0, 0.0)
        if context.scene.tool_settings.use_keyframe_insert_auto:
            avatar.lca.keyframe_insert("gaze")


CLASSES = (LCA_OT_set_expression, LCA_OT_reset_expression)
