# SPDX-License-Identifier: GPL-3.0-or-later
"""From a signal to splats, against the formulas written out in plain torch."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from avatar_fixtures import make_avatar, make_signal, rest_signal, scattered
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend import decoder, drive_cpu, workers
from lca_blender.backend.avatar import Avatar, Signal
from lca_blender.backend.body.expression import (
    apply_face_joints,
    arkit_from_code,
    expression_code,
    gaze_vectors,
)
from lca_blender.backend.body.pose import pose_features
from lca_blender.backend.body.skinning import skin
from lca_blender.backend.decoder import CHANGES, SLOPE
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.model.expression_codes import beyond_arkit
from scipy.spatial.transform import Rotation

SOURCE = Path(__file__).parents[2] / "kernels" / "drive.c"
FIELDS = ("means", "covariances", "opacities", "colors")


def plain_drive(avatar, signal):
    """The contract, line by line, in double precision."""
    code = expression_code(signal.expression) if signal.code is None else signal.code
    pose = pose_features(signal.transforms).flatten()
    features = torch.cat([pose, code, gaze_vectors(signal.gaze)]).double()
    d = {k: v.double() for k, v in avatar.decoder.items()}
    x = torch.nn.functional.leaky_relu(avatar.token_bias.double() + d["signal_weight"] @ features, SLOPE)
    for i in range(sum(name.startswith("hidden") for name in d) // 2):
        x = torch.nn.functional.leaky_relu(x @ d[f"hidden{i}_weight"].T + d[f"hidden{i}_bias"], SLOPE)
    deltas = (x @ d["last_weight"].T + d["last_bias"]).reshape(-1, CHANGES) * d["delta_scale"]
    basis = avatar.expression_basis.double()
    means = (
        avatar.means.double() + deltas[:, 3:6] + torch.einsum("e,enc->nc", signal.expression.double(), basis)
    )
    canonical = Gaussians.from_quats_scales(
        means,
        avatar.quats.double() + deltas[:, 6:10],
        avatar.scales.double() * deltas[:, 10:].exp(),
        avatar.opacities.double(),
        (avatar.colors.double() + deltas[:, :3]).clamp(0, 1),
    )
    weights = avatar.skin_weights.double()
    face = (signal.expression, signal.gaze, avatar.joint_heads, avatar.template_version)
    transforms = apply_face_joints(signal.transforms, *face).double()
    return skin(canonical, avatar.skin_indices, weights / weights.sum(1, keepdim=True), transforms)


def test_the_kernel_was_compiled_for_the_same_decoder():
    """The numbers that Python and C must share to lay out and read the same arrays."""
    text = SOURCE.read_text(encoding="utf-8")
    stated = {name: float(value) for name, value in re.findall(r"\b([A-Z]+) (?:= )?([0-9.]+)f?\b", text)}
    own = {"CHANGES": decoder.CHANGES, "SLOPE": decoder.SLOPE}
    own |= {name: getattr(drive_cpu, name) for name in ("TOKENS", "LANES", "ROWS")}
    assert {name: stated.get(name) for name in own} == own


@pytest.mark.parametrize(
    ("tokens", "per_token", "width", "hidden"),
    [(64, 4, 128, 2), (1, 1, 128, 0), (17, 3, 96, 1), (95, 8, 128, 2), (40, 32, 100, 4)],
)
def test_drive_follows_the_formulas(tokens, per_token, width, hidden):
    """Tokens that fill no block, layers of any number and width."""
    avatar, signal = make_avatar(tokens, per_token, width, width=width, hidden=hidden), make_signal(tokens)
    made, plain = avatar.drive(signal), plain_drive(avatar, signal)
    torch.testing.assert_close(made.means.double(), plain.means, atol=2e-5, rtol=0)
    scale = plain.covariances.abs().amax((1, 2), keepdim=True)
    assert ((made.covariances.double() - plain.covariances).abs() / scale).max() < 1e-3
    torch.testing.assert_close(made.colors.double(), plain.colors, atol=1e-4, rtol=0)
    assert all(getattr(made, name).dtype == torch.float32 for name in FIELDS)
    assert torch.equal(made.covariances, made.covariances.mT)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.booleans())
def test_an_expression_code_reaches_the_decoder_as_it_is(seed, size, strange):
    """Also where ARKit's sliders could not express it; jaw and template follow those that it expresses."""
    code = size * torch.randn(128, generator=torch.Generator().manual_seed(seed))
    if strange:
        code = beyond_arkit(code)
    pose = make_signal(seed % 7)
    signal = Signal.from_code(pose.transforms, code, pose.gaze)
    assert torch.equal(signal.features()[3 * 57 : 3 * 57 + 128], code)
    assert torch.equal(signal.expression, arkit_from_code(code).clamp(0, 1))
    avatar = make_avatar(20, 2)
    made, plain = avatar.drive(signal), plain_drive(avatar, signal)
    torch.testing.assert_close(made.means.double(), plain.means, atol=2e-5 * (1 + size), rtol=0)
    torch.testing.assert_close(made.colors.double(), plain.colors, atol=1e-4 * (1 + size), rtol=0)


