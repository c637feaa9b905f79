# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene and an avatar object remember: `Object.lca`, `Scene.lca` and `ViewLayer.lca`."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

# Apple's ARKit blend shapes in their documented order; the backend's template carries the same names.
_NAMES = """
eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight
eyeWideRight jawForward jawLeft jawRight jawOpen mouthClose mouthFunnel mouthPucker mouthLeft
mouthRight mouthSmileLeft mouthSmileRight mouthFrownLeft mouthFrownRight mouthDimpleLeft
mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper mouthShrugLower
mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight
mouthUpperUpLeft mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft
browOuterUpRight cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut
"""
ARKIT_NAMES = tuple(_NAMES.split())
OVERRIDABLE = {"LIBRARY_OVERRIDABLE"}


def tag(properties: PropertyGroup, _context) -> None:
    """Makes the evaluated copy follow a change; Blender does not do it for custom properties on its own."""
    properties.id_data.update_tag()


def is_armature(_properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "ARMATURE"


class LCA_BonePair(PropertyGroup):
    """One line of the bone map."""

    joint: StringProperty(name="Joint", description="Joint of the avatar's skeleton", override=OVERRIDABLE)
    bone: StringProperty(
        name="Bone",
        description="Bone of the armature that moves this joint",
        override=OVERRIDABLE,
        update=tag,
    )


def _slider(name: str) -> FloatProperty:
    return FloatProperty(
        name=name, min=0.0, max=1.0, default=0.0, subtype="FACTOR", override=OVERRIDABLE, update=tag
    )


class LCA_Expression(PropertyGroup):
    """The 52 ARKit sliders, each under its exact ARKit name."""

    __annotations__ = {name: _slider(name) for name in ARKIT_NAMES}


class LCA_ObjectProperties(PropertyGroup):
    """What makes a mesh an avatar: `filepath` or packed bytes name it, the rest moves it."""

    filepath: StringProperty(
        name="Avatar",
        description="The avatar file",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        override=OVERRIDABLE,
        update=tag,
    )
    hash: StringProperty(name="Hash", description="Content hash of the avatar file when it was added")
    armature: PointerProperty(
        type=bpy.types.Object,
        name="Armature",
        description="The rig that moves the avatar",
        poll=is_armature,
        override=OVERRIDABLE,
        update=tag,
    )
    bone_map: CollectionProperty(type=LCA_BonePair, override={"LIBRARY_OVERRIDABLE", "USE_INSERTION"})
    active_bone: IntProperty(name="Active Joint")
    expression: PointerProperty(type=LCA_Expression, override=OVERRIDABLE)
    gaze: FloatVectorProperty(
        name="Gaze",
        description="Where the eyes look: yaw to the subject's left and pitch upwards",
        size=2,
        soft_min=-0.7,
        soft_max=0.7,
        unit="ROTATION",
        override=OVERRIDABLE,
        update=tag,
    )
    use_code: BoolProperty(
        name="Use Code",
        description="Let the 128 numbers of the expression code drive the face in place of the sliders",
        override=OVERRIDABLE,
        update=tag,
    )
    code: FloatVectorProperty(
        name="Code",
        description="Expression code, as `lca codes read --with-codes` gives it",
        size=(4, 32),
        override=OVERRIDABLE,
        update=tag,
    )
    made_groups: StringProperty(
        name="Made Groups", description="Vertex groups that binding made, one line each"
    )
    warnings: StringProperty(
        name="Not Seen", description="What the photos did not show, one line each", override=OVERRIDABLE
    )


class LCA_Photo(PropertyGroup):
    """A photo of the person to be made."""

    path: StringProperty(name="Photo", subtype="FILE_PATH", options={"PATH_SUPPORTS_BLEND_RELATIVE"})
    person: IntProperty(
        name="Person",
        description="Which person is meant, counted from the left; 0: the most prominent one",
        min=0,
        soft_max=9,
    )
    state: EnumProperty(
        name="State",
        description="What became of the photo when the last avatar was created",
        items=[
            ("NEW", "New", "No avatar was created from it yet"),
            ("USED", "Used", "It was used"),
            ("REFUSED", "Left Out", "It could not be used"),
        ],
        default="NEW",
    )
    shows: StringProperty(name="Shows", description="What the photo shows, or why it was left out")
    overlay: StringProperty(
        name="Overlay", description="Picture of the photo with the fitted body", subtype="FILE_PATH"
    )
    people: StringProperty(
        name="People",
        description="Where people stand in the overlay: x and y from the top left in 0 to 1, as JSON",
    )


class LCA_SceneProperties(PropertyGroup):
    """The photos that wait for *Create Avatar*, what went wrong last, and settings of the render engine."""

    photos: CollectionProperty(type=LCA_Photo)
    active_photo: IntProperty(name="Active Photo")
    message: StringProperty(name="Message", description="What went wrong")
    remedy: StringProperty(name="Remedy", description="What to do about it")
    remedy_operator: StringProperty(name="Fix", description="Operator that does what the remedy says")
    viewport_quality: EnumProperty(
        name="Viewport",
        description="Resolution of the viewport while things move",
        items=[
            ("AUTO", "Automatic", "Full resolution where the machine keeps up, less where it does not"),
            ("FULL", "Full", "Always full resolution"),
            ("HALF", "Half", "Half resolution while things move"),
        ],
        default="AUTO",
    )
    meshes_hide_avatars: BoolProperty(
        name="Meshes Hide Avatars",
        description="In final frames meshes hide what is behind them and are transparent themselves, "
        "so that the picture can be laid over another engine's of the same scene",
        default=True,
    )
    motion_blur_steps: IntProperty(
        name="Steps",
        description="Pictures that a motion-blurred frame is the mean of",
        default=16,
        min=2,
        soft_max=64,
        max=1024,
    )


class LCA_ViewLayerProperties(PropertyGroup):
    """Passes of our engine that Blender has no switch for."""

    use_pass_alpha: BoolProperty(
        name="Alpha", description="Coverage of the avatars, also where the film is opaque"
    )


CLASSES = (
    LCA_BonePair,
    LCA_Expression,
    LCA_ObjectProperties,
    LCA_Photo,
    LCA_SceneProperties,
    LCA_ViewLayerProperties,
)


def register() -> None:
    bpy.types.Object.lca = PointerProperty(type=LCA_ObjectProperties, override=OVERRIDABLE)
    bpy.types.Scene.lca = PointerProperty(type=LCA_SceneProperties)
    bpy.types.ViewLayer.lca = PointerProperty(type=LCA_ViewLayerProperties)


def unregister() -> None:
    for owner in (bpy.types.Object, bpy.types.Scene, bpy.types.ViewLayer):
        del owner.lca
