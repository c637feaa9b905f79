# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone maps of the rigs that artists have: body bones right, hair and weapons left alone, losses said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.bone_map import map_bones
from lca_blender.backend.body.skeleton import FINGERS
from rig_families import FAMILIES, Bone, renamed, rig_of, things, wanted, without

LIMB = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")


@pytest.mark.parametrize("carried", ["bare", "with things"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_bone_of_the_body_is_found(family, carried):
    bones = FAMILIES[family]
    rig = rig_of(bones + (things(bones) if carried == "with things" else []))
    found = map_bones(rig)
    want = wanted(bones)
    assert {joint: found.bones.get(joint) for joint in want} == want
    assert set(found.bones) <= set(want)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("prefix", "suffix"), [("Robot_", ""), ("", ".001"), ("ann2:", ""), ("GLTF_", "_12")]
)
def test_what_a_rig_puts_before_and_after_its_names_does_not_matter(family, prefix, suffix):
    bones = FAMILIES[family]
    found = map_bones(rig_of(renamed(bones, prefix, suffix) + things(renamed(bones, prefix, suffix))))
    assert found.bones == {joint: f"{prefix}{name}{suffix}" for joint, name in wanted(bones).items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_deforming_bones_come_before_controllers_of_their_names(family):
    bones = FAMILIES[family]
    parents = {bone.name: bone.parent for bone in bones}
    controls = [Bone(f"CTRL_{b.name}", parents[b.name], b.place, None, False) for b in bones if b.joint]
    found = map_bones(rig_of(controls + renamed(bones, "", "")))
    assert found.bones == wanted(bones)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_what_is_missing_is_said_and_never_replaced_by_a_thing(family, seed, count):
    bones = FAMILIES[family]
    random = np.random.default_rng(seed)
    joints = [joint for joint in wanted(bones) if joint not in ("pelvis", "head")]
    gone = set(random.choice(joints, count, replace=False).tolist())
    left = without(bones, gone)
    carried = things(bones)
    carried = [bone for bone in carried if bone.parent in {b.name for b in left + carried}]
    carried = [bone for bone in carried if _whole(bone, {b.name: b for b in left + carried})]
    found = map_bones(rig_of(left + carried))
    assert not set(found.bones.values()) & {bone.name for bone in carried}
    said = " ".join(found.warnings)
    for joint in gone - set(found.bones):
        part, _, side = joint.partition(".")
        word = {"L": "left", "R": "right"}.get(side)
        if part in LIMB:
            assert word in said or "has no" in said, joint
        if part[:-1] in FINGERS and not any(f"{part[:-1]}{n}.{side}" in found.bones for n in (1, 2, 3)):
            assert "finger" in said or part[:-1] in said, joint


def _whole(bone, known):
    while bone.parent:
        if bone.parent not in known:
            return False
        bone = known[bone.parent]
    return True


def test_a_lost_trunk_is_said():
    bones = without(FAMILIES["mixamo"], {"spine1", "spine2", "spine3"})
    assert any("between hips and neck" in warning for warning in map_bones(rig_of(bones)).warnings)


def test_half_a_limb_and_a_lost_finger_are_said():
    gone = {"forearm.L", *(f"ring{n}.R" for n in (1, 2, 3))}
    said = map_bones(rig_of(without(FAMILIES["mixamo"], gone))).warnings
    assert said == [
        "No bone was recognised for the left forearm.",
        "No bones were recognised for the right ring; they move with the hand.",
    ]


def test_nameless_bones_with_hair_and_a_skirt_are_found_by_structure():
    bones = [bone for bone in FAMILIES["mixamo"] if bone.joint]
    every = bones + [bone for bone in things(bones) if not bone.name.startswith(("Sword", "Cape"))]
    number = {bone.name: f"Bone.{i:03d}" for i, bone in enumerate(every)}
    plain = [Bone(number[b.name], b.parent and number[b.parent], b.place, b.joint) for b in every]
    found = map_bones(rig_of(plain))
    assert found.family == "structure"
    limbs = [joint for joint in wanted(plain) if joint.split(".")[0] in (*LIMB, "clavicle", "head", "pelvis")]
    assert {joint: found.bones.get(joint) for joint in limbs} == {
        joint: wanted(plain)[joint] for joint in limbs
    }
