# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
from lca_blender.backend.body.skeleton import JOINT_NAMES

from lca_blender.ui import face, lists, relit, sidebar


def test_every_panel_draws(avatar_file):
    script = Path(__file__).with_name("draw_panels.py")
    run = subprocess.run(
        [sys.executable, str(script), str(avatar_file)], capture_output=True, text=True, timeout=120
    )
    output = run.stdout + run.stderr
    said = [
        line for line in output.splitlines() if "no icon for icon ID" not in line
    ]  # there are none headless
    assert run.returncode == 0, "\n".join(said[-30:])
    assert not [line for line in said if "ERROR" in line or "not found" in line or "missing" in line]


def test_every_button_of_the_panels_exists():
    text = "".join(Path(module.__file__).read_text() for module in (sidebar, face, lists, relit))
    names = set(re.findall(r'operator\(\s*"(lca\.\w+)"', text))
    assert len(names) >= 12
    for name in names:
        getattr(bpy.ops.lca, name.removeprefix("lca.")).get_rna_type()


def test_the_rig_panel_shows_the_avatar_that_binding_means(metarig, avatar):
    avatar.select_set(True)
    metarig.select_set(True)
    bpy.context.view_layer.objects.active = metarig
    assert sidebar.LCA_PT_bind.poll(bpy.context)
    assert bpy.ops.lca.bind_to_armature() == {"FINISHED"}
    assert avatar.lca.armature == metarig
    avatar.select_set(False)
    assert sidebar.LCA_PT_bind.poll(bpy.context)


def test_the_map_shows_what_is_missing_first_and_can_be_searched(bound):
    avatar, _ = bound
    avatar.lca.bone_map[7].bone = ""
    looking = SimpleNamespace(bitflag_filter_item=1, filter_name="")
    shown, order = lists.LCA_UL_bone_map.filter_items(looking, bpy.context, avatar.lca, "bone_map")
    assert all(shown)
    assert order[7] == 0
    assert sorted(order) == list(range(len(JOINT_NAMES)))
    looking.filter_name = "left"
    shown, _ = lists.LCA_UL_bone_map.filter_items(looking, bpy.context, avatar.lca, "bone_map")
    assert sum(shown) == sum(name.endswith(".L") for name in JOINT_NAMES)


def test_joints_have_names_for_people():
    assert lists.joint_label("upper_arm.L") == "L Upper Arm"
    assert lists.joint_label("index1.R") == "R Index 1"
    assert lists.joint_label("head") == "Head"
    assert face.slider_label("mouthSmile") == "Smile"
    assert face.slider_label("cheekPuff") == "Cheek Puff"
