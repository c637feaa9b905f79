# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding to rigs of any size, axes and rest pose, and bone maps as files."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.binding import bind
from lca_blender.backend.body.bone_map import BoneMap, map_bones
from lca_blender.backend.body.bone_structure import match_structure
from lca_blender.backend.body.pose import joint_transforms, pose_features
from lca_blender.backend.body.rig import Rig
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES, mirror_joints
from lca_blender.backend.body.template import load_template
from lca_blender.backend.errors import UserError
from scipy.spatial.transform import Rotation

TEMPLATE = load_template()
LANDING = [
    f"{joint}.{side}" for side in "LR" for joint in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
]


def template_rig(move=None, leave_out=(), names=JOINT_NAMES, heads=None, tails=None):
    """A rig with the template's joints as bones, its points moved by `move`."""
    kept = [j for j in range(len(JOINT_NAMES)) if not any(word in JOINT_NAMES[j] for word in leave_out)]
    parents = []
    for j in kept:
        parent = TEMPLATE.joint_parents[j]
        while parent >= 0 and parent not in kept:
            parent = TEMPLATE.joint_parents[parent]
        parents.append(kept.index(parent) if parent >= 0 else -1)
    move = move or (lambda points: points)
    heads = TEMPLATE.joint_heads if heads is None else heads
    tails = TEMPLATE.joint_tails if tails is None else tails
    return Rig([names[j] for j in kept], parents, move(heads[kept]), move(tails[kept]))


def posed_rig(rotations):
    """The template's rig with another rest pose: heads and tails moved as the joints move them."""
    transforms = np.asarray(joint_transforms(TEMPLATE, rotations), np.float64)

    def move(points):
        return np.einsum("jab,jb->ja", transforms[:, :3, :3], points) + transforms[:, :3, 3]

    return template_rig(heads=move(TEMPLATE.joint_heads), tails=move(TEMPLATE.joint_tails)), transforms


def t_pose():
    """Arms raised by 45 degrees about the front axis, to the horizontal."""
    rotations = np.zeros((len(JOINT_NAMES), 3), np.float32)
    rotations[INDEX["upper_arm.L"], 1] = -np.pi / 4
    rotations[INDEX["upper_arm.R"], 1] = np.pi / 4
    return rotations


def carried(binding, joint):
    """Where the binding takes a joint's head at rest."""
    j = INDEX[joint]
    return (binding.rest[j] @ np.append(TEMPLATE.joint_heads[j], 1))[:3]


def at_rest(rig):
    return np.tile(np.eye(4), (len(rig.names), 1, 1))


def identity_map():
    return {name: name for name in JOINT_NAMES}


def test_the_templates_own_rig_needs_no_correction():
    rig = template_rig()
    bone_map = map_bones(rig)
    assert bone_map.missing == ()
    assert bone_map.warnings == []
    binding = bind(TEMPLATE, rig, bone_map)
    assert binding.scale == pytest.approx(1)
    assert np.abs(binding.transforms(at_rest(rig)) - np.eye(4)).max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(-2, 2).map(lambda e: 10**e),
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    offset=st.tuples(*[st.floats(-5, 5)] * 3),
)
def test_scaled_turned_and_moved_rigs(scale, turn, offset):
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = np.array(offset) * scale
    rig = template_rig(lambda points: points @ matrix[:3, :3].T + matrix[:3, 3])
    binding = bind(TEMPLATE, rig, identity_map())
    assert binding.scale == pytest.approx(scale, rel=1e-5)
    assert np.abs(binding.rest - matrix).max() < 1e-4 * scale


