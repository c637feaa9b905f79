# SPDX-License-Identifier: GPL-3.0-or-later
"""The body fit: derivatives against differences, skinning against `body.skinning`, known bodies found."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.pose import axis_angles, joint_transforms, rotation_matrices
from lca_blender.backend.body.skinning import skin_points
from lca_blender.backend.body.template import load_template
from lca_blender.backend.imaging import body_fit, fusing
from lca_blender.backend.imaging.body_fit import UPRIGHT, BodyFit, Evidence, body_model, fit_bodies
from lca_blender.backend.imaging.crops import Box
from lca_blender.backend.imaging.pose_prior import load_prior
from lca_blender.backend.people.mesh_raster import rasterize_mesh
from lca_blender.backend.people.poses import random_pose

HEIGHT, WIDTH = 320, 240
JOINTS = load_prior().joints


def known(number: int, yaw: float = 0.0, betas=None) -> BodyFit:
    """A body in a random pose, turned by `yaw` degrees, 3.2 m before a camera of 45 degrees."""
    rng = np.random.default_rng(number)
    rotations = random_pose(rng).rotations.astype(np.float64)
    local = np.asarray(rotation_matrices(rotations), np.float64)
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    local[0] = UPRIGHT @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ local[0]
    pelvis = load_template().joint_heads[0]
    betas = np.zeros(len(body_fit.SHAPES)) if betas is None else betas
    translation = np.array([0.05, -0.05, 3.2]) - pelvis
    return BodyFit(local, translation, 480.0, (WIDTH / 2, HEIGHT / 2), betas)


def seen(fit: BodyFit) -> tuple[np.ndarray, np.ndarray]:
    """The template map [H,W,3] of a body, and its mask."""
    model = body_model()
    buffer = rasterize_mesh(fit.vertices(), model.faces, np.eye(4), fit.K, WIDTH, HEIGHT)
    return buffer.interpolate(model.riders.places, model.faces), buffer.face >= 0


def observed(fit: BodyFit, noise: float = 0.0, mirrored: float = 0.0) -> Evidence:
    """400 pixels; `mirrored`: the share whose likelier candidate lies on the wrong half."""
    rng = np.random.default_rng(1)
    points, mask = seen(fit)
    rows, columns = np.nonzero(mask)
    chosen = rng.permutation(len(rows))[:400]
    rows, columns = rows[chosen], columns[chosen]
    right = points[rows, columns] + rng.normal(0, noise, (len(rows), 3))
    wrong = right * [-1, 1, 1]
    flipped = (rng.random(len(rows)) < mirrored)[:, None, None]
    both = np.where(flipped, np.stack([wrong, right], 1), np.stack([right, wrong], 1))
    cost = np.tile([0.2, 1.7], (len(rows), 1))
    outside, (left, top) = body_fit.outside_field(mask)
    pixels = np.stack([columns, rows], 1) + 0.5
    sigma = np.full(len(rows), 0.025)
    return Evidence(pixels, both, cost, sigma, outside, (-left, -top), (1, 1), (HEIGHT, WIDTH))


def joint_error(found: BodyFit, truth: BodyFit) -> float:
    a, b = found.joints(), truth.joints()
    return float(np.linalg.norm((a - a[0]) - (b - b[0]), axis=1)[JOINTS].mean())


def test_riders_move_as_skinning_says():
    template = load_template()
    rotations = random_pose(np.random.default_rng(3)).rotations.astype(np.float32)
    matrices = joint_transforms(template, rotations, np.array([0.1, 0.2, 0.3], np.float32))
    local = np.asarray(rotation_matrices(rotations), np.float64)
    fit = BodyFit(local, np.array([0.1, 0.2, 0.3]), 1.0, (0, 0), np.zeros(len(body_fit.SHAPES)))
    outer = template.part < 2
    tensors = (np.array(a[outer]) for a in (template.vertices, template.skin_indices, template.skin_weights))
    points, indices, weights = (torch.from_numpy(a) for a in tensors)
    expected = skin_points(points, indices, weights, torch.from_numpy(matrices)).numpy()
    assert np.abs(fit.vertices() - expected).max() < 1e-5


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_jacobian_is_the_limit_of_differences(seed):
    rng = np.random.default_rng(seed)
    fit = known(seed, rng.uniform(0, 360), rng.uniform(-2, 2, len(body_fit.SHAPES)))
    model = body_model()
    riders = model.riders.take(rng.integers(len(model.riders.places), size=20))
    points, jacobian = body_fit._with_jacobian(riders, body_fit._frames(fit))
    step = rng.normal(0, 2e-4, model.width)
    moved = BodyFit(fit.local.copy(), fit.translation, fit.focal, fit.centre, fit.betas)
    body_fit._move(moved, step)
    after = body_fit.posed_points(riders, body_fit._frames(moved))
    moves = after - points
    assert np.abs(moves).max() > 2e-5
    assert np.abs(moves - jacobian @ step).max() < 0.03 * np.abs(moves).max()


def test_inverse_left_jacobian():
    rng = np.random.default_rng(0)
    angles, turns = rng.normal(0, 0.8, (30, 3)), rng.normal(0, 1e-3, (30, 3))
    turned = np.asarray(rotation_matrices(torch.from_numpy(turns))) @ np.asarray(
        rotation_matrices(torch.from_numpy(angles))
    )
    expected = axis_angles(torch.from_numpy(turned)).numpy() - angles
    found = (body_fit._inverse_left_jacobian(angles) @ turns[..., None])[..., 0]
    assert np.abs(found - expected).max() < 3e-6


@pytest.mark.parametrize("yaw", [0.0, 90.0, 180.0, 250.0])
def test_a_known_body_is_found_again(yaw):
    errors = []
    for number in range(4):
        truth = known(number, yaw)
        fit = fit_bodies([observed(truth, 0.01)])[0]
        errors.append(joint_error(fit, truth))
        turn = np.degrees(np.arccos(np.clip((np.trace(fit.local[0].T @ truth.local[0]) - 1) / 2, -1, 1)))
        assert turn < 40, (number, turn)
    assert np.median(errors) < 0.07, errors  # from the side, the far limbs are guessed


def test_wrong_halves_are_seen_through():
    truth = known(1, 20)
    fit = fit_bodies([observed(truth, 0.01, mirrored=0.35)])[0]
    assert joint_error(fit, truth) < 0.06


def test_photos_of_one_person_share_the_shape():
    betas = np.zeros(len(body_fit.SHAPES))
    betas[body_fit.SHAPES.index("weight")] = 5.0
    truths = [known(number, 40.0 * number, betas) for number in range(3)]
    fits = fit_bodies([observed(truth) for truth in truths])
    assert all(np.array_equal(fit.betas, fits[0].betas) for fit in fits)
    assert fits[0].betas[body_fit.SHAPES.index("weight")] > 3.5
    assert np.mean([joint_error(*pair) for pair in zip(fits, truths, strict=True)]) < 0.06


def looking_at(truth: BodyFit, mirrored: np.ndarray) -> fusing.Look:
    """What a network says that is right but for the half of the body where `mirrored` [H,W]."""
    points, mask = seen(truth)
    points = points.astype(np.float32)
    other = points * np.array([-1, 1, 1], np.float32)
    candidates = np.stack([points, points, other, other], 2)
    likely = np.where(mirrored, 1.5, 0.3)[..., None]
    cost = np.concatenate([likely, likely, 1.8 - likely, 1.8 - likely], 2)
    said = np.where(mirrored[..., None], other, points)
    error = np.full(mask.shape, 0.03, np.float32)
    return fusing.Look(Box(0, 0, WIDTH, HEIGHT), mask.astype(np.float32), said, error, candidates, cost)


def test_fusing_sets_wrong_halves_right():
    truth = known(1, 10)
    points, mask = seen(truth)
    mirrored = mask.copy()
    mirrored[: HEIGHT // 2] = False  # the legs are on the wrong side
    look = looking_at(truth, mirrored)
    fit = fit_bodies([fusing.evidence([look], (HEIGHT, WIDTH))])[0]
    assert fusing.believed(fit, look)
    error = lambda a: np.linalg.norm(a.points - points, axis=-1)[mask]  # noqa: E731
    before, after = error(look), error(fusing.fuse(look, fit))
    assert (before > 0.1).mean() > 0.2
    assert (after > 0.1).mean() < 0.1 * (before > 0.1).mean()
    assert np.median(after) < 0.03


def test_a_fit_that_explains_nothing_is_not_believed():
    truth = known(2)
    look = looking_at(truth, np.zeros((HEIGHT, WIDTH), bool))
    rng = np.random.default_rng(0)
    random = rng.uniform([-0.8, -0.15, 0], [0.8, 0.15, 1.7], (HEIGHT, WIDTH, 1, 3)).astype(np.float32)
    look.candidates[...] = random
    fit = fit_bodies([fusing.evidence([look], (HEIGHT, WIDTH))])[0]
    assert not fusing.believed(fit, look)


def test_no_photos_no_fits():
    assert fit_bodies([]) == []
