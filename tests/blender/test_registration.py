# SPDX-License-Identifier: GPL-3.0-or-later
import subprocess
import sys

import bpy
import pytest

import lca_blender
from lca_blender import handlers


def handler_counts():
    return {name: len(getattr(bpy.app.handlers, name)) for name, _ in handlers.HANDLERS}


def test_register_and_unregister_twice_leave_nothing_behind():
    lca_blender.unregister()
    bare = handler_counts()
    theirs = [p for p in bpy.types.Panel.__subclasses__() if not p.__name__.startswith("LCA_")]
    assert not [p for p in theirs if "LCA_GAUSSIANS" in getattr(p, "COMPAT_ENGINES", ())]
    for _ in range(2):
        lca_blender.register()
        lca_blender.register()  # a second call changes nothing
        assert hasattr(bpy.types.Object, "lca")
        assert "LCA_GAUSSIANS" in bpy.types.RENDER_PT_output.COMPAT_ENGINES
        assert all(count == bare[name] + sum(n == name for n, _ in handlers.HANDLERS)
                   for name, count in handler_counts().items())  # fmt: skip
        lca_blender.unregister()
        assert not hasattr(bpy.types.Object, "lca")
        assert not hasattr(bpy.types, "LCA_GaussiansEngine")
        assert handler_counts() == bare
    lca_blender.register()


def test_importing_the_package_needs_neither_blender_nor_torch():
    code = "import sys, lca_blender, lca_blender.backend; sys.exit(bool({'bpy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_registering_does_not_import_torch():
    code = (
        "import os, sys, bpy, lca_blender; lca_blender.register(); found = 'torch' in sys.modules; "
        "lca_blender.unregister(); os._exit(found)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_sliders_and_gaze_can_be_keyed(scene):
    obj = bpy.data.objects.new("Avatar", bpy.data.meshes.new("Avatar"))
    scene.collection.objects.link(obj)
    for frame, value in ((1, 0.0), (11, 1.0)):
        obj.lca.expression.jawOpen = value
        obj.lca.expression.keyframe_insert("jawOpen", frame=frame)
        obj.lca.gaze = (value, -value)
        obj.lca.keyframe_insert("gaze", frame=frame)
    scene.frame_set(6)
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated.lca.expression.jawOpen == pytest.approx(0.5)
    assert evaluated.lca.gaze[:] == pytest.approx((0.5, -0.5))


def test_a_slider_reaches_the_evaluated_object(scene):
    obj = bpy.data.objects.new("Avatar", bpy.data.meshes.new("Avatar"))
    scene.collection.objects.link(obj)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    depsgraph.update()
    obj.lca.expression.mouthSmileLeft = 0.75
    obj.lca.gaze[0] = 0.25
    bpy.context.view_layer.update()
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert evaluated.lca.expression.mouthSmileLeft == pytest.approx(0.75)
    assert evaluated.lca.gaze[0] == pytest.approx(0.25)


def test_materials_and_lamps_have_their_panels(scene):
    """A set can be dressed without leaving the engine."""
    shown = {
        p.__name__
        for p in bpy.types.Panel.__subclasses__()
        if "LCA_GAUSSIANS" in getattr(p, "COMPAT_ENGINES", ())
    }
    wanted = {"EEVEE_MATERIAL_PT_surface", "EEVEE_MATERIAL_PT_context_material", "DATA_PT_EEVEE_light"}
    assert wanted <= shown
    assert "DATA_PT_light" not in shown


def test_panels_are_those_of_what_renders_the_meshes(scene):
    def shown(name):
        return "LCA_GAUSSIANS" in getattr(bpy.types, name).COMPAT_ENGINES

    for meshes in ("CYCLES", "CLAY"):
        scene.lca.meshes = meshes
        by_cycles = meshes == "CYCLES"
        for name in ("CYCLES_RENDER_PT_sampling", "CYCLES_LIGHT_PT_light", "CYCLES_MATERIAL_PT_surface"):
            assert shown(name) == by_cycles, name
        for name in ("DATA_PT_EEVEE_light", "EEVEE_MATERIAL_PT_surface", "DATA_PT_camera_dof"):
            assert shown(name) != by_cycles, name
        assert shown("RENDER_PT_color_management")
        assert shown("RENDER_PT_output")