def test_t_pose_comes_out_of_the_rest_matrices():
    rig, transforms = posed_rig(t_pose())
    binding = bind(TEMPLATE, rig, identity_map())
    assert carried(binding, "hand.L")[2] == pytest.approx(carried(binding, "upper_arm.L")[2], abs=0.06)
    arms = [
        j
        for j, name in enumerate(JOINT_NAMES)
        if name.split(".")[0] in ("upper_arm", "forearm", "hand", "index2")
    ]
    assert np.abs(binding.rest[arms] - transforms[arms]).max() < 0.03  # the smallest rotation is not quite it
    legs = [INDEX[name] for name in ("thigh.L", "shin.R", "foot.L", "head", "spine2")]
    assert np.abs(binding.rest[legs] - np.eye(4)).max() < 1e-3


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-0.5, 0.5), min_size=24, max_size=24))
def test_limbs_land_on_their_bones_in_any_rest_pose(angles):
    rotations = np.zeros((len(JOINT_NAMES), 3), np.float32)
    bent = [f"{joint}.{side}" for side in "LR" for joint in ("upper_arm", "forearm", "thigh", "shin")]
    rotations[[INDEX[name] for name in bent]] = np.reshape(angles, (8, 3))
    rig, _ = posed_rig(rotations)
    binding = bind(TEMPLATE, rig, identity_map())
    for joint in LANDING:
        assert carried(binding, joint) == pytest.approx(rig.heads[rig.index(joint)], abs=1e-6)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_longer_limbs_are_stretched_along_the_bone_only(factor):
    heads = TEMPLATE.joint_heads.astype(np.float64)
    knee, ankle = INDEX["shin.L"], INDEX["foot.L"]
    shift = (heads[ankle] - heads[knee]) * (factor - 1)
    for name in ("foot.L", "toe.L"):
        heads[INDEX[name]] += shift
    rig = template_rig(heads=heads)
    binding = bind(TEMPLATE, rig, identity_map())
    assert carried(binding, "foot.L") == pytest.approx(heads[ankle], abs=1e-6)
    axis = (TEMPLATE.joint_heads[ankle] - TEMPLATE.joint_heads[knee]) / np.linalg.norm(
        TEMPLATE.joint_heads[ankle] - TEMPLATE.joint_heads[knee]
    )
    across = np.cross(axis, [0, 1, 0]) / np.linalg.norm(np.cross(axis, [0, 1, 0]))
    linear = binding.rest[knee][:3, :3]
    assert np.linalg.norm(linear @ axis) == pytest.approx(factor, rel=1e-6)
    assert np.linalg.norm(linear @ across) == pytest.approx(binding.scale, rel=1e-6)


def test_mpfbs_default_rig_has_the_templates_joints():
    """MakeHuman's rest pose against the same body's canonical joints: only rotations differ."""
    data = json.loads((Path(__file__).parent / "data" / "mpfb_rig.json").read_text())
    rig = Rig(data["names"], data["parents"], data["heads"], data["tails"])
    places = {name: np.array(data[name]) for name in ("joint_heads", "joint_tails")}
    body = dataclasses.replace(TEMPLATE, **places)
    bone_map = map_bones(rig)
    assert (bone_map.family, bone_map.missing, bone_map.warnings) == ("mpfb", (), [])
    assert [bone_map.bones[f"spine{i}"] for i in (1, 2, 3)] == ["spine04", "spine02", "spine01"]
    binding = bind(body, rig, bone_map)
    assert binding.scale == pytest.approx(1, abs=1e-4)
    linear = binding.rest[:, :3, :3]
    assert np.abs(linear @ linear.transpose(0, 2, 1) - np.eye(3)).max() < 1e-3
    for joint, bone in bone_map.bones.items():
        j = INDEX[joint]
        at = binding.rest[j, :3, :3] @ body.joint_heads[j] + binding.rest[j, :3, 3]
        # the root bone begins behind the body; the forearm is laid straight from elbow to wrist
        near = {"pelvis": 0.08, "forearm_twist.L": 0.002, "forearm_twist.R": 0.002}.get(joint, 1e-5)
        assert np.linalg.norm(at - rig.heads[rig.index(bone)]) < near, joint
    trunk = [INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck1", "neck2", "head")]
    assert np.abs(binding.rest[trunk] - np.eye(4)).max() < 1e-4


def test_bones_move_what_they_should():
    rig = template_rig()
    binding = bind(TEMPLATE, rig, identity_map())
    channels = at_rest(rig)
    pivot, turn = TEMPLATE.joint_heads[INDEX["forearm.L"]], Rotation.from_rotvec([0, 0, 1.2]).as_matrix()
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = turn, pivot - turn @ pivot
    under = [j for j, name in enumerate(JOINT_NAMES) if name == "forearm.L" or INDEX["forearm.L"] in chain(j)]
    channels[under] = moved
    posed = binding.transforms(channels)
    assert np.abs(posed[under] - moved).max() < 1e-5
    others = [j for j in range(len(JOINT_NAMES)) if j not in under]
    assert np.abs(posed[others] - np.eye(4)).max() < 1e-6


def chain(joint):
    found = []
    while (joint := TEMPLATE.joint_parents[joint]) >= 0:
        found.append(joint)
    return found


@pytest.mark.parametrize("angle", [-2.5, -0.8, 0.6, 2.0])
def test_a_twisting_hand_takes_half_of_it_along_the_forearm(angle):
    rig = template_rig(leave_out=("forearm_twist",))
    binding = bind(TEMPLATE, rig, map_bones(rig))
    hand, elbow = TEMPLATE.joint_heads[INDEX["hand.L"]], TEMPLATE.joint_heads[INDEX["forearm.L"]]
    axis = (hand - elbow) / np.linalg.norm(hand - elbow)
    channels = at_rest(rig)
    for name in rig.names:
        if name.endswith(".L") and name.startswith(("hand", "thumb", "index", "middle", "ring", "pinky")):
            turn = Rotation.from_rotvec(axis * angle).as_matrix()
            channels[rig.index(name), :3, :3], channels[rig.index(name), :3, 3] = turn, hand - turn @ hand
    posed = binding.transforms(channels)
    half = Rotation.from_matrix(posed[INDEX["forearm_twist.L"]][:3, :3]).as_rotvec()
    assert half == pytest.approx(axis * angle / 2, abs=1e-5)
    assert np.abs(posed[INDEX["forearm.L"]] - np.eye(4)).max() < 1e-6


def test_face_bones_turn_about_the_avatars_own_pivots():
    heads = TEMPLATE.joint_heads.astype(np.float64)
    heads[INDEX["jaw"]] += (0, -0.08, -0.05)  # riggers put it at the chin
    rig = template_rig(heads=heads)
    binding = bind(TEMPLATE, rig, identity_map())
    assert np.abs(binding.transforms(at_rest(rig)) - np.eye(4)).max() < 1e-6
    channels = at_rest(rig)
    turn, pivot = Rotation.from_rotvec([0.3, 0, 0]).as_matrix(), heads[INDEX["jaw"]]
    channels[INDEX["jaw"], :3, :3], channels[INDEX["jaw"], :3, 3] = turn, pivot - turn @ pivot
    jaw = binding.transforms(channels)[INDEX["jaw"]]
    hinge = TEMPLATE.joint_heads[INDEX["jaw"]]
    assert jaw[:3, :3] == pytest.approx(turn, abs=1e-6)
    assert jaw[:3, :3] @ hinge + jaw[:3, 3] == pytest.approx(hinge, abs=1e-6)


def test_a_rig_without_legs_binds_with_a_warning():
    rig = template_rig(leave_out=("thigh", "shin", "foot", "toe"))
    bone_map = map_bones(rig)
    assert "This armature has no legs; the avatar's legs stay in rest pose." in bone_map.warnings
    binding = bind(TEMPLATE, rig, bone_map)
    assert np.abs(binding.transforms(at_rest(rig)) - np.eye(4)).max() < 1e-6
    channels = at_rest(rig)
    channels[rig.index("pelvis"), 2, 3] = 1.0
    assert binding.transforms(channels)[INDEX["foot.L"], 2, 3] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "gone", [("index", "middle", "ring", "pinky", "thumb"), ("toe",), ("spine2", "spine3"), ("neck",)]
)
def test_rigs_with_fewer_bones_still_rest_on_the_canonical_pose(gone):
    rig = template_rig(leave_out=gone)
    binding = bind(TEMPLATE, rig, map_bones(rig))
    assert np.abs(binding.transforms(at_rest(rig)) - np.eye(4)).max() < 1e-6


