# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints, the Sapiens encoder's files, and matching pixels to the template."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.checkpoint import CheckpointError, load_model, save_model
from lca_blender.backend.model.config import ModelConfig
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.model.matching import SiteColors, combine, match_pixels, pixel_size, site_colors
from lca_blender.backend.model.sapiens import SapiensEncoder
from lca_blender.backend.model.views import InputViews, PixelSource, masked
from model_fixtures import TINY, photos, sphere_anchors


def test_a_checkpoint_gives_the_same_network(tmp_path):
    torch.manual_seed(0)
    model = LCA(TINY).eval()
    save_model(tmp_path / "m.safetensors", model, steps=7)
    again = load_model(tmp_path / "m.safetensors")
    assert again.config == TINY
    assert again.notes == {"steps": 7}
    anchors = sphere_anchors()
    with torch.no_grad():
        a, b = (m.encode(*photos(), anchors).tokens for m in (model, again))
    assert torch.allclose(a, b, atol=5e-3)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_shipped_network_loads_without_torchs_compiler():
    """Importing it takes a second."""
    code = (
        "import sys; from lca_blender.backend.model.checkpoint import load_model; load_model('starter');"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_model(path, LCA(TINY))
    return path.read_bytes()


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_cut_checkpoint_is_one_sentence(checkpoint, share, tmp_path_factory):
    path = tmp_path_factory.mktemp("cut") / "m.safetensors"
    path.write_bytes(checkpoint[: int(len(checkpoint) * share)])
    with pytest.raises(UserError):
        load_model(path)


def rewritten(data: bytes, change) -> bytes:
    """A safetensors file with its JSON header changed."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    inner = json.loads(header["__metadata__"]["header"])
    change(header, inner)
    header["__metadata__"]["header"] = json.dumps(inner)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def _newer(header, inner):
    inner["lca_model"] = 99


def _other_width(header, inner):
    inner["config"]["width"] = 64


def _no_config(header, inner):
    del inner["config"]


def _renamed(header, inner):
    header["intruder"] = header.pop("norm.weight")


@pytest.mark.parametrize("change", [_newer, _other_width, _no_config, _renamed])
def test_wrong_checkpoints_are_one_sentence(checkpoint, change, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(rewritten(checkpoint, change))
    with pytest.raises(UserError):
        load_model(path)


IMPOSSIBLE = [
    {"width": "192"},
    {"width": 3 << 20},
    {"heads": 0},
    {"layers": 10**7},
    {"layers": 1.5},
    {"gaussians_per_token": -1},
    {"gaussians_per_token": 257},
    {"patch": 0},
    {"encoder_heads": 0},
    {"encoder_layers": 10**6},
    {"decoder_layers": 10**6},
    {"register_tokens": 1 << 40},
    {"body_size": "ab"},
    {"body_size": [32]},
    {"face_size": [1 << 20, 1 << 20]},
    {"training_tokens": [24, 12]},
    {"rope_base": float("nan")},
    {"mlp_ratio": 1e300},
    {"opacity_init": 1},
    {"activation": ["silu"]},
    {"masked_photos": 1},
    {"name": {}},
    {"name": "x" * 1000},
]


@pytest.mark.parametrize("changes", IMPOSSIBLE, ids=str)
def test_impossible_numbers_of_a_network_are_one_sentence(checkpoint, changes, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(rewritten(checkpoint, lambda _, inner: inner["config"].update(changes)))
    with pytest.raises(UserError, match=next(iter(changes))):
        load_model(path)


@pytest.mark.parametrize(
    "odd", [[], "x", 3, None, {"lca_model": True}, {"lca_model": 1, "config": []}], ids=str
)
def test_a_header_that_is_no_models_is_one_sentence(checkpoint, odd, tmp_path):
    from safetensors.torch import load, save

    path = tmp_path / "m.safetensors"
    path.write_bytes(save(load(checkpoint), {"header": json.dumps(odd)}))
    with pytest.raises(UserError):
        load_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 8192, "heads": 64, "layers": 64},
        {"encoder_width": 8192, "encoder_layers": 64, "encoder_heads": 64},
        {"encoder": "sapiens", "encoder_width": 8192, "encoder_layers": 64, "encoder_heads": 64},
        {"encoder": "sapiens2", "encoder_width": 8192, "encoder_layers": 64, "encoder_heads": 64},
        {"decoder_width": 4096, "decoder_layers": 10, "gaussians_per_token": 256},
    ],
)
def test_a_small_file_builds_no_large_network(checkpoint, changes, tmp_path):
    """Its tensors are those of a small one; so is a photo encoder's checkpoint that comes with it."""
    resource = pytest.importorskip("resource")  # not on Windows
    path, encoder = tmp_path / "m.safetensors", tmp_path / "encoder.safetensors"
    path.write_bytes(rewritten(checkpoint, lambda _, inner: inner["config"].update(changes)))
    encoder.write_bytes(checkpoint)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError):
        load_model(path, encoder)
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    )  # kilobytes; the network has gigabytes


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(TINY.to_json())), value=JUNK)
def test_no_value_of_a_configuration_is_more_than_a_sentence(name, value):
    try:
        config = ModelConfig.from_json({**TINY.to_json(), name: value})
        with torch.device("meta"):
            LCA(config)
    except UserError:
        return


