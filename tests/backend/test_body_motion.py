# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses, skinning, faces and anchors of the built-in body."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.anchors import sample_anchors, surface_samples
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.body.expression import (
    apply_face_joints,
    arkit_from_code,
    expression_code,
    gaze_vectors,
)
from lca_blender.backend.body.pose import axis_angles, joint_transforms, pose_features, rotation_matrices
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.skinning import skin, skin_points
from lca_blender.backend.body.template import load_template
from lca_blender.backend.errors import UserError
from lca_blender.backend.raster.camera import look_at
from lca_blender.backend.raster.mesh_faces import rasterize_mesh

T = load_template()
REST = np.zeros((58, 3), np.float32)


def posed(rotations, vertices=None, arkit=None, gaze=None):
    transforms = joint_transforms(T, rotations)
    vertices = T.vertices if vertices is None else vertices
    if arkit is not None:
        vertices = vertices + np.einsum("e,enc->nc", arkit, T.expression_deltas)
        transforms = apply_face_joints(transforms, arkit, gaze)
    return skin_points(
        torch.tensor(vertices),
        torch.tensor(T.skin_indices),
        torch.tensor(T.skin_weights),
        torch.tensor(transforms),
    ).numpy()


def volume(vertices):
    a, b, c = (vertices[T.faces[:, i]] for i in range(3))
    return (a * np.cross(b, c)).sum() / 6


def both(name, vector):
    """Rotations that turn a left joint by `vector` and the right one by its mirror image."""
    r = REST.copy()
    r[INDEX[name + ".L"]] = vector
    r[INDEX[name + ".R"]] = np.array(vector) * (1, -1, -1)
    return r


def shapes(**values):
    out = np.zeros(52, np.float32)
    for name, value in values.items():
        out[ARKIT_INDEX[name]] = value
    return out


vectors = st.lists(st.floats(-1.75, 1.75, width=32), min_size=3, max_size=3)


@given(vectors)
def test_axis_angle_round_trip(vector):
    r = np.array(vector, np.float32)
    assert np.allclose(axis_angles(rotation_matrices(r)), r, atol=2e-4)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_pose_round_trip_also_through_another_skeleton(seed):
    rng = np.random.default_rng(seed)
    r = rng.normal(0, 0.5, (58, 3)).astype(np.float32)
    heads = T.joint_heads + np.einsum(
        "s,sjc->jc", rng.normal(size=len(T.shape_names)), T.shape_joint_deltas
    ).astype(np.float32)
    for kwargs in ({}, {"joint_heads": heads}, {"root_translation": [1.0, 2.0, 3.0]}):
        assert np.allclose(pose_features(joint_transforms(T, r, **kwargs)), r[1:], atol=2e-3)


def test_zero_pose_is_identity():
    assert np.allclose(joint_transforms(T, REST), np.eye(4), atol=1e-6)
    assert np.allclose(joint_transforms(T, REST, joint_heads=T.joint_heads), np.eye(4), atol=1e-5)


def test_a_persons_skeleton_carries_the_mean_there():
    heads = T.joint_heads + 1.5 * T.shape_joint_deltas[T.shape_names.index("body01")]
    transforms = joint_transforms(T, REST, joint_heads=heads)
    carried = np.einsum("jab,jb->ja", transforms[:, :3, :3], T.joint_heads) + transforms[:, :3, 3]
    assert np.allclose(carried, heads, atol=1e-5)
    knee, thigh = INDEX["shin.L"], INDEX["thigh.L"]
    by_thigh = transforms[thigh, :3, :3] @ T.joint_heads[knee] + transforms[thigh, :3, 3]
    assert np.allclose(by_thigh, heads[knee], atol=2e-3)
    own = dataclasses.replace(T, joint_heads=heads)
    assert np.allclose(joint_transforms(own, REST), np.eye(4), atol=1e-6)


def test_a_larger_person_is_as_much_thicker():
    """A photo does not tell a person's size: in the canonical space it makes no difference to the body."""
    transforms = joint_transforms(T, REST, joint_heads=1.2 * T.joint_heads)
    assert np.allclose(transforms[:, :3, :3], 1.2 * np.eye(3), atol=1e-5)
    assert np.allclose(transforms[:, :3, 3], 0, atol=1e-5)


def test_torch_in_torch_out_and_gradients():
    r = torch.zeros(58, 3, requires_grad=True)
    features = pose_features(joint_transforms(T, r))
    features[INDEX["forearm.L"] - 1].sum().backward()
    assert torch.isfinite(r.grad).all()
    assert torch.allclose(r.grad[INDEX["forearm.L"]], torch.ones(3), atol=1e-3)


