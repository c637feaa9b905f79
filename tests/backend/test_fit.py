# SPDX-License-Identifier: GPL-3.0-or-later
"""The body fit: derivatives against differences, skinning against `body.skinning`, known bodies found."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.body.expression import apply_face_joints
from lca_blender.backend.body.pose import axis_angles, joint_transforms, rotation_matrices
from lca_blender.backend.body.skinning import skin_points
from lca_blender.backend.body.template import load_template
from lca_blender.backend.errors import UserError
from lca_blender.backend.imaging.fit import solve, terms
from lca_blender.backend.imaging.fit.face_ties import load_ties, visible_landmarks
from lca_blender.backend.imaging.fit.face_warp import face_warp
from lca_blender.backend.imaging.fit.model import EXPRESSIONS, BodyFit, fit_model
from lca_blender.backend.imaging.fit.photo_pose import PhotoPose
from lca_blender.backend.imaging.fit.pose_prior import load_prior
from lca_blender.backend.imaging.fit.solve import fit_bodies, fit_pose, follow
from lca_blender.backend.imaging.landmarks.pose import NAMES
from lca_blender.backend.likeness.photo import FittedPhoto
from lca_blender.backend.training.people.poses import random_pose
from sightings import known, observed, shape

JOINTS = load_prior().joints


def joint_error(found: BodyFit, truth: BodyFit) -> float:
    """Metres, mean over the free joints but the fingers', the pelvis on the pelvis."""
    a, b = found.joints(), truth.joints()
    return float(np.linalg.norm((a - a[0]) - (b - b[0]), axis=1)[JOINTS[:22]].mean())


def one(seen) -> BodyFit:
    return fit_bodies([seen])[0][1]


def smile(strength=0.8):
    values = np.zeros(EXPRESSIONS)
    values[[ARKIT_INDEX["mouthSmileLeft"], ARKIT_INDEX["mouthSmileRight"]]] = strength
    values[ARKIT_INDEX["jawOpen"]] = 0.5 * strength
    return values


def test_points_move_as_skinning_says():
    template = load_template()
    rotations = random_pose(np.random.default_rng(3)).rotations.astype(np.float32)
    matrices = joint_transforms(template, rotations, np.array([0.1, 0.2, 0.3], np.float32))
    local = np.asarray(rotation_matrices(rotations), np.float64)
    fit = BodyFit(local, np.array([0.1, 0.2, 0.3]), 1.0, (0, 0), np.zeros(len(template.shape_names)))
    outer = fit_model().outer
    tensors = (np.array(a[outer]) for a in (template.vertices, template.skin_indices, template.skin_weights))
    points, indices, weights = (torch.from_numpy(a) for a in tensors)
    expected = skin_points(points, indices, weights, torch.from_numpy(matrices)).numpy()
    assert np.abs(fit.vertices() - expected).max() < 1e-5


def test_expressions_move_the_skin_as_an_avatar_does():
    """Template displacement, then jaw and eyes by their joints, as `Avatar.drive` has it."""
    template, fit = load_template(), known(1)
    fit.expression, fit.gaze = smile(), np.array([[0.2, 0.1], [0.2, 0.1]])
    outer = fit_model().outer
    moved = template.vertices + np.tensordot(fit.expression, template.expression_deltas, (0, 0))
    rest = np.tile(np.eye(4, dtype=np.float32), (len(template.joint_names), 1, 1))
    turned = apply_face_joints(rest, fit.expression.astype(np.float32), fit.gaze.astype(np.float32))
    indices, weights = (torch.from_numpy(np.array(a)) for a in (template.skin_indices, template.skin_weights))
    turned = skin_points(
        torch.from_numpy(moved.astype(np.float32)), indices, weights, torch.from_numpy(turned)
    )
    plain = BodyFit(fit.local, fit.translation, fit.focal, fit.centre, fit.betas)
    model = fit_model()
    deltas = turned.numpy()[outer] - template.vertices[outer]
    skin = model.skin._replace(places=model.skin.places + deltas)
    expected = plain.posed(model.skin_points(np.arange(len(model.outer)))._replace(places=skin.places))
    assert np.abs(fit.vertices() - expected).max() < 1e-4


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_jacobian_is_the_limit_of_differences(seed):
    rng = np.random.default_rng(seed)
    fit = known(seed, rng.uniform(0, 360), rng.uniform(-2, 2, len(shape())))
    fit.expression, fit.gaze = rng.uniform(0.2, 0.8, EXPRESSIONS), rng.uniform(-0.3, 0.3, (2, 2))
    model = fit_model()
    for points in (
        model.skin_points(rng.integers(len(model.outer), size=12)),
        model.face.take(np.arange(0, 478, 40)),
    ):
        before, jacobian = fit.posed_with_jacobian(points)
        step = rng.normal(0, 2e-4, model.width)
        copy = BodyFit(
            fit.local.copy(), fit.translation, fit.focal, fit.centre, fit.betas, fit.expression, fit.gaze
        )
        solve._move(copy, step)
        moves = copy.posed(points) - before
        assert np.abs(moves).max() > 2e-5
        assert np.abs(moves - jacobian @ step).max() < 0.03 * np.abs(moves).max()