def test_the_code_of_sliders_does_what_they_do():
    avatar, signal = make_avatar(), make_signal(3)
    by_sliders, code = avatar.drive(signal), expression_code(signal.expression)
    by_code = avatar.drive(Signal.from_code(signal.transforms, code, signal.gaze))
    torch.testing.assert_close(by_code.means, by_sliders.means, atol=1e-5, rtol=0)
    torch.testing.assert_close(by_code.colors, by_sliders.colors, atol=1e-5, rtol=0)


def test_what_sliders_cannot_express_moves_no_joint_and_shows():
    avatar, pose = make_avatar(), make_signal(3)
    code = expression_code(pose.expression)
    rest = beyond_arkit(torch.randn(128, generator=torch.Generator().manual_seed(0)))
    first, second = (Signal.from_code(pose.transforms, c, pose.gaze) for c in (code, code + rest))
    torch.testing.assert_close(first.expression, second.expression, atol=1e-5, rtol=0)
    assert (avatar.drive(first).colors - avatar.drive(second).colors).abs().max() > 0.01


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["rotation", "uniform scale", "scale", "mirror", "shear"]),
)
def test_a_world_matrix_moves_what_is_driven_without_it(seed, kind):
    """Means A m + t, covariances A S Aᵀ, for every kind of affine matrix [A t]."""
    random = np.random.default_rng(seed)
    scale = {
        "rotation": np.ones(3),
        "uniform scale": np.full(3, random.uniform(0.1, 2)),
        "mirror": np.array([-1, 1, 1]),
    }.get(kind, random.uniform(0.1, 2, 3))
    linear = Rotation.random(random_state=seed).as_matrix() * scale
    if kind == "shear":
        linear = linear @ [[1, random.uniform(-1, 1), 0], [0, 1, 0], [0, 0, 1]]
    world = np.eye(4, dtype=np.float32)
    world[:3, :3], world[:3, 3] = linear, random.uniform(-3, 3, 3)
    avatar, signal = make_avatar(), make_signal(2)
    plain, moved = avatar.drive(signal), avatar.drive(signal, torch.from_numpy(world))
    linear, offset = torch.from_numpy(world[:3, :3]).double(), torch.from_numpy(world[:3, 3]).double()
    means, covariances = (
        plain.means.double() @ linear.T + offset,
        linear @ plain.covariances.double() @ linear.T,
    )
    torch.testing.assert_close(moved.means.double(), means, atol=1e-5, rtol=0)
    largest = covariances.abs().amax((1, 2), keepdim=True)
    assert ((moved.covariances.double() - covariances).abs() / largest).max() < 1e-5
    assert torch.equal(moved.colors, plain.colors)
    assert torch.equal(moved.opacities, plain.opacities)


@pytest.mark.parametrize("threads", [1, 3])
def test_gaussians_in_any_order_move_as_in_their_tokens(threads):
    """Every Gaussian names its token and slot: the same values as where tokens own them in turn."""
    avatar, signal = make_avatar(95, 8), make_signal(4)
    rows, mixed = scattered(avatar)
    regular = avatar.drive(signal)
    workers.set_threads(threads)
    try:
        made = mixed.drive(signal)
    finally:
        workers.set_threads(None)
    for name in FIELDS:
        torch.testing.assert_close(getattr(made, name), getattr(regular, name)[rows], atol=1e-6, rtol=1e-5)


def test_at_rest_without_pose_detail_it_is_the_canonical_avatar():
    avatar = make_avatar(pose_detail=0.0)
    made = avatar.drive(rest_signal())
    torch.testing.assert_close(made.means, avatar.means, atol=1e-6, rtol=0)
    torch.testing.assert_close(made.colors, avatar.colors.float())
    rest = (
        avatar.means,
        avatar.quats.float(),
        avatar.scales.float(),
        avatar.opacities.float(),
        avatar.colors,
    )
    expected = Gaussians.from_quats_scales(*rest).covariances
    torch.testing.assert_close(made.covariances, expected, atol=1e-8, rtol=1e-4)


