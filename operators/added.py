# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds an avatar object; restores the scene where that fails."""

from pathlib import Path

import bpy

from ..scene.avatar_object import create_avatar_object


def add_avatar(context: bpy.types.Context, avatar, path: Path) -> bpy.types.Object:
    """The avatar's object at the 3D cursor, named after its file; nothing new remains where it fails."""
    before = {
        name: {block.as_pointer() for block in getattr(bpy.data, name)} for name in ("objects", "meshes")
    }
    selected, active = list(context.selected_objects), context.view_layer.objects.active
    try:
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        return create_avatar_object(
            context,
            avatar,
            path,
            name=path.stem.replace("_", " ").title(),
            location=context.scene.cursor.location,
        )
    except BaseException:
        for name, known in before.items():
            blocks = getattr(bpy.data, name)
            for block in [block for block in blocks if block.as_pointer() not in known]:
                blocks.remove(block)
        for obj in selected:
            obj.select_set(True)
        context.view_layer.objects.active = active
        raise
