# SPDX-License-Identifier: GPL-3.0-or-later
"""The second Sapiens encoder, and features kept on disk."""

import numpy as np
import pytest
import torch
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.feature_cache import FeatureCache
from lca_blender.backend.model.sapiens2 import Sapiens2Encoder, rotations
from safetensors.torch import save_file

WIDTH, HEADS, LAYERS = 64, 4, 18  # of which the 9th and the 10th share keys


def published(layers=LAYERS):
    """A checkpoint with the published names and shapes, and random values."""
    g = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.randn(shape, generator=g) * 0.15  # noqa: E731
    head = WIDTH // HEADS
    state = {
        "cls_token": rand(1, 1, WIDTH),
        "storage_tokens": rand(1, 8, WIDTH),
        "rope_embed.periods": 100.0 ** (torch.arange(head // 4) / (head // 4)),
        "patch_embed.projection.weight": rand(WIDTH, 3, 16, 16),
        "patch_embed.projection.bias": rand(WIDTH),
        "ln1.weight": 1 + rand(WIDTH),
    }
    for i in range(layers):
        keys = WIDTH // 2 if 8 <= i < layers - 8 else WIDTH
        for name, shape in {
            "attn.wq": (WIDTH, WIDTH), "attn.wk": (keys, WIDTH), "attn.wv": (keys, WIDTH),
            "attn.proj": (WIDTH, WIDTH), "ffn.w12": (8 * WIDTH, WIDTH), "ffn.w3": (WIDTH, 4 * WIDTH),
        }.items():  # fmt: skip
            state[f"blocks.{i}.{name}.weight"], state[f"blocks.{i}.{name}.bias"] = (
                rand(*shape),
                rand(shape[0]),
            )
        for name, size in {"ln1": WIDTH, "ln2": WIDTH, "attn.q_norm": head, "attn.k_norm": head}.items():
            state[f"blocks.{i}.{name}.weight"] = 1 + rand(size)
        state[f"blocks.{i}.attn.gamma.weight"] = rand(WIDTH)
    return state


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("sapiens2") / "sapiens2.safetensors"
    save_file({f"backbone.{k}": v for k, v in published().items()}, path)
    return path


@pytest.fixture(scope="module")
def encoder(checkpoint):
    encoder = Sapiens2Encoder(WIDTH, LAYERS, HEADS)
    encoder.load(checkpoint)
    return encoder


def rms(x, weight):
    return x / (x.square().mean(-1, keepdims=True) + 1e-6).sqrt() * weight


def reference(state, image):
    """The published layers in float64, one head and one pair of channels at a time."""
    s = {k: v.double() for k, v in state.items()}
    linear = lambda x, name: x @ s[f"{name}.weight"].T + s[f"{name}.bias"]  # noqa: E731
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    x = (image.double() * 255 - mean[:, None, None]) / std[:, None, None]
    x = torch.nn.functional.conv2d(
        x[None], s["patch_embed.projection.weight"], s["patch_embed.projection.bias"], 16
    )
    rows, columns = x.shape[2:]
    x = torch.cat([s["cls_token"][0], s["storage_tokens"][0], x[0].flatten(1).T])
    head, n = WIDTH // HEADS, rows * columns

    def turn(t):
        t = t.clone()
        for token in range(n):
            y, x_ = divmod(token, columns)
            place = [(y + 0.5) / rows * 2 - 1, (x_ + 0.5) / columns * 2 - 1]
            for pair in range(head // 2):
                axis, k = divmod(pair, head // 4)
                angle = 2 * np.pi * place[axis] / 100.0 ** (k / (head // 4))
                a, b = t[9 + token, pair].item(), t[9 + token, pair + head // 2].item()
                t[9 + token, pair] = a * np.cos(angle) - b * np.sin(angle)
                t[9 + token, pair + head // 2] = a * np.sin(angle) + b * np.cos(angle)
        return t

    for i in range(LAYERS):
        b = f"blocks.{i}."
        h = rms(x, s[b + "ln1.weight"])
        q, k, v = (linear(h, b + f"attn.w{c}") for c in "qkv")
        share, out = WIDTH // k.shape[1], []
        for n_head in range(HEADS):
            own, of = slice(n_head * head, (n_head + 1) * head), n_head // share
            key = slice(of * head, (of + 1) * head)
            qh = turn(rms(q[:, own], s[b + "attn.q_norm.weight"]))
            kh = turn(rms(k[:, key], s[b + "attn.k_norm.weight"]))
            out.append(torch.softmax(qh @ kh.T / head**0.5, -1) @ v[:, key])
        x = x + linear(torch.cat(out, -1), b + "attn.proj") * s[b + "attn.gamma.weight"]
        gate, value = linear(rms(x, s[b + "ln2.weight"]), b + "ffn.w12").chunk(2, -1)
        x = x + linear(gate / (1 + (-gate).exp()) * value, b + "ffn.w3")
    return rms(x, s["ln1.weight"])[9:].reshape(rows, columns, WIDTH)


def test_features_are_those_of_the_published_layers(encoder):
    image = torch.rand(3, 48, 32, generator=torch.Generator().manual_seed(1))
    want = reference(published(), image)
    got = encoder(image[None, None])[0, 0].double()
    assert got.shape == want.shape
    assert (got - want).norm() < 0.05 * want.norm()  # bfloat16
    precise = Sapiens2Encoder(WIDTH, LAYERS, HEADS).float()
    precise.load_state_dict({k: v for k, v in published().items() if k != "rope_embed.periods"})
    normal = image.mul(255).sub(torch.tensor([123.675, 116.28, 103.53])[:, None, None])
    normal = normal / torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    patches = torch.nn.functional.conv2d(
        normal[None], precise.patch_embed["projection"].weight, precise.patch_embed["projection"].bias, 16
    )
    precise.patches = lambda rgb: patches.permute(0, 2, 3, 1)
    with torch.no_grad():
        exact = precise.features(image[None])[0].double()
    assert (exact - want).abs().max() < 2e-3 * want.abs().max()


def test_places_do_not_depend_on_the_photos_size():
    cos, sin = rotations(4, 2, 16)
    wide, _ = rotations(8, 2, 16)
    assert cos.shape == sin.shape == (8, 8)
    assert torch.allclose(cos**2 + sin**2, torch.ones(8, 8))
    middle = wide.view(8, 2, 8)[:, 0, 4:]
    assert torch.equal(middle, cos.view(4, 2, 8)[:1, 0, 4:].expand(8, -1))  # columns lie as before


def test_a_misfit_is_named(tmp_path):
    state = published()
    del state["blocks.9.attn.wk.weight"]
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match=r"Sapiens2 checkpoint of this size.*blocks\.9\.attn\.wk\.weight"):
        Sapiens2Encoder(WIDTH, LAYERS, HEADS).load(tmp_path / "bad.safetensors")


def test_known_photos_are_read_from_disk(encoder, tmp_path, monkeypatch):
    images = torch.rand(2, 2, 3, 32, 32).mul(255).round() / 255
    plain = encoder(images)
    monkeypatch.setattr(encoder, "cache", FeatureCache(tmp_path))
    assert torch.equal(encoder(images), plain)
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 4
    asked = []
    features = encoder.features
    monkeypatch.setattr(encoder, "features", lambda rgb: asked.append(len(rgb)) or features(rgb))
    assert torch.equal(encoder(images), plain)
    assert asked == []
    files[0].write_bytes(b"half a file")
    assert torch.equal(encoder(images), plain)
    assert asked == [1]
    encoder(1 - images[:, :1])
    assert asked == [1, 2]


def test_another_encoder_has_its_own_features(checkpoint, tmp_path):
    first, second = (Sapiens2Encoder(WIDTH, LAYERS, HEADS) for _ in range(2))
    first.load(checkpoint)
    second.load(checkpoint)
    second.ln1.weight.data.mul_(2)
    first.cache = second.cache = FeatureCache(tmp_path)
    image = torch.rand(1, 1, 3, 32, 32)
    assert not torch.equal(first(image), second(image))