def test_the_bundled_network_loads():
    assert load_model("starter").config.width == 192


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    model = LCA(TINY)
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    with pytest.raises(CheckpointError):
        save_model(tmp_path / "m.safetensors", model)
    assert not list(tmp_path.iterdir())


def sapiens_state(width=32, layers=2, grid=(4, 4), prefix="backbone.", cls=True):
    """A checkpoint with the published names and random values."""
    g = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.randn(shape, generator=g) * 0.1  # noqa: E731
    state = {
        "pos_embed": rand(1, grid[0] * grid[1] + int(cls), width),
        "patch_embed.projection.weight": rand(width, 3, 16, 16),
        "patch_embed.projection.bias": rand(width),
        "ln1.weight": rand(width),
        "ln1.bias": rand(width),
    }
    for i in range(layers):
        for name, shape in {
            "ln1.weight": (width,), "ln1.bias": (width,), "ln2.weight": (width,), "ln2.bias": (width,),
            "attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
            "ffn.layers.0.0.weight": (4 * width, width), "ffn.layers.0.0.bias": (4 * width,),
            "ffn.layers.1.weight": (width, 4 * width), "ffn.layers.1.bias": (width,),
        }.items():  # fmt: skip
            state[f"layers.{i}.{name}"] = rand(*shape)
    return {prefix + k: v for k, v in state.items()}


@pytest.mark.parametrize("grid", [(4, 4), (4, 3)])
def test_sapiens_checkpoint_of_either_kind_loads(tmp_path, grid):
    path = tmp_path / "sapiens.pth"
    torch.save({"state_dict": sapiens_state(grid=grid)}, path)
    encoder = SapiensEncoder(32, 2, 2)
    with pytest.raises(UserError, match="no weights"):
        encoder(torch.rand(1, 1, 3, 64, 48))
    encoder.load(path)
    out = encoder(torch.rand(2, 3, 3, 64, 48))
    assert out.shape == (2, 3, 4, 3, 32)
    assert torch.isfinite(out).all()
    assert not any(p.requires_grad for p in encoder.parameters())


def test_sapiens_is_a_pre_norm_transformer(tmp_path):
    """The same weights in torch's own encoder layers give the same features, up to bfloat16."""
    state = sapiens_state(prefix="", cls=False)
    path = tmp_path / "sapiens.pth"
    torch.save(state, path)
    encoder = SapiensEncoder(32, 2, 2)
    encoder.load(path)
    images = torch.rand(1, 2, 3, 64, 64)
    out = encoder(images).float().flatten(2, 3)[0]
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    x = (images[0] * 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    weight, bias = state["patch_embed.projection.weight"], state["patch_embed.projection.bias"]
    x = torch.nn.functional.conv2d(x, weight, bias, 16, padding=2).flatten(2).mT + state["pos_embed"]
    for i in range(2):
        layer = torch.nn.TransformerEncoderLayer(
            32, 2, 128, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
        ).eval()
        names = {
            "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.",
            "linear1.": "ffn.layers.0.0.", "linear2.": "ffn.layers.1.", "norm1.": "ln1.", "norm2.": "ln2.",
        }  # fmt: skip
        parts = {a + k: state[f"layers.{i}.{b}{k}"] for a, b in names.items() for k in ("weight", "bias")}
        layer.load_state_dict(parts)
        x = layer(x)
    x = torch.nn.functional.layer_norm(x, (32,), state["ln1.weight"], state["ln1.bias"], 1e-6)
    assert (out - x).abs().max() < 0.02
    assert x.std() > 0.05


def test_a_file_that_is_no_sapiens_is_one_sentence(tmp_path):
    encoder = SapiensEncoder(32, 2, 2)
    path = tmp_path / "x.pth"
    torch.save(sapiens_state(width=16), path)
    with pytest.raises(UserError, match="no Sapiens"):
        encoder.load(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError):
        encoder.load(path)
    with pytest.raises(UserError, match="no file"):
        encoder.load(tmp_path / "missing.pth")


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError):
        SapiensEncoder(32, 2, 2).load(path)
    assert not (tmp_path / "ran").exists()


