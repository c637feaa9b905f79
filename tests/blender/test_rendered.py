# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render needs, told before it starts: a missing avatar stops it where it would be in the picture."""

import bpy
import pytest

from lca_blender.handlers import avatar_problems


@pytest.fixture
def missing(scene, avatar, tmp_path):
    """(avatar whose file is missing, in a collection of its own; that collection)."""
    avatar.lca.filepath = str(tmp_path / "gone.lca")
    collection = bpy.data.collections.new("Takes")
    scene.collection.children.link(collection)
    collection.objects.link(avatar)
    scene.collection.objects.unlink(avatar)
    assert len(avatar_problems(scene)) == 1
    return avatar, collection


def test_what_no_layer_renders_does_not_stop_a_render(scene, missing):
    avatar, collection = missing
    layer = bpy.context.view_layer.layer_collection.children["Takes"]
    for owner, switch in ((layer, "exclude"), (collection, "hide_render"), (avatar, "hide_render")):
        setattr(owner, switch, True)
        assert avatar_problems(scene) == []
        setattr(owner, switch, False)
        assert len(avatar_problems(scene)) == 1


def test_layers_that_are_switched_off_need_nothing(scene, missing):
    other = scene.view_layers.new("Set")
    other.layer_collection.children["Takes"].exclude = True
    assert len(avatar_problems(scene)) == 1
    scene.view_layers[0].use = False
    assert avatar_problems(scene) == []


@pytest.mark.parametrize("by", ["collection", "nodes"])
def test_instances_of_an_avatar_that_no_layer_holds_are_needed(scene, missing, by):
    avatar, collection = missing
    scene.collection.children.unlink(collection)
    assert avatar_problems(scene) == []
    if by == "collection":
        holder = bpy.data.objects.new("Instance", None)
        holder.instance_type, holder.instance_collection = "COLLECTION", collection
    else:
        holder = bpy.data.objects.new("Instance", bpy.data.meshes.new("Instance"))
        modifier = holder.modifiers.new("Nodes", "NODES")
        modifier.node_group = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
        modifier.node_group.nodes.new("GeometryNodeObjectInfo").inputs["Object"].default_value = avatar
    scene.collection.objects.link(holder)
    assert len(avatar_problems(scene)) == 1
    holder.hide_render = True
    assert avatar_problems(scene) == []


def test_an_avatar_that_appears_later_is_needed(scene, missing):
    avatar, _ = missing
    scene.frame_start, scene.frame_end = 1, 40
    for frame, hidden in ((1, True), (30, False)):
        avatar.hide_render = hidden
        avatar.keyframe_insert("hide_render", frame=frame)
    scene.frame_set(1)
    assert avatar.hide_render
    assert len(avatar_problems(scene)) == 1
    scene.frame_end = 20
    assert avatar_problems(scene) == []
