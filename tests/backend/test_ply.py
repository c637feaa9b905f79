# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY files of splats as other programs write them, and as they want them."""

from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.ply import PlyError, read_ply, write_ply
from lca_blender.backend.still import still_avatar, upright
from ply_reader import SH_DC, read_columns

FIELDS = [*"xyz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(45)), "opacity"]
FIELDS += ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
COUNT = 300


def columns(seed=0):
    random = np.random.default_rng(seed)
    made = {name: random.normal(size=COUNT).astype("f4") for name in FIELDS}
    return made | {f"scale_{i}": made[f"scale_{i}"] - 4 for i in range(3)}


def written(path, table, form="binary_little_endian", kind="float"):
    names = list(table)
    code = {"float": "f4", "double": "f8"}[kind]
    head = ["ply", f"format {form} 1.0", "comment by a test", f"element vertex {COUNT}"]
    head += [f"property {kind} {name}" for name in names]
    rows = np.stack([table[name] for name in names], 1)
    if form == "ascii":
        body = "\n".join(" ".join(map(repr, row)) for row in rows.astype(float).tolist()).encode() + b"\n"
    else:
        body = rows.astype((">" if "big" in form else "<") + code).tobytes()
    path.write_bytes("\n".join([*head, "end_header", ""]).encode() + body)
    return path


def expected(table):
    def stack(*names):
        return torch.from_numpy(np.stack([table[name] for name in names], 1))

    return Gaussians.from_quats_scales(
        stack(*"xyz"),
        stack(*(f"rot_{i}" for i in range(4))),
        stack(*(f"scale_{i}" for i in range(3))).exp(),
        torch.sigmoid(torch.from_numpy(table["opacity"])),
        0.5 + SH_DC * stack("f_dc_0", "f_dc_1", "f_dc_2"),
    )


def close(a, b, **tolerance):
    for name in ("means", "covariances", "opacities", "colors"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), **tolerance)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("kind", ["float", "double"])
def test_every_form_of_a_ply_file_is_read(tmp_path, form, kind):
    table = columns()
    close(read_ply(written(tmp_path / "a.ply", table, form, kind)), expected(table), rtol=1e-5, atol=1e-6)


def test_infinities_mean_what_they_say_and_nonsense_is_left_out(tmp_path):
    table = columns()
    table["scale_2"][3], table["opacity"][4], table["opacity"][5] = -np.inf, np.inf, -np.inf
    table["x"][6], table["scale_0"][7], table["rot_1"][8] = np.nan, np.inf, np.nan
    found = read_ply(written(tmp_path / "a.ply", table))
    assert len(found) == COUNT - 3
    assert found.opacities[4:6].tolist() == [1, 0]
    assert torch.linalg.eigvalsh(found.covariances[3].double())[0] == pytest.approx(0, abs=1e-9)
    assert torch.isfinite(found.covariances).all()


def packed(path, table, seed):
    """SuperSplat's form, by its description: chunks of 256, each number between the chunk's bounds."""
    chunks, vertices = [], []
    quats = np.stack([table[f"rot_{i}"] for i in range(4)], 1).astype(float)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    rgb = np.stack([0.5 + SH_DC * table[f"f_dc_{i}"] for i in range(3)], 1)
    alpha = 1 / (1 + np.exp(-table["opacity"].astype(float)))
    for start in range(0, COUNT, 256):
        rows = slice(start, min(start + 256, COUNT))
        spans = [
            (values.min(0), values.max(0))
            for values in (
                np.stack([table[name] for name in "xyz"], 1)[rows],
                np.stack([table[f"scale_{i}"] for i in range(3)], 1)[rows],
                rgb[rows],
            )
        ]
        chunks.append(np.concatenate([part for span in spans for part in span]))

        def share(values, span):
            return (values - span[0]) / (span[1] - span[0])

        for i in range(rows.start, rows.stop):
            row = [table[name][i] for name in "xyz"]
            x, y, z = np.round(share(np.array(row), spans[0]) * (2047, 1023, 2047)).astype(int).tolist()
            logs = np.array([table[f"scale_{k}"][i] for k in range(3)])
            a, b, c = np.round(share(logs, spans[1]) * (2047, 1023, 2047)).astype(int).tolist()
            largest = int(np.abs(quats[i]).argmax())
            rest = np.delete(quats[i] * np.sign(quats[i, largest]), largest)
            p, q, r = np.round((rest / np.sqrt(2) + 0.5) * 1023).astype(int).tolist()
            color = np.round(np.append(share(rgb[i], spans[2]), alpha[i]) * 255).astype(int).tolist()
            vertices.append(
                (
                    x << 21 | y << 11 | z,
                    largest << 30 | p << 20 | q << 10 | r,
                    a << 21 | b << 11 | c,
                    color[0] << 24 | color[1] << 16 | color[2] << 8 | color[3],
                )
            )
    axes = ("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b")
    names = [f"{end}_{axis}" for three in axes for end in ("min", "max") for axis in three]
    head = ["ply", "format binary_little_endian 1.0", f"element chunk {len(chunks)}"]
    head += [f"property float {name}" for name in names] + [f"element vertex {COUNT}"]
    head += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    body = np.array(chunks, "<f4").tobytes() + np.array(vertices, "<u4").tobytes()
    path.write_bytes("\n".join([*head, "end_header", ""]).encode() + body)
    return path


