# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeHuman figures as shapes of the template, and avatars that take them over."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from avatar_fixtures import make_avatar, rest_signal
from figures import heavy_figure, lopsided_figure, mean_figure
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.figure import BODY, FILE, BodyShape, figure_shape, load_figure_reader
from lca_blender.backend.body.pose import joint_transforms
from lca_blender.backend.body.skeleton import INDEX, mirror_joints
from lca_blender.backend.body.skinning import skin_points
from lca_blender.backend.body.template import VERSION, load_template
from lca_blender.backend.errors import UserError
from lca_blender.backend.likeness.reshape import (
    in_template_pose,
    own_shape,
    reshaped,
    template_places,
    with_head_of,
)
from safetensors.numpy import load_file, save_file
from scipy.spatial.transform import Rotation


def person(*coefficients, count=0):
    """The template's body with the first coefficients of its shapes."""
    template = load_template()
    beta = np.zeros(len(template.shape_names), np.float32)
    beta[: len(coefficients)] = coefficients
    moved = [
        mean + np.tensordot(beta, deltas, 1)
        for mean, deltas in (
            (template.vertices, template.shape_deltas),
            (template.joint_heads, template.shape_joint_deltas),
            (template.joint_tails, template.shape_joint_deltas),
        )
    ]
    return BodyShape(*moved)


def moved_to(avatar, heads):
    """Means [N,3] of an avatar whose bones are given the lengths of another skeleton [J,3]."""
    matrices = joint_transforms(load_template(), torch.zeros(len(heads), 3), joint_heads=torch.tensor(heads))
    return skin_points(avatar.means, avatar.skin_indices, avatar.skin_weights.float(), matrices).numpy()


def width(points, low, high):
    """Metres from side to side of the trunk between two heights."""
    x = points[(points[:, 2] > low) & (points[:, 2] < high) & (np.abs(points[:, 0]) < 0.32), 0]
    return np.percentile(x, 99) - np.percentile(x, 1)


@pytest.fixture(scope="module")
def avatar():
    made = make_avatar(tokens=6000, per_token=2, pose_detail=0)
    header = {**made.header, "template": VERSION}
    return replace(made, means=made.means - made.offsets, offsets=torch.zeros(len(made), 3), header=header)


@pytest.fixture(scope="module")
def heavy(avatar):
    return reshaped(avatar, figure_shape(heavy_figure()), name="Otto")


def test_the_mean_figure_is_about_the_template():
    shape, template = figure_shape(mean_figure()), load_template()
    assert np.abs(shape.vertices[template.mirror] * (-1, 1, 1) - shape.vertices).max() < 2e-3
    assert np.linalg.norm(shape.vertices - template.vertices, axis=1).mean() < 0.02
    assert np.linalg.norm(shape.joint_heads - template.joint_heads, axis=1).max() < 0.04


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from((0.01, 0.1, 1, 10, 100)),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.tuples(*[st.floats(-3, 3)] * 3),
)
def test_unit_axes_and_place_of_a_figure_do_not_matter(unit, quarters, shift):
    turn = Rotation.from_euler("xyz", np.array(quarters) * np.pi / 2).as_matrix()
    known, other = figure_shape(heavy_figure()), figure_shape((heavy_figure() @ turn.T + shift) * unit)
    for one, two in zip(known, other, strict=True):
        away = two - one
        assert np.abs(away - away.mean(0)).max() < 1e-4
        assert np.abs(away[:, 2]).max() < 1e-4


@pytest.mark.parametrize(("figure", "millimetres"), [(mean_figure, 0.2), (heavy_figure, 15)])
def test_a_figure_without_helpers_is_nearly_the_same(figure, millimetres):
    whole, bare = figure_shape(figure()), figure_shape(figure()[:BODY])
    assert np.linalg.norm(whole.vertices - bare.vertices, axis=1).max() < 1e-3 * millimetres


def volume(shape):
    """Cubic metres inside a body's surface, below zero where that is inside out."""
    a, b, c = (shape.vertices[load_template().faces[:, k]].astype(np.float64) for k in range(3))
    return np.einsum("ni,ni->", a, np.cross(b, c)) / 6


