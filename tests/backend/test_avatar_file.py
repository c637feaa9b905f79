# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar file: what goes in comes out, and no damaged or hostile file gets past a sentence."""

import contextlib
import json
import struct
from dataclasses import replace

import pytest
import torch
from avatar_fixtures import make_avatar, scattered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lca_blender.backend.avatar import Avatar, AvatarFileError
from lca_blender.backend.errors import UserError


@pytest.fixture(scope="module")
def avatar():
    return make_avatar()


@pytest.fixture(scope="module")
def content(avatar, tmp_path_factory):
    path = tmp_path_factory.mktemp("avatar") / "a.lca"
    avatar.save(path)
    return path.read_bytes()


def parts(content):
    """(table of tensors, header, tensor data) of a file."""
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    return table, json.loads(table["__metadata__"]["lca"]), content[8 + length :]


def assemble(table, header, data):
    table = {**table, "__metadata__": {"lca": json.dumps(header)}}
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def refusal(tmp_path, content):
    """The sentence with which a file is refused; the folder holds nothing but the file afterwards."""
    path = tmp_path / "damaged.lca"
    path.write_bytes(content)
    with pytest.raises(AvatarFileError) as caught:
        Avatar.load(path)
    assert isinstance(caught.value, UserError)
    assert [p.name for p in tmp_path.iterdir()] == ["damaged.lca"]
    assert "damaged.lca" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_round_trip_keeps_every_bit(avatar, tmp_path):
    avatar.save(tmp_path / "a.lca")
    again = Avatar.load(tmp_path / "a.lca")
    assert again.hash == avatar.hash
    own, other = avatar.tensors(), again.tensors()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[k], other[k]) and own[k].dtype == other[k].dtype for k in own)
    assert again.joint_names == avatar.joint_names
    assert {k: again.header[k] for k in avatar.header} == avatar.header
    again.save(tmp_path / "b.lca")
    assert (tmp_path / "a.lca").read_bytes() == (tmp_path / "b.lca").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.lca", "b.lca"]


def test_a_file_keeps_each_gaussians_token_and_slot(tmp_path):
    _, mixed = scattered(make_avatar())
    mixed.save(tmp_path / "a.lca")
    again = Avatar.load(tmp_path / "a.lca")
    again.verify()
    assert again.hash == mixed.hash
    assert torch.equal(again.token, mixed.token)
    assert torch.equal(again.expression_rows, mixed.expression_rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slot": None}, "belong together"),
        ({"expression_rows": None}, "expression_rows is missing"),
        ({"token": torch.full((701,), 64)}, "token holds a value out of range"),
        ({"slot": torch.full((701,), 4)}, "slot holds a value out of range"),
        ({"token": torch.zeros(700)}, "wrong shape"),
        ({"confidence": torch.zeros(700)}, "wrong shape"),
    ],
)
def test_tokens_and_slots_that_fit_nothing_are_refused(change, said):
    _, mixed = scattered(make_avatar())
    with pytest.raises(AvatarFileError, match=said):
        replace(mixed, **change).verify()


def test_a_file_keeps_what_was_seen(tmp_path):
    confidence = torch.arange(256)
    known = make_avatar(confidence=confidence)
    known.save(tmp_path / "a.lca")
    assert torch.equal(Avatar.load(tmp_path / "a.lca").confidence, confidence.byte())
    make_avatar().save(tmp_path / "b.lca")
    assert Avatar.load(tmp_path / "b.lca").confidence is None
    assert (tmp_path / "a.lca").stat().st_size - (tmp_path / "b.lca").stat().st_size < 256 + 100


def test_the_hash_sees_content_and_nothing_else(avatar):
    colors = avatar.colors.clone()
    colors[3, 1] = 0.125
    assert make_avatar(colors=colors).hash != avatar.hash
    assert make_avatar(header={"name": "Other"}, thumbnails=()).hash == avatar.hash
    assert make_avatar(seed=1).hash != avatar.hash


def test_a_full_size_avatar_is_small(tmp_path):
    make_avatar(8192, 8).save(tmp_path / "a.lca")
    assert (tmp_path / "a.lca").stat().st_size < 40e6


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_cut_off_anywhere(content, tmp_path, share):
    refusal(tmp_path, content[: int(share * len(content))])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2500), value=st.integers(0, 255))
