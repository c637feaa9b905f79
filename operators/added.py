# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds an avatar object; restores the scene where that fails."""

from contextlib import contextmanager
from pathlib import Path

import bpy

from ..scene.avatar_object import create_avatar_object

KINDS = ("objects", "meshes", "armatures", "materials", "images")


@contextmanager
def all_or_nothing(context: bpy.types.Context):
    """Object mode for what is added inside; where that fails, nothing new remains, and the selection is as
    before."""
    before = {kind: {block.as_pointer() for block in getattr(bpy.data, kind)} for kind in KINDS}
    selected, active = list(context.selected_objects), context.view_layer.objects.active
    try:
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        yield
    except BaseException:
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        for kind, known in before.items():
            blocks = getattr(bpy.data, kind)
            for block in [block for block in blocks if block.as_pointer() not in known]:
                blocks.remove(block)
        for obj in selected:
            obj.select_set(True)
        context.view_layer.objects.active = active
        raise


def add_avatar(context: bpy.types.Context, avatar, path: Path) -> bpy.types.Object:
    """The avatar's object at the 3D cursor, named after its file; nothing new remains where it fails."""
    with all_or_nothing(context):
        return create_avatar_object(
            context,
            avatar,
            path,
            name=path.stem.replace("_", " ").title(),
            location=context.scene.cursor.location,
        )
