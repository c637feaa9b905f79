# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of *Render Relit Sequences*."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup


class LCA_RelitLight(PropertyGroup):
    """A light for *Render Relit Sequences*: an environment map, or the lamps of a collection."""

    path: StringProperty(
        name="Environment Map", subtype="FILE_PATH", options={"PATH_SUPPORTS_BLEND_RELATIVE"}
    )
    rig: PointerProperty(
        type=bpy.types.Collection, name="Light Rig", description="The collection whose lamps are the light"
    )
    rotation: FloatProperty(
        name="Rotation", description="Turns the map, as the Z of a Mapping node", subtype="ANGLE"
    )
    strength: FloatProperty(name="Strength", description="Multiplies the map", default=1.0, min=0.0)


class LCA_Relit(PropertyGroup):
    """Settings of *Render Relit Sequences*."""

    lights: CollectionProperty(type=LCA_RelitLight)
    active_light: IntProperty(name="Active Light")
    output: StringProperty(
        name="Output",
        description="Where pictures go, without their ending: {avatar}, {light}, {camera} and {frame:04} "
        "stand for what they show",
        default="//relit/{avatar}/{light}/{camera}/{frame:04}",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    kind: EnumProperty(
        name="Pictures",
        items=[
            ("EXR", "OpenEXR", "Scene-linear, with all passes as layers"),
            ("PNG", "PNG", "As they are seen, through the scene's view transform"),
            ("BOTH", "Both", "OpenEXR and PNG"),
        ],
        default="EXR",
    )
    depth: EnumProperty(
        name="Colour Depth",
        description="Bits of a channel of OpenEXR",
        items=[("16", "Half", "16 bits"), ("32", "Full", "32 bits")],
        default="16",
    )
    all_cameras: BoolProperty(name="All Cameras", description="Render by every camera of the scene")
    movie: BoolProperty(name="Films", description="Make an MP4 of every sequence", default=True)
    sheet: BoolProperty(name="Sheet of Lights", description="Make one picture of all lights", default=True)
    workers: IntProperty(
        name="Processes",
        description="How many Blenders render at a time, in the background; each needs some 2 GB",
        default=1,
        min=1,
        max=256,
    )


CLASSES = (LCA_RelitLight, LCA_Relit)