def plane_photo(height=20, width=30, step=0.01, color=(0.2, 0.4, 0.6)) -> PixelSource:
    """A plane: pixel (row, column) shows the point (column, 0, row) step; the left half is empty."""
    row, column = np.mgrid[:height, :width]
    points = np.stack([column * step, 0 * row, row * step], -1).astype(np.float32)
    matte = (column >= width // 2).astype(np.float32)
    points[matte == 0] = np.nan
    return PixelSource(np.broadcast_to(np.float32(color), points.shape).copy(), matte, points)


def test_a_site_finds_its_pixel():
    photo = plane_photo()
    sites = np.array([[0.20, 0, 0.05], [0.29, 0, 0.19], [0.1, 0, 0.0], [-1.0, 0, 0.0]])

    index, distance = match_pixels(photo.points, photo.matte, sites)
    assert index[:2, 0].tolist() == [5 * 30 + 20, 19 * 30 + 29]
    assert np.allclose(distance[:2, 0], 0, atol=1e-6)
    assert distance[2, 0] == pytest.approx(0.05, abs=1e-6)  # the empty half is not used
    assert distance[3, 0] == 1
    assert pixel_size(photo.points, photo.matte) == pytest.approx(0.01, rel=1e-4)


def test_an_empty_photo_shows_nothing():
    photo = plane_photo()
    empty = PixelSource(photo.rgb, photo.matte * 0, photo.points)
    _, distance, *_ = site_colors(empty, np.zeros((5, 3)))
    assert (distance == 1).all()
    one = np.zeros_like(photo.matte)
    one[0, -1] = 1
    color, distance, *_ = site_colors(PixelSource(photo.rgb, one, photo.points), np.array([[0.29, 0, 0]]))
    assert np.allclose(color, (0.2, 0.4, 0.6), atol=1e-3)
    assert distance[0] == pytest.approx(0, abs=1e-6)


def test_photos_combine_by_nearness_and_fineness():
    rgb = np.stack([np.full((3, 3), 0.0), np.full((3, 3), 1.0)]).astype(np.float32)
    distance = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]], np.float32)
    even = combine(SiteColors(rgb, distance, np.array([0.01, 0.01])), np.full(3, 0.06, np.float32))
    assert np.allclose(even[:, 0], [0.5, 0.0, 0.5], atol=1e-5)  # both, the near one, none
    assert np.allclose(even[:, 3], np.log([2 + 1e-4, 1 + 1e-4, 1e-4]), atol=1e-4)
    fine = combine(SiteColors(rgb, distance, np.array([0.01, 0.001])), np.full(3, 0.06, np.float32))
    assert fine[0, 0] > 0.98


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), order=st.permutations([0, 1, 2, 3]))
def test_combining_does_not_depend_on_the_order_of_photos(seed, order):
    rng = np.random.default_rng(seed)
    colors = SiteColors(rng.random((4, 9, 3)), rng.random((4, 9)) * 0.1, rng.uniform(0.001, 0.02, 4))
    other = SiteColors(colors.rgb[order], colors.distance[order], colors.pixel_size[order])
    radius = np.full(9, 0.05)
    out = combine(colors, radius)
    assert np.allclose(out, combine(other, radius), atol=1e-5)
    assert out[:, :3].min() >= 0
    assert out[:, :3].max() <= 1


def test_views_are_checked():
    good = np.zeros((1, 8, 8, 4), np.float32)
    InputViews(good, good[:0]).check()
    with pytest.raises(UserError, match="no photo"):
        InputViews(good[:0], good).check()
    with pytest.raises(UserError, match="shape"):
        InputViews(good[..., :3], good).check()
    with pytest.raises(UserError, match="NaN or infinity"):
        InputViews(good * np.nan, good).check()


def test_masking_keeps_the_person_and_greys_the_rest():
    rgba = np.array([[[1.0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0.5]]])
    assert np.allclose(masked(rgba)[0], [[1, 0, 0, 1], [0.5, 0.5, 0.5, 0], [0.75, 0.25, 0.25, 0.5]])