def test_opacity_never_changes():
    avatar = make_avatar()
    for seed in range(3):
        assert torch.equal(avatar.drive(make_signal(seed)).opacities, avatar.opacities.float())


def test_every_part_of_the_signal_matters():
    avatar, signal = make_avatar(512), make_signal(5)
    base = avatar.drive(signal)
    other = make_signal(6)
    for change in (
        Signal(other.transforms, signal.expression, signal.gaze),
        Signal(signal.transforms, other.expression, signal.gaze),
        Signal(signal.transforms, signal.expression, other.gaze),
    ):
        made = avatar.drive(change)
        assert not torch.equal(made.means, base.means)
        assert not torch.equal(made.colors, base.colors)


def test_expressions_move_the_face_and_nothing_else():
    avatar, signal = make_avatar(512, pose_detail=0.0), rest_signal()
    signal.expression[avatar_index("browInnerUp")] = 1.0
    moved = (avatar.drive(signal).means - avatar.means).norm(dim=1)
    head = avatar.joint_heads[avatar.joint_names.index("head"), 2]
    assert moved.max() > 1e-3
    assert (moved[avatar.means[:, 2] < head - 0.1] < 1e-6).all()


def avatar_index(name):
    from lca_blender.backend.body.arkit import ARKIT_INDEX

    return ARKIT_INDEX[name]


def test_equal_signals_give_equal_bits(tmp_path):
    """Again, loaded from a file, on another thread, on another number of threads, and after other signals."""
    avatar, signal = make_avatar(600, 5), make_signal(3)
    first = avatar.drive(signal)

    def same(gaussians):
        return all(torch.equal(getattr(first, name), getattr(gaussians, name)) for name in FIELDS)

    avatar.drive(make_signal(4))
    assert same(avatar.drive(signal))
    avatar.save(tmp_path / "a.lca")
    assert same(Avatar.load(tmp_path / "a.lca").drive(signal))
    results = []
    thread = threading.Thread(target=lambda: results.append(avatar.drive(signal)))
    thread.start()
    thread.join()
    assert same(results[0])
    torch_threads = torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            workers.set_threads(count)
            assert same(avatar.drive(signal))
    finally:
        torch.set_num_threads(torch_threads)
        workers.set_threads(None)


def test_results_belong_to_the_caller():
    avatar, signal = make_avatar(), rest_signal()
    first = avatar.drive(signal)
    kept = [getattr(first, name).clone() for name in FIELDS]
    for name in FIELDS:
        getattr(first, name).zero_()
    again = avatar.drive(signal)
    assert all(torch.equal(getattr(again, name), k) for name, k in zip(FIELDS, kept, strict=True))


def test_bad_signals_are_one_sentence():
    avatar, good = make_avatar(), rest_signal()
    cases = [
        ("transforms", good.transforms[:-1]),
        ("expression", torch.zeros(51)),
        ("gaze", torch.zeros(4)),
        ("expression", torch.full((52,), float("nan"))),
        ("transforms", good.transforms * float("inf")),
        ("code", torch.zeros(4, 32)),
        ("code", torch.full((128,), float("inf"))),
    ]
    for name, value in cases:
        with pytest.raises(ValueError, match=f"Signal {name}"):
            avatar.drive(Signal(**{**vars(good), name: value}))
    for matrix in (torch.eye(3), torch.full((4, 4), float("nan"))):
        with pytest.raises(ValueError, match="World matrix"):
            avatar.drive(good, matrix)


@pytest.mark.parametrize("expressive", [True, False])
def test_some_of_an_avatars_gaussians_stay_where_they_are(expressive, tmp_path):
    _, mixed = scattered(make_avatar())
    still = torch.ones(len(mixed), dtype=torch.bool)
    still[mixed.expression_rows.long()] = False
    some = torch.arange(len(mixed)) % 3 > 0
    for avatar in (make_avatar(), mixed):
        kept = some[: len(avatar)] if expressive else still[: len(avatar)]
        taken, signal = avatar.take(kept), make_signal(5)
        taken.save(tmp_path / "some.lca")
        whole, part = avatar.drive(signal), Avatar.load(tmp_path / "some.lca").drive(signal)
        for name in FIELDS:
            assert torch.equal(getattr(part, name), getattr(whole, name)[kept])