def arm_axis():
    arm = T.joint_heads[INDEX["forearm.L"]] - T.joint_heads[INDEX["upper_arm.L"]]
    bend = np.cross(arm, [0, -1, 0])
    return bend / np.linalg.norm(bend)


@pytest.mark.parametrize(
    ("rotations", "low", "high"),
    [
        (both("forearm", arm_axis() * np.deg2rad(120)), 0.97, 1.02),
        (both("upper_arm", [0, np.deg2rad(-92), 0]), 0.95, 1.08),
        (both("thigh", [np.deg2rad(-90), 0, 0]) + both("shin", [np.deg2rad(90), 0, 0]), 0.88, 1.06),
    ],
    ids=["elbows", "arms up", "sitting"],
)
def test_bending_keeps_the_volume(rotations, low, high):
    v = posed(rotations)
    assert low < volume(v) / volume(T.vertices) < high


SITTING = both("thigh", [np.deg2rad(-90), 0, 0]) + both("shin", [np.deg2rad(90), 0, 0])
SQUAT = both("thigh", [np.deg2rad(-115), 0, 0]) + both("shin", [np.deg2rad(130), 0, 0])
ARMS_UP = both("upper_arm", [0, np.deg2rad(-110), 0]) + both("clavicle", [0, np.deg2rad(-20), 0])


@pytest.mark.parametrize(
    ("rotations", "most"),
    [(both("upper_arm", [0, -np.pi / 4, 0]), 1.5), (ARMS_UP, 2.0), (SITTING, 1.6), (SQUAT, 1.8)],
    ids=["T-pose", "arms up", "sitting", "squat"],
)
def test_hard_poses_do_not_tear_the_skin(rotations, most):
    v = posed(rotations)
    edges = T.faces[(T.part[T.faces] == 0).all(1)][:, [0, 1]]
    before, after = (np.linalg.norm(u[edges[:, 0]] - u[edges[:, 1]], axis=1) for u in (T.vertices, v))
    stretch = after / np.maximum(before, 5e-4)
    assert stretch.max() < most
    assert (stretch > 1.6).mean() < 0.01


def test_elbow_skin_is_not_torn():
    v = posed(both("forearm", arm_axis() * np.deg2rad(120)))
    edges = T.faces[:, [0, 1]]
    length = [np.linalg.norm(u[edges[:, 0]] - u[edges[:, 1]], axis=1) for u in (T.vertices, v)]
    near = np.linalg.norm(T.vertices[edges[:, 0]] - T.joint_heads[INDEX["forearm.L"]], axis=1) < 0.12
    stretch = length[1][near] / length[0][near]
    assert np.percentile(stretch, 99.5) < 1.6
    hand = v[T.skin_indices[:, 0] == INDEX["middle3.L"]].mean(0)
    shoulder = T.joint_heads[INDEX["upper_arm.L"]]
    assert np.linalg.norm(hand - shoulder) < 0.75 * np.linalg.norm(
        T.joint_tails[INDEX["middle3.L"]] - shoulder
    )