def test_inverse_left_jacobian():
    rng = np.random.default_rng(0)
    angles, turns = rng.normal(0, 0.8, (30, 3)), rng.normal(0, 1e-3, (30, 3))
    turned = np.asarray(rotation_matrices(torch.from_numpy(turns))) @ np.asarray(
        rotation_matrices(torch.from_numpy(angles))
    )
    expected = axis_angles(torch.from_numpy(turned)).numpy() - angles
    found = (terms.inverse_left_jacobian(angles) @ turns[..., None])[..., 0]
    assert np.abs(found - expected).max() < 3e-6


@pytest.mark.parametrize("yaw", [0.0, 90.0, 180.0, 250.0])
def test_a_known_body_is_found_again(yaw):
    errors = []
    for number in range(4):
        truth = known(number, yaw)
        fit = one(observed(truth, noise=0.5))
        errors.append(joint_error(fit, truth))
        turn = np.degrees(np.arccos(np.clip((np.trace(fit.local[0].T @ truth.local[0]) - 1) / 2, -1, 1)))
        assert turn < 30, (number, turn)
    assert np.median(errors) < 0.05, errors


def test_bodies_are_found_in_photos_that_show_half_of_them():
    """Cut at the waist: what is not in the photo is guessed, what is in it is not pulled off."""
    truth = known(0)
    seen = observed(truth)
    seen.matte[240:] = 0
    seen.pose.visibility[23:] = 0
    fit = one(seen)
    rows = [name for name in range(58) if truth.project(truth.joints())[name, 1] < 230]
    away = np.linalg.norm(fit.project(fit.joints()) - truth.project(truth.joints()), axis=1)[rows]
    assert np.median(away) < 5


def test_a_smile_is_an_expression_and_not_the_face():
    """The same face seen smiling and plain: the shape stays, the expression tells them apart."""
    face = np.array([name.startswith("face") for name in load_template().shape_names])
    betas = np.where(face, np.random.default_rng(1).normal(size=len(face)), 0.0)
    size = (960, 720)
    plain = known(2, betas=betas, size=size)
    smiling = known(2, betas=betas, expression=smile(), size=size)
    (_, a), (_, b) = fit_bodies([observed(plain, size=size), observed(smiling, size=size)])
    assert np.array_equal(a.betas, b.betas)
    smiles = [fit.expression[ARKIT_INDEX["mouthSmileLeft"]] for fit in (a, b)]
    jaws = [fit.expression[ARKIT_INDEX["jawOpen"]] for fit in (a, b)]
    assert smiles[1] > smiles[0] + 0.3
    assert jaws[1] > jaws[0] + 0.2
    assert np.corrcoef(a.betas[face], betas[face])[0, 1] > 0.4


