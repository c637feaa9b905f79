# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of an avatar object, `Object.lca`: its file, its rig, its face, its look."""

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

from ..backend.body.arkit import ARKIT_NAMES
from ..scene.avatar_data import name_file

OVERRIDABLE = {"LIBRARY_OVERRIDABLE"}


def tag(properties: PropertyGroup, _context) -> None:
    """Tags the owner for evaluation, which Blender does not do for add-on properties by itself."""
    properties.id_data.update_tag()


def hide_proxy(properties: PropertyGroup, _context) -> None:
    properties.id_data.visible_camera = not properties.hide_proxy


def is_armature(_properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "ARMATURE"


def is_painted(_properties: PropertyGroup, candidate: bpy.types.Image) -> bool:
    return bool(candidate.lca_view)


def is_other_object(properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate != properties.id_data


def look(properties: PropertyGroup, _context) -> None:
    """Ties the avatar to what it looks at: without a driver Blender does not move targets that are hidden."""
    obj = properties.id_data
    obj.driver_remove("lca.look_tie")
    if properties.look_at is not None:
        driver = obj.driver_add("lca.look_tie").driver
        driver.type = "SUM"
        variable = driver.variables.new()
        variable.type = "TRANSFORMS"
        variable.targets[0].id = properties.look_at
    obj.update_tag()


class LCA_BonePair(PropertyGroup):
    """One line of the bone map."""

    joint: StringProperty(name="Joint", description="Joint of the avatar's skeleton", override=OVERRIDABLE)
    bone: StringProperty(
        name="Bone",
        description="Bone of the armature that drives this joint",
        override=OVERRIDABLE,
        update=tag,
    )


def _angles(name: str, description: str) -> FloatVectorProperty:
    """Yaw and pitch of a gaze."""
    return FloatVectorProperty(
        name=name,
        description=description,
        size=2,
        soft_min=-0.7,
        soft_max=0.7,
        unit="ROTATION",
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
    """An avatar object: `file`, by its path or packed, is the avatar; the others pose it."""

    file: PointerProperty(
        type=bpy.types.Image,
        name="File",
        description="Data-block that names the avatar's file, or holds it packed",
        override=OVERRIDABLE,
        update=tag,
    )
    filepath: StringProperty(
        name="Avatar",
        description="The avatar file",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        get=lambda self: self.file.filepath if self.file else "",
        set=lambda self, path: name_file(self.id_data, path),
    )
    hash: StringProperty(name="Hash", description="Content hash of the avatar file when it was added")
    armature: PointerProperty(
        type=bpy.types.Object,
        name="Armature",
        description="The armature that poses the avatar",
        poll=is_armature,
        override=OVERRIDABLE,
        update=tag,
    )
    bone_map: CollectionProperty(type=LCA_BonePair, override={"LIBRARY_OVERRIDABLE", "USE_INSERTION"})
    active_bone: IntProperty(name="Active Joint")
    expression: PointerProperty(type=LCA_Expression, override=OVERRIDABLE)
    gaze: _angles("Gaze", "Direction of gaze: yaw to the subject's left and pitch upwards")
    gaze_left: _angles("Left Eye", "Yaw and pitch of the subject's left eye, added to the gaze of both")
    gaze_right: _angles("Right Eye", "Yaw and pitch of the subject's right eye, added to the gaze of both")
    look_at: PointerProperty(
        type=bpy.types.Object,
        name="Look At",
        description="An object that both eyes look at, wherever head and object go",
        poll=is_other_object,
        override=OVERRIDABLE,
        update=look,
    )
    look_tie: FloatProperty(
        name="Look At", description="Driven by what the avatar looks at", options={"ANIMATABLE", "HIDDEN"}
    )
    look_amount: FloatProperty(
        name="Amount",
        description="How far the eyes look at the object; at 0 the gaze alone turns them",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
        override=OVERRIDABLE,
        update=tag,
    )
    look_limits: FloatVectorProperty(
        name="Range",
        description="How far the eyes turn towards the object, sideways and up or down",
        size=2,
        min=0.0,
        max=1.5,
        default=(0.7, 0.5),
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
        description="Expression code, as a network with an expression encoder reads it from a face",
        size=(4, 32),
        override=OVERRIDABLE,
        update=tag,
    )
    lit_by: EnumProperty(
        name="Lit by",
        description="Where the avatar's light comes from, in the engine LCA Gaussians",
        items=[
            ("PHOTOS", "Photos", "The photos' colours with the photos' light, as they are"),
            ("SCENE", "Scene", "The scene's lamps and world"),
        ],
        default="PHOTOS",
        override=OVERRIDABLE,
        update=tag,
    )
    exposure: FloatProperty(
        name="Exposure",
        description="Brightness of the avatar, in stops",
        soft_min=-4.0,
        soft_max=4.0,
        override=OVERRIDABLE,
        update=tag,
    )
    tint: FloatVectorProperty(
        name="Tint",
        description="Colour that the avatar's colours are multiplied by",
        subtype="COLOR",
        size=3,
        default=(1.0, 1.0, 1.0),
        min=0.0,
        soft_max=1.0,
        override=OVERRIDABLE,
        update=tag,
    )
    saturation: FloatProperty(
        name="Saturation",
        description="Strength of the avatar's colours; 0 is grey",
        default=1.0,
        min=0.0,
        soft_max=2.0,
        override=OVERRIDABLE,
        update=tag,
    )
    sharpness: FloatProperty(
        name="Sharpness",
        description="Smaller splats above zero, larger ones below",
        min=-2.0,
        max=2.0,
        override=OVERRIDABLE,
        update=tag,
    )
    hide_proxy: BoolProperty(
        name="Hide Proxy from Cameras",
        description="Cameras of other engines do not see the proxy, which still casts shadows and shows in "
        "mirrors; the splats are drawn, to be composited over the picture of another engine",
        override=OVERRIDABLE,
        update=hide_proxy,
    )
    erased: StringProperty(
        name="Erased",
        description="The splats that are left out: the avatar's hash, and a bit for each, compressed",
        options={"HIDDEN"},
        override=OVERRIDABLE,
        update=tag,
    )
    painted: PointerProperty(
        type=bpy.types.Image,
        name="Picture",
        description="Picture of the avatar to paint on, made by Render View for Repaint",
        poll=is_painted,
        override=OVERRIDABLE,
    )
    show_seen: BoolProperty(
        name="Show What Was Seen",
        description="In the 3D view the avatar is grey where a photo shows it, and orange where none does",
        override=OVERRIDABLE,
        update=tag,
    )
    made_groups: StringProperty(
        name="Made Groups", description="Vertex groups that binding created, one per line"
    )
    warnings: StringProperty(
        name="Warnings", description="What the photos do not show, one warning per line", override=OVERRIDABLE
    )


CLASSES = (LCA_BonePair, LCA_Expression, LCA_ObjectProperties)