def test_a_prop_is_refused_with_a_sentence():
    rig = Rig(["lid", "hinge", "handle"], [-1, 0, 1], np.eye(3), np.eye(3) * 2)
    with pytest.raises(UserError, match="no spine and no head"):
        map_bones(rig)


def test_a_rig_of_no_size_is_refused_with_a_sentence():
    rig = template_rig(lambda points: points * 0)
    with pytest.raises(UserError, match="how large it is"):
        bind(TEMPLATE, rig, identity_map())


def test_a_mirrored_rig_is_refused_until_its_sides_are_swapped():
    """Left bones on the right side of a person who looks ahead; names alone would turn the avatar round."""
    rig = template_rig(lambda points: points * (-1, 1, 1))
    with pytest.raises(UserError, match="mirrored: the bones of its left side are on its right"):
        bind(TEMPLATE, rig, identity_map())
    swapped = dict(zip(JOINT_NAMES, np.array(JOINT_NAMES)[mirror_joints()].tolist(), strict=True))
    binding = bind(TEMPLATE, rig, swapped)
    for joint in LANDING:
        assert carried(binding, joint) == pytest.approx(TEMPLATE.joint_heads[INDEX[joint]], abs=1e-3)


def test_an_empty_rig_is_refused_with_a_sentence():
    with pytest.raises(UserError):
        map_bones(Rig([], [], np.zeros((0, 3)), np.zeros((0, 3))))


def test_structure_finds_the_body_where_names_say_nothing():
    names = [f"Bone.{j:03d}" for j in range(len(JOINT_NAMES))]
    rig = template_rig(names=names)
    found = {joint: JOINT_NAMES[names.index(bone)] for joint, bone in match_structure(rig).items()}
    wrong = {joint: bone for joint, bone in found.items() if joint != bone}
    assert not wrong
    assert set(found) >= {"pelvis", "spine1", "head", *LANDING, "index1.L", "pinky3.R", "thumb2.L"}
    assert map_bones(rig).family == "structure"