def test_a_frame_is_followed_with_the_shape_held():
    """From a plain face to a smile, turned by 20 degrees, in a picture of twice the size."""
    size, betas = (640, 480), shape(tall=1.0)
    plain = one(observed(known(2, betas=betas, size=size), size=size))
    before = plain.expression.copy(), plain.local.copy()
    truth = known(2, 20.0, betas, smile(), (1280, 960))
    fit = follow(observed(truth, size=(1280, 960)), [one(observed(known(5, 180.0))), plain])
    assert np.array_equal(fit.betas, plain.betas)
    assert joint_error(fit, truth) < 0.05
    rise = fit.expression - plain.expression
    assert rise[ARKIT_INDEX["mouthSmileLeft"]] > 0.3
    assert rise[ARKIT_INDEX["jawOpen"]] > 0.15
    assert np.array_equal(plain.expression, before[0])
    assert np.array_equal(plain.local, before[1])


@pytest.mark.parametrize("yaw", [0.0, 180.0])
def test_a_further_photo_is_fitted_with_the_shape_held(yaw):
    betas = np.linspace(-1.5, 1.5, len(shape()))
    truth = known(3, yaw, betas)
    _, fit = fit_pose(observed(truth, noise=0.5), betas)
    assert np.array_equal(fit.betas, betas)
    assert joint_error(fit, truth) < 0.06
    assert joint_error(fit, truth) < joint_error(fit_pose(observed(truth, noise=0.5), -betas)[1], truth)


@pytest.mark.parametrize("others", [0, 2])
def test_a_given_pose_and_camera_are_kept(others):
    """Landmarks of the arms that are wrong, which a fit of its own believes; shape and face are still found,
    also from further photos."""
    size, betas = (960, 720), shape(body01=1.5, body02=1.0)
    truth = known(4, 20.0, betas, smile(), size)
    seen = observed(truth, size=size)
    order = np.arange(len(seen.pose.points))
    for name in ("elbow", "wrist"):
        pair = [NAMES.index(f"{side}_{name}") for side in ("left", "right")]
        order[pair] = pair[::-1]
    wrong = replace(seen.pose, points=seen.pose.points[order], world=seen.pose.world[order])
    seen = replace(seen, pose=wrong)
    more = [observed(known(number, 30.0 * number, betas)) for number in range(others)]
    pose = replace(PhotoPose.read(PhotoPose.of(truth).text()), betas=shape())
    _, fit = fit_bodies([seen, *more], [pose] + [None] * others)[0]
    assert joint_error(one(seen), truth) > 0.05
    assert np.abs(fit.local - truth.local).max() < 1e-5
    assert fit.focal == pytest.approx(truth.focal, rel=1e-5)
    assert fit.joints()[0] == pytest.approx(truth.joints()[0], abs=1e-5)
    assert joint_error(fit, truth) < 0.02
    first = [load_template().shape_names.index(name) for name in ("body01", "body02")]
    assert fit.betas[first] == pytest.approx(betas[first], abs=0.5)
    assert fit.expression[ARKIT_INDEX["mouthSmileLeft"]] > 0.3


def test_a_pose_is_read_off_an_avatar_of_any_size():
    fit = known(4, 20.0, shape(body01=1.5), smile())
    signal = FittedPhoto(observed(fit), fit, None).signal()
    larger = np.diag([100.0, 100, 100, 1]) @ signal.transforms.numpy()
    meant = PhotoPose.of(fit)
    read = PhotoPose.of_transforms(
        larger, load_template().joint_heads, meant.focal, fit.expression, fit.gaze, fit.betas
    )
    for name in ("rotations", "pelvis"):
        assert getattr(read, name) == pytest.approx(getattr(meant, name), abs=2e-4)


def test_a_pose_that_is_none_is_one_sentence():
    text = PhotoPose.of(known(4)).text()
    for damaged in ("", "[]", "null", text[:-9], text.replace("pelvis", "x"), text.replace(": ", ": [", 1),
                    re.sub('"focal": [0-9.]+', '"focal": NaN', text)):  # fmt: skip
        with pytest.raises(UserError, match="damaged"):
            PhotoPose.read(damaged)


