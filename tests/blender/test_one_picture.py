# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars and meshes in one picture: beside what Cycles makes of the same scene, composited by hand."""

import bpy
import numpy as np
import pytest
from pictures import render, rgba, world
from test_occlusion import add_box

from lca_blender.engine.cryptomatte import manifest, matte_id, murmur3
from lca_blender.engine.passes import OBJECT_INDEX


@pytest.fixture
def stage(scene, avatar):
    """A floor and a wall behind the avatar, before which a box stands; a sun; few samples."""
    add_box(scene, (-3, -3, -0.1), (3, 3, 0.0), "Floor")
    add_box(scene, (-3, 1.5, 0), (3, 1.6, 3), "Wall")
    add_box(scene, (0.1, -0.8, 0), (0.6, -0.5, 0.9), "Sofa")
    world(scene, (0.2, 0.2, 0.2))
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.rotation_euler = (0.6, -0.5, 0)
    sun.data.energy = 2
    scene.collection.objects.link(sun)
    scene.cycles.samples, scene.cycles.use_denoising = 8, False
    scene.cycles.use_adaptive_sampling = False
    return scene


def by_cycles_alone(scene, path, kind="OPEN_EXR"):
    scene.render.engine = "CYCLES"
    try:
        return render(scene, path, kind)
    finally:
        scene.render.engine = "LCA_GAUSSIANS"


def test_cycles_below_is_cycles_with_the_avatar_laid_over_it(stage, avatar, tmp_path):
    stage.lca.meshes = "CYCLES"
    both = rgba(render(stage, tmp_path / "a.exr"))
    assert avatar.visible_camera  # the file is as it was
    stage.lca.meshes, stage.render.film_transparent = "HIDDEN", True
    front = rgba(render(stage, tmp_path / "b.exr"))
    stage.render.film_transparent, avatar.visible_camera = False, False
    back = rgba(by_cycles_alone(stage, tmp_path / "c.exr"))
    assert front[..., 3].max() > 0.9
    assert (front[..., 3] == 0).any()
    assert both == pytest.approx(front + (1 - front[..., 3:]) * back, abs=1e-4)
    avatar.hide_render = True
    bare = rgba(by_cycles_alone(stage, tmp_path / "d.exr"))
    assert (back[..., 0] < 0.7 * bare[..., 0]).mean() > 0.001  # the avatar's shadow


def test_a_mirror_and_glass_show_the_proxy(stage, avatar, tmp_path):
    """Behind a pane of glass and in a mirror there is more of the body than without an avatar."""
    mirror = add_box(stage, (-1.2, 1.2, 0), (-0.4, 1.25, 2), "Mirror")
    mirror.rotation_euler.z = 0.35
    pane = add_box(stage, (-0.4, -1.0, 0.9), (0.0, -0.98, 1.6), "Pane")
    for obj, values in (
        (mirror, {"Metallic": 1, "Roughness": 0}),
        (pane, {"Transmission Weight": 1, "IOR": 1}),
    ):
        material = bpy.data.materials.new(obj.name)
        if material.node_tree is None:
            material.use_nodes = True
        for name, value in {"Roughness": 0, **values}.items():
            material.node_tree.nodes["Principled BSDF"].inputs[name].default_value = value
        obj.data.materials.append(material)
    stage.lca.meshes = "CYCLES"
    both = rgba(render(stage, tmp_path / "a.exr"))
    avatar.hide_render = True
    bare = rgba(render(stage, tmp_path / "b.exr"))
    changed = np.abs(both - bare)[..., :3].max(-1) > 0.1
    assert changed[44:60, 40:46].mean() > 0.5  # through the pane
    assert changed[40:80, 18:32].mean() > 0.05  # in the mirror


def test_clay_is_there_at_once_and_keeps_the_order(stage, avatar, tmp_path):
    stage.lca.meshes, stage.render.film_transparent = "CLAY", True
    both = rgba(render(stage, tmp_path / "a.exr"))
    stage.lca.meshes = "HIDDEN"
    front = rgba(render(stage, tmp_path / "b.exr"))
    clay = both - front
    assert np.ptp(clay[both[..., 3] > 0.99], axis=-1).max() < 1.01
    alone = front[..., 3] == 0
    grey = both[alone & (both[..., 3] == 1)]
    assert len(grey) > 2000
    assert (grey[:, 0] == grey[:, 1]).all()
    assert (grey[:, 0] >= 0.35 * 0.6 - 1e-6).all()


PASSES = ("z", "position", "mist", "object_index", "vector", "cryptomatte_object", "cryptomatte_asset")


@pytest.fixture
def passes(stage, avatar):
    """Passes of a moving avatar, and how Cycles has them of its proxy, which lies on its surface."""
    layer = stage.view_layers[0]
    for name in PASSES:
        setattr(layer, f"use_pass_{name}", True)
    avatar.pass_index = 7
    bpy.data.objects["Wall"].pass_index = 3
    stage.world.mist_settings.start, stage.world.mist_settings.depth = 3, 4
    for frame, x in ((0, -0.1), (2, 0.1)):
        avatar.location.x = x
        avatar.keyframe_insert("location", frame=frame)
    stage.frame_set(1)
    return stage


def named(found, name, channel):
    """Blender 4.5 writes the channels of mattes in capitals, 5.0 does not."""
    ends = f".{name}.{channel}".lower()
    (value,) = (v for k, v in found.items() if f".{k}".lower().endswith(ends))
    return value


@pytest.mark.parametrize("meshes", ["CYCLES", "HIDDEN"])
def test_passes_are_those_of_cycles(passes, avatar, tmp_path, meshes):
    passes.lca.meshes = meshes
    ours = render(passes, tmp_path / "a.exr", "OPEN_EXR_MULTILAYER")
    cycles = by_cycles_alone(passes, tmp_path / "b.exr", "OPEN_EXR_MULTILAYER")
    own = matte_id("Avatar")
    body = (named(cycles, "CryptoObject00", "r") == own) & (named(cycles, "CryptoObject00", "g") > 0.99)
    body &= (named(ours, "CryptoObject00", "r") == own) & (named(ours, "CryptoObject00", "g") > 0.95)
    assert body.sum() > 300
    assert (named(ours, "CryptoAsset00", "r")[body] == own).all()
    assert (named(ours, OBJECT_INDEX, "X")[body] == 7).all()
    for name, channels, within in (("Depth", "Z", 0.03), ("Position", "XYZ", 0.03), ("Mist", "Z", 0.02)):
        for channel in channels:
            off = np.abs(named(ours, name, channel) - named(cycles, name, channel))[body]
            assert np.median(off) < within, (name, channel)
    for channel in "XYZW":
        expected = named(cycles, "Vector", channel)[body]
        assert named(ours, "Vector", channel)[body] == pytest.approx(np.median(expected), abs=0.3), channel
    wall = named(cycles, OBJECT_INDEX, "X") == 3
    if meshes == "CYCLES":
        assert (named(ours, OBJECT_INDEX, "X")[wall & ~body] == 3).mean() > 0.9


def test_hashes_and_the_manifest_of_mattes():
    """Hashes of the reference implementation (SMHasher); names as the specification's section 3 has them."""
    assert murmur3("") == 0
    assert murmur3("hello") == 0x248BFA47
    assert murmur3("hello, world") == 0x149BBB7F
    fields = manifest("ViewLayer", "CryptoObject", ["hello"])
    assert all(key.startswith("cryptomatte/") and len(key.split("/")[1]) == 7 for key in fields)
    assert '{"hello":"248bfa47"}' in fields.values()