@settings(max_examples=15, deadline=None)
@given(st.sampled_from((0.1, 1)), st.tuples(*[st.integers(0, 3)] * 3), st.booleans())
def test_a_mirrored_figure_is_the_person_in_the_mirror(unit, quarters, bare):
    """Its vertices keep their numbers: those of its left hand are on its right."""
    turn = Rotation.from_euler("xyz", np.array(quarters) * np.pi / 2).as_matrix()
    figure = lopsided_figure()[: BODY if bare else None]
    known, mirrored = figure_shape(figure), figure_shape((figure * (-1, 1, 1)) @ turn.T * unit)
    assert volume(mirrored) == pytest.approx(volume(known), rel=1e-3)
    rows = (load_template().mirror, mirror_joints(), mirror_joints())
    for one, two, at in zip(known, mirrored, rows, strict=True):
        away = two - one[at] * (-1, 1, 1)
        assert np.abs(away - away.mean(0)).max() < 1e-4
    left = load_template().vertices[:, 0] > 0
    depth = lambda shape, side: np.ptp(shape.vertices[side & waist(shape), 1])  # noqa: E731
    assert depth(known, left) > 1.1 * depth(known, ~left)
    assert depth(mirrored, ~left) > 1.1 * depth(mirrored, left)


def waist(shape):
    return (np.abs(shape.vertices[:, 2] - 1.08) < 0.05) & (np.abs(shape.vertices[:, 0]) < 0.3)


def test_a_symmetric_figure_is_the_same_in_the_mirror():
    plain, mirrored = figure_shape(mean_figure()), figure_shape(mean_figure() * (-1, 1, 1))
    for one, two in zip(plain, mirrored, strict=True):
        assert np.abs(two - one).max() < 2e-3


def test_other_meshes_are_refused_in_one_sentence():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="has 5,000 vertices, a MakeHuman body has"):
        figure_shape(mean_figure()[:5000])
    for other in (rng.permutation(mean_figure()), rng.normal(size=(BODY, 3)), np.zeros((BODY, 3))):
        with pytest.raises(UserError, match="does not have its shape"):
            figure_shape(other)
    with pytest.raises(UserError, match="does not have its shape"):
        figure_shape(np.full((BODY, 3), np.nan))


@pytest.mark.parametrize("coefficients", [(), (1.0, -1.0, 0.5)])
def test_an_avatar_in_its_own_shape_stays_as_it_is(avatar, coefficients):
    body = person(*coefficients)
    triangle, barycentric = template_places(avatar, load_template())
    corners = load_template().faces[triangle]
    beta = np.zeros(len(load_template().shape_names))
    beta[: len(coefficients)] = coefficients
    shift = ((in_template_pose(beta) - load_template().vertices)[corners] * barycentric[..., None]).sum(1)
    shift = torch.from_numpy(shift).float()
    own = replace(avatar, means=avatar.means + shift, offsets=avatar.offsets + shift)
    made = reshaped(own, body, keep_face=False)
    away = made.means.numpy() - moved_to(own, body.joint_heads)
    assert np.percentile(np.linalg.norm(away, axis=1), 99) < 1e-3
    assert made.joint_heads.numpy() == pytest.approx(body.joint_heads)


def test_the_trunk_becomes_wider_by_what_the_figure_is_wider(avatar, heavy):
    usual = reshaped(avatar, figure_shape(mean_figure()))
    figures = [figure_shape(figure()).vertices for figure in (mean_figure, heavy_figure)]
    low, high = 1.05, 1.11
    before, after = (width(points, low, high) for points in figures)
    wider = width(heavy.means.numpy(), low, high) - width(usual.means.numpy(), low, high)
    assert after - before > 0.08
    assert wider == pytest.approx(after - before, rel=0.1)
    shins = lambda a: a.means.numpy()[a.skin_indices[:, 0].numpy() == INDEX["shin.L"]]  # noqa: E731
    assert shins(heavy) == pytest.approx(shins(usual), abs=1e-3)


def test_clothes_keep_their_distance(avatar):
    template = load_template()
    triangle, _ = template_places(avatar, template)
    corners = template.vertices[template.faces[triangle]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = torch.from_numpy(normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)).float()
    dressed = replace(avatar, means=avatar.means + 0.03 * normal, offsets=avatar.offsets + 0.03 * normal)
    figure = figure_shape(heavy_figure())
    places = template_places(dressed, template)
    body = own_shape(dressed, dressed.means.numpy(), *places).vertices
    on = [
        (shape[template.faces[places[0]]] * places[1][..., None]).sum(1) for shape in (body, figure.vertices)
    ]
    made = reshaped(dressed, figure, keep_face=False)
    stood, stand = (
        np.linalg.norm(a.means.numpy() - at, axis=1) for a, at in zip((dressed, made), on, strict=True)
    )
    assert np.median(np.abs(stand - stood)) < 1e-3
    assert np.percentile(np.abs(stand - stood), 95) < 5e-3