def test_a_changed_byte_of_the_header_is_refused_or_harmless(avatar, content, tmp_path, at, value):
    changed = bytearray(content)
    changed[at] = value
    path = tmp_path / "damaged.lca"
    path.write_bytes(changed)
    with contextlib.suppress(AvatarFileError):  # any other exception fails
        loaded = Avatar.load(path)
        loaded.verify()
        assert loaded.tensors().keys() == avatar.tensors().keys()


def test_no_avatar_at_all(tmp_path):
    assert "no avatar" in refusal(tmp_path, b"")
    assert "no avatar" in refusal(tmp_path, b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "no avatar file" in refusal(tmp_path, struct.pack("<Q", 2) + b"{}")
    assert "damaged" in refusal(tmp_path, struct.pack("<Q", 200_000) + b"[" * 200_000)
    with pytest.raises(AvatarFileError, match="no avatar file"):
        Avatar.load(tmp_path / "missing.lca")
    with pytest.raises(AvatarFileError, match="cannot be read"):
        Avatar.load(tmp_path)


def test_a_newer_version_says_so(content, tmp_path):
    table, header, data = parts(content)
    assert "newer version" in refusal(tmp_path, assemble(table, {**header, "lca_version": 3}, data))
    for version in (None, "1", True, 0, 1.5):
        sentence = refusal(tmp_path, assemble(table, {**header, "lca_version": version}, data))
        assert "which version" in sentence


@pytest.mark.parametrize("size", [2**62, 2**31, -1, 0, 1.5, "3", None])
def test_declared_sizes_are_checked_before_anything_is_read(content, tmp_path, size):
    table, header, data = parts(content)
    for name in ("means", "expression_basis", "thumbnails.0", "token_bias"):
        shape = [size if side > 3 else side for side in table[name]["shape"]]
        refusal(tmp_path, assemble({**table, name: {**table[name], "shape": shape}}, header, data))


def test_a_huge_length_of_the_table(content, tmp_path):
    refusal(tmp_path, struct.pack("<Q", 2**63) + content[8:])
    refusal(tmp_path, struct.pack("<Q", len(content)) + content[8:])


def test_offsets_that_overlap_or_leave_gaps(content, tmp_path):
    table, header, data = parts(content)
    begin, end = table["means"]["data_offsets"]
    for offsets in ([begin + 4, end + 4], [0, end - begin], [begin, end - 4], [-4, 0], [begin], "x"):
        changed = {**table, "means": {**table["means"], "data_offsets": offsets}}
        refusal(tmp_path, assemble(changed, header, data))
    assert "damaged" in refusal(tmp_path, content + b"more")


def test_every_missing_tensor_is_named(content, tmp_path):
    table, header, data = parts(content)
    for name in table.keys() - {"__metadata__", "thumbnails.0"}:
        refusal(tmp_path, assemble({k: v for k, v in table.items() if k != name}, header, data))
        sentence = refusal(tmp_path, with_tensor(content, name, None))
        assert name.split("_")[0].split(".")[-1] in sentence


def with_tensor(content, name, tensor):
    """The file with one tensor replaced by another of any shape and type, or without it."""
    from safetensors.torch import load, save

    tensors = load(content)
    tensors[name] = tensor
    if tensor is None:
        del tensors[name]
    _, header, _ = parts(content)
    return save(tensors, {"lca": json.dumps(header)})


def test_wrong_shapes_types_and_values_name_the_tensor(avatar, content, tmp_path):
    bad = {
        "means": [avatar.means[:-1], avatar.means.double(), avatar.means * float("nan")],
        "quats": [avatar.quats[:, :3], avatar.quats * 0, avatar.quats.float()],
        "scales": [-avatar.scales, avatar.scales * float("inf")],
        "opacities": [avatar.opacities + 1, avatar.opacities[:, None]],
        "skin_indices": [avatar.skin_indices + 100, avatar.skin_indices.int()],
        "skin_weights": [avatar.skin_weights * 2, -avatar.skin_weights],
        "expression_basis": [avatar.expression_basis[:51]],
        "joint_parents": [avatar.joint_parents.flip(0), avatar.joint_parents - 5],
        "token_bias": [avatar.token_bias[:-1], avatar.token_bias[:, :64]],
        "decoder.last_weight": [avatar.decoder["last_weight"] * float("nan")],
        "decoder.hidden1_weight": [avatar.decoder["hidden1_weight"][:, :5]],
        "thumbnails.0": [torch.zeros(4, 4, 4, dtype=torch.uint8)],
    }
    for name, tensors in bad.items():
        for tensor in tensors:
            sentence = refusal(tmp_path, with_tensor(content, name, tensor.contiguous()))
            if tensor.shape == avatar.tensors()[name].shape:
                assert name in sentence
    assert "does not belong" in refusal(tmp_path, with_tensor(content, "pickle", torch.zeros(3)))
    signal = torch.zeros(128, 7)
    assert "decoder takes 7" in refusal(tmp_path, with_tensor(content, "decoder.signal_weight", signal))


def test_another_skeleton_is_refused(content, tmp_path):
    table, header, data = parts(content)
    for names in (header["joint_names"][::-1], ["a"] * 58, header["joint_names"][:-1], "pelvis", [1] * 58):
        refusal(tmp_path, assemble(table, {**header, "joint_names": names}, data))


@pytest.mark.parametrize(
    "odd",
    [
        {"warnings": 5},
        {"warnings": [1, 2]},
        {"warnings": "The back was not seen."},
        {"warnings": ["x" * 20] * 100_000},
        {"name": ["Ann"]},
        {"name": "Ann" * 1000},
        {"model": "starter"},
        {"photos": {"a": 1}},
        {"photos": [None]},
        {"consent": 1},
        {"created": 2026},
        {"more": "x" * (1 << 21)},
    ],
    ids=lambda odd: str(odd)[:30],
)
def test_a_header_of_other_values_is_refused(content, tmp_path, odd):
    table, header, data = parts(content)
    refusal(tmp_path, assemble(table, {**header, **odd}, data))


def test_of_many_warnings_the_first_are_kept(avatar, content, tmp_path):
    """Those of a file, and those of an avatar of very many photos when it is written."""
    many = [f"Photo {n} shows no person." for n in range(500)]
    table, header, data = parts(content)
    (tmp_path / "a.lca").write_bytes(assemble(table, {**header, "warnings": [*many, "a\n" * 5000]}, data))
    make_avatar(header={"warnings": many}).save(tmp_path / "b.lca")
    for name in "ab":
        kept = Avatar.load(tmp_path / f"{name}.lca").header["warnings"]
        assert len(kept) == 64
        assert kept[:63] == many[:63]
        assert kept[63].startswith("And 43")
    one = assemble(table, {**header, "warnings": ["not\nseen " * 200]}, data)
    (tmp_path / "c.lca").write_bytes(one)
    (line,) = Avatar.load(tmp_path / "c.lca").header["warnings"]
    assert line.startswith("not seen not seen")
    assert len(line) <= 500


def test_a_header_without_anything_but_joints_is_enough(content, tmp_path):
    table, header, data = parts(content)
    bare = {key: header[key] for key in ("lca_version", "joint_names")}
    (tmp_path / "a.lca").write_bytes(assemble(table, bare, data))
    assert Avatar.load(tmp_path / "a.lca").header["warnings"] == []


def test_a_wrong_avatar_is_not_written(avatar, tmp_path):
    path = tmp_path / "a.lca"
    avatar.save(path)
    before = path.read_bytes()
    means = avatar.means.clone()
    means[5] = float("nan")
    for wrong in (
        make_avatar(means=means),
        make_avatar(means=means[:-1]),
        make_avatar(header={"x": object()}),
    ):
        with pytest.raises(AvatarFileError):
            wrong.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.lca"]


def test_a_disk_that_refuses_leaves_the_old_file(avatar, tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    path = tmp_path / "a.lca"
    avatar.save(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # writing ends as on a full disk: in the middle
    try:
        with pytest.raises(AvatarFileError, match=r"a\.lca could not be written"):
            make_avatar(seed=2).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.lca"]
    with pytest.raises(AvatarFileError, match="does not exist"):
        avatar.save(tmp_path / "nowhere" / "a.lca")