def eye_opening(vertices):
    """Area in cm^2 of the left eyeball seen straight from the front."""
    q = T.head_local(vertices)
    step = 0.04
    x, y = np.meshgrid(np.arange(1.5, 4.8, step), np.arange(-0.9, 0.9, step))
    rays = np.stack([x.ravel(), y.ravel()], 1)
    near = T.faces[(np.abs(q[T.faces].mean(1) - (3.14, 0, 8)) < (2.2, 1.6, 2)).all(1)]
    a, b, c = (q[near[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    away = rays[:, None] - a[None, :, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        v = (away[..., 0] * (c - a)[:, 1] - (c - a)[:, 0] * away[..., 1]) / area
        w = ((b - a)[:, 0] * away[..., 1] - away[..., 0] * (b - a)[:, 1]) / area
        depth = a[:, 2] + v * (b - a)[:, 2] + w * (c - a)[:, 2]
    depth[~((v >= 0) & (w >= 0) & (v + w <= 1))] = -np.inf
    first = depth.argmax(1)
    is_eye = (T.part[near[:, 0]] == 1)[first] & np.isfinite(depth.max(1))
    return is_eye.sum() * step**2


def test_lids_close_on_blinking():
    neutral = eye_opening(T.vertices)
    assert 1.2 < neutral < 3
    assert eye_opening(posed(REST, arkit=shapes(eyeBlinkLeft=1))) < 0.03 * neutral
    assert abs(eye_opening(posed(REST, arkit=shapes(eyeBlinkRight=1))) - neutral) < 0.01 * neutral
    assert eye_opening(posed(REST, arkit=shapes(eyeWideLeft=1))) > 1.1 * neutral
    assert 0.4 * neutral < eye_opening(posed(REST, arkit=shapes(eyeSquintLeft=1))) < 0.9 * neutral


def mouth_opening(arkit):
    """Height in cm of the widest gap between the lips seen from the front, within 1 cm of the middle."""
    q = T.head_local(posed(REST, arkit=arkit))
    lips = T.region("lips") > 0.3
    jaw = (T.skin_weights * (T.skin_indices == INDEX["jaw"])).sum(1) > 0.5
    near = lips & (np.abs(q[:, 0]) < 1.2)
    gaps = []
    for x in np.linspace(-1, 1, 9):
        upper, lower = (near & side & (np.abs(q[:, 0] - x) < 0.35) for side in (~jaw, jaw))
        gaps.append(q[upper, 1].min() - q[lower, 1].max())
    return max(gaps)


def test_mouth_opens_and_closes():
    assert mouth_opening(shapes()) < 0.05
    assert 2.5 < mouth_opening(shapes(jawOpen=1)) < 4.5
    assert mouth_opening(shapes(jawOpen=1, mouthClose=1)) < 0.1
    assert mouth_opening(shapes(mouthUpperUpLeft=1, mouthUpperUpRight=1)) > 0.25
    assert mouth_opening(shapes(mouthLowerDownLeft=1, mouthLowerDownRight=1)) > 0.25


def seen_parts(arkit, half_width, low, high):
    """The share of every part of the body in what is seen from the front in a box, head-local cm."""
    v = posed(REST, arkit=arkit)
    eye = T.joint_heads[INDEX["eye.L"]]
    centre = np.array([0, eye[1], eye[2] + (low + high) / 200 * T.head_scale])
    viewmat = look_at(centre - np.array([0, 1.0, 0]), centre, (0, 0, 1))
    height = (high - low) / 100 * T.head_scale
    focal = 200 / height
    K = np.array([[focal, 0, 100], [0, focal, 100], [0, 0, 1.0]])
    face = rasterize_mesh(v, T.faces, viewmat, K, 200, 200).face
    columns = np.abs(np.arange(200) - 99.5) < half_width / 100 * T.head_scale * focal
    face = face[:, columns]
    parts = T.part[T.faces[face[face >= 0]]].max(1)
    return {part: (parts == part).mean() for part in range(4)}


def test_closed_lips_hide_the_mouth_and_people_of_other_shapes_too():
    assert seen_parts(shapes(), 2.2, -8.5, -6.5)[0] == 1
    rng = np.random.default_rng(3)
    for _ in range(4):
        beta = rng.normal(0, 1, len(T.shape_names))
        q = T.head_local(T.vertices + np.tensordot(beta, T.shape_deltas, 1))
        rest = T.head_local(T.vertices)
        lips = (T.region("lips") > 0.3) & (np.abs(rest[:, 0]) < 1.5)
        jaw = (T.skin_weights * (T.skin_indices == INDEX["jaw"])).sum(1) > 0.5
        upper, lower = (np.flatnonzero(lips & side) for side in (~jaw, jaw))
        for x in (-1, 0, 1):
            above, below = (rows[np.abs(rest[rows, 0] - x) < 0.35] for rows in (upper, lower))
            assert q[above, 1].min() - q[below, 1].max() < 0.12


def test_the_tongue_comes_out_between_the_lips():
    tongue = (T.part == 3) & (np.linalg.norm(T.expression_deltas[ARKIT_INDEX["tongueOut"]], axis=1) > 0.03)
    lips = T.region("lips") > 0.5
    assert tongue.sum() > 10
    moved = posed(REST, arkit=shapes(tongueOut=1, jawOpen=0.4))
    assert moved[tongue, 1].min() < moved[lips, 1].min() - 0.006
    assert seen_parts(shapes(tongueOut=1, jawOpen=0.4), 2, -10, -6.5)[3] > 0.1


def test_the_corner_of_the_open_mouth_does_not_tear():
    """Edges of the skin about the corners: none is longer than a lip is high."""
    moved = posed(REST, arkit=shapes(jawOpen=1))
    faces = T.faces[(T.part[T.faces] == 0).all(1)]
    corner = np.abs(T.vertices[T.region("lips") > 0.5][:, 0]).max()
    at = T.vertices[np.flatnonzero((T.region("lips") > 0.5) & (T.vertices[:, 0] > corner - 1e-3))].mean(0)
    near = faces[np.linalg.norm(T.vertices[faces].mean(1) - at, axis=1) < 0.008]
    length = np.linalg.norm(moved[near] - moved[np.roll(near, 1, axis=1)], axis=2)
    assert len(near) > 20
    assert length.max() < 0.012


def test_jaw_slides_sideways_and_forward():
    chin = np.argmin(np.linalg.norm(T.head_local(T.vertices) - (0, -10.5, 10.2), axis=1))
    for name, axis, sign in (("jawLeft", 0, 1), ("jawRight", 0, -1), ("jawForward", 1, -1)):
        move = posed(REST, arkit=shapes(**{name: 1.0}))[chin] - T.vertices[chin]
        assert 0.002 < sign * move[axis] < 0.02, name


def test_eyes_turn_to_the_gaze():
    gaze = np.array([[0.3, 0.2], [-0.2, 0.1]], np.float32)
    moved = posed(REST, arkit=shapes(), gaze=gaze)
    unit = gaze_vectors(gaze).reshape(2, 3)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    for i, name in enumerate(("eye.L", "eye.R")):
        ball = T.skin_indices[:, 0] == INDEX[name]
        ball &= T.part == 1
        pupil = np.flatnonzero(ball)[np.argmin(T.vertices[ball][:, 1])]
        direction = moved[pupil] - T.joint_heads[INDEX[name]]
        assert np.allclose(direction / np.linalg.norm(direction), unit[i], atol=2e-2)
    assert np.allclose(gaze_vectors(np.zeros((2, 2), np.float32)), [0, -1, 0, 0, -1, 0], atol=1e-7)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1, width=32), min_size=52, max_size=52))
def test_expression_code_round_trip(values):
    arkit = np.array(values, np.float32)
    code = expression_code(arkit)
    assert code.shape == (128,)
    assert np.allclose(arkit_from_code(code), arkit, atol=1e-5)
    assert np.isclose(np.linalg.norm(code), np.linalg.norm(arkit), atol=1e-4)


def test_expressions_stay_in_the_face_and_are_different():
    moved = np.linalg.norm(T.expression_deltas, axis=2)
    assert (moved.max(1) > 3e-4).all()
    far = T.head_local(T.vertices)[:, 1] < -16.5
    assert moved[:, far].max() == 0
    behind = T.head_local(T.vertices)[:, 2] < -3
    assert moved[:, behind].max() < 0.002
    flat = T.expression_deltas.reshape(52, -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    assert (flat @ flat.T)[~np.eye(52, dtype=bool)].max() < 0.999  # looking in and out are opposites


def test_skin_turns_covariances():
    @dataclasses.dataclass
    class Cloud:
        means: torch.Tensor
        covariances: torch.Tensor

    r = both("forearm", [0.3, -0.8, 0.5])
    transforms = torch.tensor(joint_transforms(T, r))
    hand = INDEX["hand.L"]
    means = torch.tensor(T.joint_heads[hand : hand + 1], requires_grad=True)
    covariance = torch.diag(torch.tensor([1e-4, 4e-4, 9e-4]))[None].requires_grad_()
    out = skin(Cloud(means, covariance), torch.tensor([[hand, 0]]), torch.tensor([[1.0, 0.0]]), transforms)
    a = transforms[hand, :3, :3]
    assert torch.allclose(out.covariances[0], a @ covariance[0] @ a.T, atol=1e-8)
    assert torch.allclose(
        torch.linalg.eigvalsh(out.covariances[0]), torch.tensor([1e-4, 4e-4, 9e-4]), atol=1e-7
    )
    (out.means.sum() + out.covariances.sum()).backward()
    assert means.grad.abs().sum() > 0
    assert covariance.grad.abs().sum() > 0


@pytest.mark.parametrize("count", [256, 2048, 8192])
def test_anchors_are_well_spread(count):
    anchors = sample_anchors(count)
    assert len(anchors) == count
    assert anchors.is_face.sum() == count // 2
    for side in (anchors.is_face, ~anchors.is_face):
        spacing = anchors.spacing[side]
        assert spacing.min() > 0.35 * np.median(spacing)
    assert np.allclose(anchors.skin_weights.sum(1), 1, atol=1e-5)
    assert np.allclose(np.linalg.det(anchors.frames), 1, atol=1e-4)
    assert anchors.expression_deltas.shape == (52, count, 3)


def test_anchor_sets_are_prefixes():
    small, large = sample_anchors(512), sample_anchors(4096)
    assert np.array_equal(small.positions[small.is_face], large.positions[large.is_face][:256])
    assert np.array_equal(small.positions[~small.is_face], large.positions[~large.is_face][:256])
    with pytest.raises(UserError, match="anchors were asked for"):
        sample_anchors(10**6)


def test_surface_samples_find_the_surface_again():
    anchors = sample_anchors(512)
    lifted = anchors.positions + 0.002 * anchors.frames[:, :, 2]
    found = surface_samples(lifted)
    assert np.percentile(np.linalg.norm(found.positions - anchors.positions, axis=1), 95) < 1e-3
    assert (np.linalg.norm(found.positions - lifted, axis=1) < 0.00201).all()
    exact = surface_samples(T.vertices[T.part == 0][::997])
    assert np.abs(exact.positions - T.vertices[T.part == 0][::997]).max() < 1e-5