def test_the_head_is_kept_in_the_size_of_the_figures():
    avatar = make_avatar(tokens=2000, header={"template": VERSION})  # whose decoder changes it at rest
    figure = figure_shape(mean_figure() * (0.8, 0.8, 0.7))
    made = reshaped(avatar, figure)
    of_head = avatar.skin_indices.numpy() == INDEX["head"]
    rows = (avatar.skin_weights.float().numpy() * of_head).sum(1) > 0.999
    eyes = [INDEX["eye.L"], INDEX["eye.R"]]
    reach = lambda heads: np.linalg.norm(heads[eyes].mean(0) - heads[INDEX["head"]])  # noqa: E731
    size = reach(figure.joint_heads) / reach(load_template().joint_heads)
    before, after = (one.drive(rest_signal()) for one in (avatar, made))
    spread = [
        (drawn.means[rows] - drawn.means[rows].mean(0)).norm(dim=1).numpy() for drawn in (before, after)
    ]
    assert spread[1] == pytest.approx(size * spread[0], abs=1e-3)
    scales = [torch.linalg.eigvalsh(drawn.covariances[rows]).sqrt().numpy() for drawn in (before, after)]
    assert np.abs(scales[1] / scales[0] / size - 1).mean() < 0.02
    assert reach(made.joint_heads.numpy()) == pytest.approx(reach(figure.joint_heads))
    assert with_head_of(person(), figure)[1] == pytest.approx(size)


def test_the_new_avatar_is_whole_and_says_what_it_was_made_of(avatar, heavy, tmp_path):
    heavy.save(tmp_path / "heavy.lca")
    read = Avatar.load(tmp_path / "heavy.lca")
    assert read.hash == heavy.hash != avatar.hash
    assert read.header["made_of"] == {"avatar": avatar.hash, "figure": "Otto", "own_face": True}
    assert read.header["warnings"] == avatar.header["warnings"]
    again = reshaped(read, person())
    assert torch.isfinite(again.drive(rest_signal()).covariances).all()


def test_an_avatar_of_another_body_is_refused(avatar):
    other = replace(avatar, header={**avatar.header, "template": 1})
    with pytest.raises(UserError, match="older body"):
        reshaped(other, person())


def changed(name, change):
    return lambda tensors: tensors.update({name: np.ascontiguousarray(change(tensors[name]))})


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors: tensors.pop("offsets"),
        lambda tensors: tensors.update(more=np.zeros(3, np.float32)),
        changed("mean", lambda m: m[:-1]),
        changed("mean", lambda m: m.astype(np.float64)),
        changed("mean", lambda m: m * 0),
        changed("mean", lambda m: np.where(m > 0.8, np.nan, m)),
        changed("mean", lambda m: m * 10),
        changed("offsets", lambda o: o[:, :2]),
        changed("offsets", lambda o: o[:-1]),
        changed("offsets", lambda o: o + 1),
        changed("offsets", lambda o: np.where(o > 0.005, np.inf, o)),
        changed("carriers_starts", lambda s: s[::-1]),
        changed("carriers_starts", lambda s: s + 1),
        changed("carriers_columns", lambda c: c + np.int16(10_000)),
        changed("learned_columns", lambda c: c - np.int16(10_000)),
        changed("learned_starts", lambda s: s[::2]),
        changed("carriers_shares", lambda s: s * 2),
        changed("carriers_shares", lambda s: np.where(s == 1, np.nan, s)),
        changed("learned_shares", lambda s: s + np.tile(np.float32([100, -100]), len(s) // 2)),
    ],
)
def test_a_damaged_file_of_the_figures_is_one_sentence(tmp_path, damage):
    tensors = load_file(FILE)
    damage(tensors)
    save_file(tensors, tmp_path / "figure.safetensors")
    with pytest.raises(UserError, match=r"^figure.safetensors (is damaged|cannot be used).*Install the ext"):
        load_figure_reader(tmp_path / "figure.safetensors")