@pytest.mark.parametrize("seed", range(3))
def test_the_compressed_form_is_read_within_its_steps(tmp_path, seed):
    table = columns(seed)
    found, truth = read_ply(packed(tmp_path / "a.ply", table, seed)), expected(table)
    assert (found.means - truth.means).abs().max() < 8 / 1023
    assert (found.colors - truth.colors).abs().max() < 3 / 255
    assert (found.opacities - truth.opacities).abs().max() < 1 / 255
    sizes = truth.covariances.diagonal(dim1=1, dim2=2).sum(1)
    apart = (found.covariances - truth.covariances).flatten(1).norm(dim=1)
    assert (apart / sizes).max() < 0.03


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a PLY"),
        (b"ply\nformat ascii 1.0\n", "not a PLY"),
        (b"ply\nformat odd 1.0\nend_header\n", "header says"),
        (b"ply\nformat ascii 1.0\nelement vertex x\nend_header\n", "header says"),
        (b"ply\nelement vertex 1\nend_header\n", "how it is written"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", "no Gaussian"),
        (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999\nproperty float x\nend_header\n",
            "ends",
        ),
        (b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n", "ends within"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\none\n", "cannot be read"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, content, sentence):
    (tmp_path / "bad.ply").write_bytes(content)
    with pytest.raises(PlyError, match=sentence):
        read_ply(tmp_path / "bad.ply")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    content = bytearray(
        written(path, {name: columns()[name] for name in FIELDS if "rest" not in name}).read_bytes()
    )
    content[place % len(content)] = value
    path.write_bytes(bytes(content))
    with suppress(PlyError):
        read_ply(path)


@pytest.mark.parametrize("degree", range(4))
def test_bands_of_colour_for_readers_that_insist(tmp_path, degree):
    write_ply(tmp_path / "a.ply", expected(columns()), degree)
    rest = [name for name in read_columns(tmp_path / "a.ply") if name.startswith("f_rest_")]
    assert rest == [f"f_rest_{i}" for i in range(3 * (degree + 1) ** 2 - 3)]
    close(read_ply(tmp_path / "a.ply"), expected(columns()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("up", "head"), [("Z", (0, 0, 2)), ("Y", (0, 2, 0)), ("-Y", (0, -2, 0))])
def test_written_in_another_programs_axes_and_read_back(tmp_path, up, head):
    one = Gaussians(
        torch.tensor([[0.0, 0.0, 2.0]]), torch.eye(3)[None] * 1e-4, torch.ones(1), torch.full((1, 3), 0.5)
    )
    write_ply(tmp_path / "a.ply", one, matrix=upright(up).T)
    again = read_ply(tmp_path / "a.ply")
    assert again.means[0].tolist() == pytest.approx(head, abs=1e-6)
    back = still_avatar(again, upright(up), "back")
    back.save(tmp_path / "a.lca")
    assert back.means[0].tolist() == pytest.approx((0, 0, 2), abs=1e-6)
