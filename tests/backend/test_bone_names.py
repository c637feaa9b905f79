# SPDX-License-Identifier: GPL-3.0-or-later
"""Naming families, spellings and sides."""

import pytest
from bone_lists import LISTS, MIXAMO, UNREAL_5
from hypothesis import given
from hypothesis import strategies as st
from lca_blender.backend.body import bone_names
from lca_blender.backend.body.skeleton import JOINT_NAMES

LIMBS = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")


@pytest.mark.parametrize("family", LISTS)
def test_every_family_is_recognised_by_its_own_names(family):
    names, expected = LISTS[family]
    table, found = bone_names.recognise(tuple(names))
    assert table.name == family.split()[0]
    for joint, bone in expected.items():
        assert found[joint] == bone
    for limb in LIMBS:
        for side in "LR":
            assert f"{limb}.{side}" in found, f"{limb}.{side}"
    bones = list(found.values())
    assert len(bones) == len(set(bones))
    assert all(bone in names for bone in bones)


@pytest.mark.parametrize("family", LISTS)
def test_left_and_right_never_mix(family):
    _, found = bone_names.recognise(tuple(LISTS[family][0]))
    for joint, bone in found.items():
        assert bone_names.side_of(bone) == (joint[-1] if joint[-2:] in (".L", ".R") else "")


@pytest.mark.parametrize("prefix", ["mixamorig:", "mixamorig1:", "Character_01:", "armature|", ""])
def test_namespaces_do_not_matter(prefix):
    table, found = bone_names.recognise(tuple(prefix + name for name in MIXAMO))
    assert table.name == "mixamo"
    assert found["forearm.L"] == f"{prefix}LeftForeArm"


def test_another_spelling_is_found_too():
    names = tuple(name.replace("_", " ").upper() for name in UNREAL_5)
    table, found = bone_names.recognise(names)
    assert table.name == "unreal"
    assert found["upper_arm.L"] == "UPPERARM L"


@pytest.mark.parametrize(
    ("name", "spelling", "side"),
    [
        ("upper_arm.L", "upperarm", "L"),
        ("UpperArm_l", "upperarm", "L"),
        ("mixamorig:RightForeArm", "forearm", "R"),
        ("lThighBend", "thighbend", "L"),
        ("R_Index_02", "index2", "R"),
        ("ring_01_r", "ring1", "R"),
        ("Bone.Left.003", "bone3", "L"),
        ("leg", "leg", ""),
        ("ring1", "ring1", ""),
        ("Roll", "roll", ""),
        ("L", "l", ""),
        ("左ひじ", "ひじ", "L"),
    ],
)
def test_spellings_and_sides(name, spelling, side):
    assert bone_names.normalise(name) == (spelling, side)


@given(st.text(max_size=40))
def test_any_name_can_be_normalised(name):
    spelling, side = bone_names.normalise(name)
    assert spelling == spelling.lower()
    assert side in ("L", "R", "")


@pytest.mark.parametrize("family", bone_names.families(), ids=lambda family: family.name)
def test_tables_name_joints_of_the_template(family):
    assert set(family.bones) <= set(JOINT_NAMES)
    assert set(bone_names.CORE) - {"clavicle.L", "clavicle.R"} <= set(family.bones)
    assert bone_names.title(family.name) == family.title
