# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for the network whatever its weights are."""

import math

import numpy as np
import pytest
import torch
from lca_blender.backend.model.config import PAPER, PRESETS, ConfigError, ModelConfig, preset
from lca_blender.backend.model.create import infer
from lca_blender.backend.model.gaussian_maths import pose
from lca_blender.backend.model.lca import LCA, drive
from lca_blender.backend.model.tokens import AnchorSet, child_offsets, fourier
from lca_blender.backend.model.views import InputViews
from lca_blender.backend.quaternions import quaternion_to_matrix
from model_fixtures import TINY, fused_changes, photos, signals, sphere_anchors


@pytest.fixture
def model() -> LCA:
    """A network whose every weight matters: none is left at zero."""
    torch.manual_seed(0)
    net = LCA(TINY).eval()
    with torch.no_grad():
        for p in net.parameters():
            p += 0.05 * torch.randn_like(p)
    return net


@pytest.fixture
def anchors() -> AnchorSet:
    return sphere_anchors()


def sampled_colors(anchors: AnchorSet, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    colors = torch.rand(batch, len(anchors.skinning), 4, generator=generator)
    colors[..., 3] = torch.log(colors[..., 3] + 1e-4)
    return colors


def close(a, b, tolerance=2e-5):
    return torch.allclose(a, b, atol=tolerance)


@torch.no_grad()
def test_the_order_of_photos_does_not_matter(model, anchors):
    body, face = photos(body=3, face=2)
    a = model.encode(body, face, anchors)
    b = model.encode(body[:, [2, 0, 1]], face[:, [1, 0]], anchors)
    assert close(a.tokens, b.tokens)
    assert close(a.colors, b.colors)


@torch.no_grad()
@pytest.mark.parametrize(("body", "face"), [(1, 0), (1, 2), (5, 0), (4, 3)])
def test_any_number_of_photos(model, anchors, body, face):
    encoding = model.encode(*photos(body=body, face=face), anchors, sampled_colors(anchors))
    assert encoding.tokens.shape == (2, 24, TINY.width)
    assert torch.isfinite(encoding.tokens).all()
    assert encoding.colors.shape == (2, 96, 3)


def test_an_avatar_is_made_on_the_networks_device(anchors):
    """On torch's "meta" device, which refuses anything that was left in main memory."""
    body, face = (np.zeros((2, *size, 4), np.float32) for size in (TINY.body_size, TINY.face_size))
    views, sampled = InputViews(body=body, face=face), sampled_colors(anchors, batch=1)
    network = LCA(TINY.with_(pixel_values=False)).eval()  # its autocast does not know that device
    here, _ = infer(network, views, anchors, sampled)
    made, tokens = infer(network.to("meta"), views, anchors, sampled)
    for name, tensor in vars(made).items():
        assert tensor.device.type == "meta"
        assert tensor.shape == getattr(here, name).shape
    assert tokens.device.type == "meta"


@torch.no_grad()
def test_photos_matter(model, anchors):
    body, face = photos()
    other = model.encode(1 - body, face, anchors)
    assert not close(model.encode(body, face, anchors).tokens, other.tokens, 1e-2)


@torch.no_grad()
def test_geometry_tokens_are_a_set(model, anchors):
    """Reordering the anchors within face and body reorders the avatar and changes nothing else."""
    n = anchors.n_face
    order = torch.cat([torch.randperm(n), n + torch.randperm(anchors.count - n)])
    k = TINY.gaussians_per_token
    children = (order[:, None] * k + torch.arange(k)).flatten()
    moved = AnchorSet(
        positions=anchors.positions[order],
        frames=anchors.frames[order],
        spacing=anchors.spacing[order],
        n_face=n,
        children=anchors.children[order],
        skinning=anchors.skinning[children],
        expressions=anchors.expressions[:, children],
    )
    sampled = sampled_colors(anchors)
    a = model.canonical(model.encode(*photos(), anchors, sampled), anchors)
    b = model.canonical(model.encode(*photos(), moved, sampled[:, children]), moved)
    for name in ("means", "quats", "log_scales", "opacities", "colors"):
        assert close(getattr(a, name)[:, children], getattr(b, name)), name


@torch.no_grad()
def test_face_photos_touch_only_face_geometry_in_stage_one(model, anchors):
    layer, n = model.layers[0], anchors.n_face
    geometry = torch.randn(1, 24, TINY.width)
    body, face = torch.randn(1, 2, 4, TINY.width), torch.randn(1, 1, 2, TINY.width)
    g = torch.randn(1, TINY.global_width)
    layer.body_stage.forward = lambda geometry, image, g: (geometry, image)
    one, _, _ = layer(geometry, body, face, g, n, model.ropes)
    two, _, _ = layer(geometry, body, face * 3 + 1, g, n, model.ropes)
    assert close(one[:, n:], two[:, n:], 0)
    assert not close(one[:, :n], two[:, :n], 1e-3)


@torch.no_grad()
def test_an_untrained_avatar_lies_on_the_template(anchors):
    net = LCA(TINY).eval()
    encoding = net.encode(*photos(), anchors)
    gaussians = net.canonical(encoding, anchors)
    assert close(gaussians.means, anchors.children.flatten(0, 1).expand_as(gaussians.means), 1e-6)
    assert close(gaussians.opacities, torch.full_like(gaussians.opacities, TINY.opacity_init), 0.1)
    wanted = math.log(TINY.scale_init * float(anchors.spacing[0]) / 2)
    assert abs(float(gaussians.log_scales[..., 0].mean()) - wanted) < 0.2
    assert (
        abs(float((gaussians.log_scales[..., 2] - gaussians.log_scales[..., 0]).mean()) - math.log(0.5)) < 0.2
    )
    signal, _, _ = signals()
    assert float(net.deltas(encoding, signal).abs().max()) == 0


@torch.no_grad()
def test_thin_axis_points_along_the_surface_normal(anchors):
    net = LCA(TINY).eval()
    gaussians = net.canonical(net.encode(*photos(batch=1), anchors), anchors)
    axes = quaternion_to_matrix(gaussians.quats[0])[:, :, 2].unflatten(0, (-1, TINY.gaussians_per_token))
    assert float((axes * anchors.frames[:, None, :, 2]).sum(-1).mean()) > 0.9


@torch.no_grad()
def test_fused_decoder_is_the_pose_head(model, anchors):
    """The stored split of the first layer gives the same changes as the layer on the concatenation."""
    encoding = model.encode(*photos(batch=1), anchors)
    signal, _, _ = signals(batch=1, views=1)
    wanted = model.deltas(encoding, signal)[0, 0]
    d = model.pose_head.fused(encoding.tokens[0])
    out = fused_changes(d["token_bias"], d, signal[0, 0])
    assert close(out, wanted)
    assert torch.equal(d["delta_scale"], torch.tensor(TINY.delta_units))


@torch.no_grad()
def test_driving_at_rest_changes_nothing(model, anchors):
    gaussians = model.canonical(model.encode(*photos(), anchors), anchors)
    rest = torch.eye(3, 4).expand(2, 1, TINY.joints, 3, 4)
    posed = drive(gaussians, None, torch.zeros(2, 1, 52), rest, anchors)
    assert close(posed.means[:, 0], gaussians.means)
    moved = rest.clone()
    moved[..., 3] = torch.tensor([1.0, 2.0, 3.0])
    shifted = drive(gaussians, None, torch.zeros(2, 1, 52), moved, anchors)
    assert close(shifted.means - posed.means, torch.tensor([1.0, 2.0, 3.0]).expand_as(posed.means), 1e-4)
    assert close(shifted.covariances, posed.covariances)


@torch.no_grad()
def test_sampled_colours_win_where_photos_show_a_gaussian(model, anchors):
    sampled = torch.full((1, 96, 4), 0.25)
    sampled[..., 3] = math.log(3)
    sampled[:, :48, 3] = math.log(1e-4)
    colors = model.encode(*photos(batch=1), anchors, sampled).colors
    hidden = model.encode(*photos(batch=1), anchors).colors
    assert close(colors[:, 48:], torch.full((1, 48, 3), 0.25), 0.02)
    assert hidden.std() > 0
    assert not close(colors[:, :48], torch.full((1, 48, 3), 0.25), 0.05)


def test_presets_have_the_size_of_the_paper():
    with torch.device("meta"):
        paper = LCA(PAPER)
    trainable = sum(p.numel() for _, p in paper.trainable())
    assert 7.5e8 < trainable < 8.5e8
    assert PAPER.tokens * PAPER.gaussians_per_token == 65536
    assert PAPER.token_inputs == 51
    options = ("masked_photos", "pixel_values", "sampled_pixels", "density_input")
    assert not any(getattr(PAPER, option) for option in options)
    assert sum(p.numel() for p in paper.encoder.parameters()) > 1.1e9
    starter = LCA(preset("starter"))
    assert sum(p.numel() for p in starter.parameters()) < 12e6


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_config_survives_json(name):
    config = preset(name)
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "change",
    [{"heads": 5}, {"body_size": (100, 96)}, {"encoder": "vgg"}, {"pixel_heads": 7}, {"decoder_layers": 1}],
)
def test_impossible_configs_are_refused(change):
    with pytest.raises(ConfigError):
        TINY.with_(**change)
    with pytest.raises(ConfigError):
        ModelConfig.from_json({"width": 3})