def test_the_gaze_is_found():
    size = (960, 720)
    truth = known(2, size=size)
    truth.gaze = np.array([[0.3, -0.1], [0.3, -0.1]])
    fit = one(observed(truth, size=size))
    assert np.abs(fit.gaze - truth.gaze).max() < np.radians(8)


def test_photos_of_one_person_share_the_shape():
    betas = shape(body02=2.0)
    truths = [known(number, 40.0 * number, betas) for number in range(3)]
    fits = [fit for _, fit in fit_bodies([observed(truth) for truth in truths])]
    assert all(np.array_equal(fit.betas, fits[0].betas) for fit in fits)
    assert fits[0].betas[load_template().shape_names.index("body02")] > 1.0
    assert np.mean([joint_error(*pair) for pair in zip(fits, truths, strict=True)]) < 0.05


def test_left_and_right_legs_are_told_apart_again():
    """Landmarks with the legs exchanged, as networks give them in profile."""
    for number in (0, 3, 5):
        truth = known(number, 80)
        _, fit = fit_bodies([observed(truth).swapped("legs")])[0]
        assert joint_error(fit, truth) < 0.03


def test_a_back_taken_for_a_front_is_turned_round():
    errors = []
    for number in (0, 1, 4):
        truth = known(number, 180)
        _, fit = fit_bodies([observed(truth).swapped("body")])[0]
        errors.append(joint_error(fit, truth))
    assert np.median(errors) < 0.08, errors


def test_the_focal_length_stays_plausible():
    for number in range(3):
        fit = one(observed(known(number)))
        assert 0.8 < fit.focal / 480 < 3


def test_landmarks_lie_where_the_face_has_them():
    """Left and right, up and down, lips apart by the jaw."""
    template, ties = load_template(), load_ties()
    at = (template.vertices[template.faces[ties.triangle]] * ties.barycentric[..., None]).sum(1)
    assert at[263, 0] > 0.03 > -0.03 > at[33, 0]  # the left outer corner lies on the subject's left, +X
    assert at[152, 2] < at[13, 2] < at[1, 2] < at[10, 2]  # chin, lips, nose, forehead
    assert (at[:, 1] < template.head_centre[1]).all()
    model = fit_model()
    jaw = model.face.deltas[:, ARKIT_INDEX["jawOpen"], 2]
    assert abs(jaw[13]) < 0.005  # the upper lip stays
    assert jaw[14] < -0.02
    eyes = [template.joint_names.index(f"eye.{side}") for side in "RL"]
    irises = at[[468, 473]]
    assert np.abs(irises[:, [0, 2]] - template.joint_heads[eyes][:, [0, 2]]).max() < 0.008


def test_only_landmarks_that_look_at_the_camera_are_used():
    seen = observed(known(2, 50, size=(960, 720)), size=(960, 720))
    assert seen.face is not None
    rows = visible_landmarks(seen.face.points)
    sides = load_template().vertices[load_template().faces[load_ties().triangle[rows[rows < 468]], 0], 0]
    assert 150 < len(rows) < 440
    assert (sides > 0.02).sum() != (sides < -0.02).sum()


def test_the_warp_lands_landmarks_and_leaves_the_rest():
    size = (960, 720)
    truth = known(2, expression=smile(), size=size)
    seen = observed(truth, size=size)
    plain = known(2, size=size)
    warp = face_warp(plain, seen, to_photo=True)
    rows = np.setdiff1d(visible_landmarks(seen.face.points), np.arange(468, 478))
    at = plain.project(plain.posed(fit_model().face))[rows]
    before = np.linalg.norm(at - (seen.face.points[rows, :2] + 0.5), axis=1)
    after = np.linalg.norm(at + warp(at) - (seen.face.points[rows, :2] + 0.5), axis=1)
    assert before.max() > 4
    assert np.median(after) < 0.3 * np.median(before[before > 1])
    far = np.array([[5.0, 900.0], [700.0, 20.0]])
    assert np.abs(warp(far)).max() == 0


def test_no_photos_no_fits():
    assert fit_bodies([]) == []