def test_structure_knows_left_from_right_by_the_toes():
    names = [f"b{j}" for j in range(len(JOINT_NAMES))]
    turned = template_rig(lambda points: points * (-1, -1, 1), names=names)  # faces +Y
    found = match_structure(turned)
    assert found["upper_arm.L"] == names[INDEX["upper_arm.L"]]


def test_structure_works_with_y_up():
    names = [f"b{j}" for j in range(len(JOINT_NAMES))]
    rig = template_rig(lambda points: points[:, [0, 2, 1]] * (100, 100, -100), names=names)
    found = match_structure(rig)
    assert found["thigh.R"] == names[INDEX["thigh.R"]]
    assert found["head"] == names[INDEX["head"]]


def test_long_spines_are_spread_evenly():
    names = ["pelvis", *(f"spine_0{i}" for i in range(1, 6)), "neck_01", "head"]
    heads = np.array([[0, 0, 1 + 0.1 * i] for i in range(8)])
    found = map_bones(Rig(names, range(-1, 7), heads, heads + np.array([0, 0, 0.1])))
    assert [found.bones[f"spine{i}"] for i in (1, 2, 3)] == ["spine_01", "spine_03", "spine_05"]


# Bone maps as files


def test_bone_maps_survive_the_file(tmp_path):
    original = map_bones(template_rig())
    original.save(tmp_path / "rig.json")
    again = BoneMap.load(tmp_path / "rig.json")
    assert again.bones == original.bones
    assert again.family == original.family
    assert [path.name for path in tmp_path.iterdir()] == ["rig.json"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not valid JSON"),
        ("[1, 2]", "not a bone map"),
        ('{"format": "lca-bone-map"}', "which version"),
        ('{"format": "lca-bone-map", "version": -1, "bones": {}}', "which version"),
        ('{"format": "lca-bone-map", "version": true, "bones": {}}', "which version"),
        ('{"format": "lca-bone-map", "version": 99, "bones": {}}', "newer version"),
        ('{"format": "lca-bone-map", "version": 1, "bones": {"head": 3}}', "damaged"),
        (json.dumps({"format": "lca-bone-map", "version": 1, "bones": {"head": "H" * 999}}), "damaged"),
        ("[" * 100_000, "not valid JSON"),
        ("\x00\xff", "not valid JSON"),
    ],
)
def test_bad_map_files_are_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=sentence):
        BoneMap.load(path)


def test_unknown_joints_of_a_map_are_left_out_with_a_word(tmp_path):
    data = {"format": "lca-bone-map", "version": 1, "bones": {"head": "Head", "tail": "Tail"}}
    (tmp_path / "map.json").write_text(json.dumps(data))
    loaded = BoneMap.load(tmp_path / "map.json")
    assert loaded.bones == {"head": "Head"}
    assert "tail" in loaded.warnings[0]


def test_of_many_unknown_joints_a_few_are_named(tmp_path):
    bones = {f"\x1b[2J{n}": "Tail" for n in range(30_000)}
    data = {
        "format": "lca-bone-map",
        "version": 1,
        "family": ["x"] * 1000,
        "bones": {"head": "Head", **bones},
    }
    (tmp_path / "map.json").write_text(json.dumps(data))
    loaded = BoneMap.load(tmp_path / "map.json")
    assert (loaded.bones, loaded.family) == ({"head": "Head"}, "custom")
    (warning,) = loaded.warnings
    assert len(warning) < 300
    assert warning.isprintable()
    assert "and 29994 more" in warning


def test_a_map_for_another_rig_names_the_lost_bones():
    bones = identity_map() | {"hand.L": "Hand_of_another"}
    binding = bind(TEMPLATE, template_rig(), bones)
    assert "Hand_of_another" in binding.warnings[0]


# What a rig's size and hidden bones do to the pose features


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_pose_features_do_not_depend_on_the_rigs_unit(scale):
    rotations = t_pose()
    rotations[INDEX["shin.L"]] = (0.7, 0.1, -0.2)
    transforms = joint_transforms(TEMPLATE, rotations)
    scaled = transforms.copy()
    scaled[:, :3] *= scale
    assert pose_features(scaled) == pytest.approx(pose_features(transforms), abs=1e-4)


def test_a_bone_scaled_to_nothing_hides_its_part_and_breaks_nothing():
    rig = template_rig(leave_out=("forearm_twist",))
    binding = bind(TEMPLATE, rig, map_bones(rig))
    channels = at_rest(rig)
    for name in ("hand.L", "head", "jaw", "eye.L"):
        j = rig.index(name)
        channels[j] = 0
        channels[j, :3, 3], channels[j, 3, 3] = rig.heads[j], 1
    posed = binding.transforms(channels)
    assert np.isfinite(posed).all()
    assert np.abs(posed[INDEX["hand.L"]][:3, :3]).max() == 0
    assert np.isfinite(pose_features(posed)).all()