def test_a_decoder_that_no_avatar_could_play_is_refused():
    """Older files state the slope of the leaky ReLU; playback has one."""
    stated = TINY.to_json()
    assert ModelConfig.from_json({**stated, "decoder_slope": 0.01}) == TINY
    with pytest.raises(ConfigError, match=r"slope 0\.2"):
        ModelConfig.from_json({**stated, "decoder_slope": 0.2})


def test_children_fill_their_cell():
    offsets = child_offsets(16, "sunflower")
    radius = np.linalg.norm(offsets, axis=-1)
    assert radius.max() < 1 / math.sqrt(math.pi)
    assert np.abs(offsets.mean(0)).max() < 0.05
    nearest = np.linalg.norm(offsets[:, None] - offsets[None] + np.eye(16)[..., None] * 9, axis=-1).min(1)
    assert nearest.min() > 0.6 / 4
    assert not child_offsets(16, "point").any()


def test_fourier_features_by_hand():
    x = torch.tensor([[0.25, 0.0, -0.5]])
    out = fourier(x, 8)
    assert out.shape == (1, 51)
    assert close(out[0, :3], x[0])
    assert abs(float(out[0, 3]) - math.sin(0.25 * math.pi)) < 1e-6  # x, band 0
    assert abs(float(out[0, 4]) - 1.0) < 1e-6  # sin(2 pi / 4)
    assert abs(float(out[0, 3 + 24 + 16]) - math.cos(-0.5 * math.pi)) < 1e-6  # z, band 0, cosine


def test_skinning_a_gaussian_by_hand():
    """A quarter turn about Z and a shift: the mean turns and moves, the long axis turns."""
    matrix = torch.tensor([[0.0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7]])
    means, cov = pose(
        torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 0, 0, 0]), torch.tensor([2.0, 1.0, 1.0]).log(), matrix
    )
    assert close(means, torch.tensor([5.0, 7, 7]))
    assert close(cov, torch.diag(torch.tensor([1.0, 4, 1])))
