# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds whenever an operator refuses to work."""

import bpy
import pytest


def state():
    """What a failed operator must leave as it was."""
    return {
        "objects": sorted(obj.name for obj in bpy.data.objects),
        "meshes": sorted(mesh.name for mesh in bpy.data.meshes),
        "selected": sorted(obj.name for obj in bpy.context.selected_objects),
        "active": bpy.context.view_layer.objects.active,
    }


def fails(sentence, operator, **arguments):
    """The operator reports the sentence, keeps it for the panel, and changes nothing."""
    before = state()
    with pytest.raises(RuntimeError, match=sentence):
        operator(**arguments)
    after = state()
    assert after == before
    assert bpy.context.scene.lca.message
