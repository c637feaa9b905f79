# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tensors: what goes in comes out, and the table is compared before tensors are read."""

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lca_blender.backend.errors import UserError, printable
from lca_blender.backend.tensor_file import TensorFile, TensorFileError, check_table, fill, write_tensors

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7, dtype=torch.uint8)}


@pytest.fixture
def path(tmp_path):
    write_tensors(tmp_path / "x.safetensors", TENSORS, header={"n": 1}, note="text")
    return tmp_path / "x.safetensors"


def test_tensors_and_metadata_come_back(path):
    file = TensorFile(path)
    assert file.table == {"a": ("F32", (2, 3)), "b": ("U8", ())}
    assert (file.header(), file.metadata["note"]) == ({"n": 1}, "text")
    read, arrays = file.tensors(), file.arrays()
    for name, tensor in TENSORS.items():
        assert torch.equal(read[name], tensor)
        assert np.array_equal(arrays[name], tensor.numpy())
    write_tensors(path.with_name("y"), arrays, note="text", header={"n": 1})
    again = TensorFile(path.with_name("y"))
    assert (again.table, again.metadata) == (file.table, file.metadata)
    assert sorted(p.name for p in path.parent.iterdir()) == ["x.safetensors", "y"]


def test_what_was_read_does_not_change_with_the_file(path):
    """Nothing stays mapped: on Windows such a file could not be replaced."""
    tensors, arrays = TensorFile(path).tensors(), TensorFile(path).arrays()
    content = path.read_bytes()
    with open(path, "r+b") as file:
        file.seek(len(content) - 25)
        file.write(bytes(25))
    assert torch.equal(tensors["a"], TENSORS["a"])
    assert np.array_equal(arrays["a"], TENSORS["a"].numpy())


def with_header(text: str) -> bytes:
    table = json.dumps({"__metadata__": {"header": text}}).encode()
    return struct.pack("<Q", len(table)) + table


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        struct.pack("<Q", 1 << 40),
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 2) + b"{}",
        with_header("[" * 100_000),
        with_header("[1]"),
        with_header('{"a":'),
        with_header(json.dumps({"a": "x" * (20 << 20)})),  # sound, but too long
    ],
    ids=range(9),
)
def test_what_is_no_such_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(TensorFileError, match=r"x\.bin.*Take another\.") as caught:
        TensorFile(path, "thing", "Take another.").header()
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_one_sentence(tmp_path):
    with pytest.raises(TensorFileError, match="There is no thing"):
        TensorFile(tmp_path / "gone", "thing")
    with pytest.raises(TensorFileError, match="cannot be read"):
        TensorFile(tmp_path, "thing")
    with pytest.raises(UserError, match="does not exist"):
        write_tensors(tmp_path / "gone" / "x", TENSORS)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_is_more_than_a_sentence(path, data):
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged")
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        file = TensorFile(damaged)
        file.header()
        file.tensors()
    except TensorFileError:
        return


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"a": ("F16", (5, 3))}, "b is missing"),
        ({"a": ("F32", (5, 3)), "b": ("I32", (5,))}, "a has the type F32, not F16"),
        ({"a": ("F16", (5, 4)), "b": ("I32", (5,))}, "a has the wrong shape"),
        ({"a": ("F16", (5,)), "b": ("I32", (5,))}, "a has the wrong shape"),
        ({"a": ("F16", (5, 3)), "b": ("U8", (6,))}, "b has the wrong shape"),
        ({"a": ("F16", (9, 3)), "b": ("U8", (9,))}, "a has the wrong shape"),
        ({"a": ("F16", (0, 3)), "b": ("U8", (0,))}, "a has the wrong shape"),
        ({"a": ("F16", (5, 3)), "b": ("U8", (5,)), "c": ("U8", ())}, "'c'"),
    ],
)
def test_the_first_misfit_of_a_table_is_named(table, said):
    wanted = {"a": ("F16", ("N", 3)), "b": (("U8", "I32"), ("N",))}
    assert check_table({"a": ("F16", (5, 3)), "b": ("U8", (5,))}, wanted, {"N": 8}) == {"N": 5}
    with pytest.raises(TensorFileError, match=said):
        check_table(table, wanted, {"N": 8})


def test_a_network_takes_all_of_a_file_or_nothing(tmp_path):
    write_tensors(
        tmp_path / "w", {"weight": torch.ones(2, 3).half(), "bias": torch.tensor([1.0, float("nan")])}
    )
    layer = torch.nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    with pytest.raises(TensorFileError, match="bias contains NaN"):
        fill(layer.state_dict(), TensorFile(tmp_path / "w"))
    assert torch.equal(layer.weight, before)
    with pytest.raises(TensorFileError, match="weight has the wrong shape"):
        fill(torch.nn.Linear(3, 1).state_dict(), TensorFile(tmp_path / "w"))
    write_tensors(tmp_path / "w", {"weight": torch.ones(2, 3).half(), "bias": torch.zeros(2)})
    fill(layer.state_dict(), TensorFile(tmp_path / "w"))
    assert layer(torch.ones(3)).tolist() == [3, 3]


def test_what_steers_a_terminal_is_escaped():
    assert printable("Bär 3\x1b[2J\n\u202e\udcff") == r"Bär 3\x1b[2J\n\u202e\udcff"
