# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos for *Create Avatar*."""

import bpy
from bpy.props import (
    EnumProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup


def is_camera(_properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


class LCA_Photo(PropertyGroup):
    """A photo in the list for *Create Avatar*."""

    path: StringProperty(name="Photo", subtype="FILE_PATH", options={"PATH_SUPPORTS_BLEND_RELATIVE"})
    person: IntProperty(
        name="Person",
        description="The person to use, counted from the left; 0: the most prominent one",
        min=0,
        soft_max=9,
    )
    state: EnumProperty(
        name="State",
        description="Whether the last avatar was created from the photo",
        items=[
            ("NEW", "New", "Not used yet"),
            ("USED", "Used", "Used for the last avatar"),
            ("REFUSED", "Left Out", "Could not be used"),
        ],
        default="NEW",
    )
    shows: StringProperty(name="Shows", description="What the photo shows, or why it was left out")
    overlay: StringProperty(
        name="Overlay", description="Picture of the photo with the fitted body", subtype="FILE_PATH"
    )
    upright: StringProperty(
        name="Upright", description="The photo, turned so that the person is upright", subtype="FILE_PATH"
    )
    pose: StringProperty(name="Pose", description="Pose and camera that were found in the photo, as JSON")
    given: StringProperty(name="Given Pose", description="Pose and camera that the artist set, as JSON")
    camera: PointerProperty(
        type=bpy.types.Object,
        name="Camera",
        description="The camera that shows the photo behind the avatar",
        poll=is_camera,
    )
    people: StringProperty(
        name="People",
        description="Positions of the people in the overlay: x and y from the top left in 0 to 1, as JSON",
    )


CLASSES = (LCA_Photo,)
