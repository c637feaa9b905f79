# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.ply import PlyError, read_ply, write_ply
from lca_blender.backend.raster.normals import smallest_axes
from scipy.spatial.transform import Rotation


def cloud(count=50, seed=0):
    g = torch.Generator().manual_seed(seed)
    return Gaussians.from_quats_scales(
        torch.randn(count, 3, generator=g),
        torch.randn(count, 4, generator=g),
        0.01 * torch.exp(torch.randn(count, 3, generator=g)),
        0.05 + 0.9 * torch.rand(count, generator=g),
        torch.rand(count, 3, generator=g),
    )


def test_covariances_and_quats_scales_are_the_same_shape():
    made = cloud(200)
    quats, scales = made.to_quats_scales()
    again = Gaussians.from_quats_scales(made.means, quats, scales, made.opacities, made.colors)
    torch.testing.assert_close(again.covariances, made.covariances, rtol=1e-4, atol=1e-8)
    assert (scales.diff(dim=1) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), flat=st.floats(1e-4, 1.0), long=st.floats(1.0, 100.0))
def test_smallest_axes_are_the_last_eigenvectors(seed, flat, long):
    rotation = Rotation.random(random_state=seed).as_matrix()
    covariance = rotation @ np.diag(1e-4 * np.array([1.0, long, 0.5 * flat]) ** 2) @ rotation.T
    axis = smallest_axes(torch.tensor(covariance, dtype=torch.float32)[None])[0].numpy()
    assert np.linalg.norm(axis) == pytest.approx(1, abs=1e-5)
    assert abs(axis @ rotation[:, 2]) > 1 - 1e-3


def test_smallest_axes_of_balls_needles_and_nonsense_are_unit():
    needle = np.diag([1e-8, 1.0, 1e-8])
    cases = [np.eye(3), needle, np.zeros((3, 3)), np.full((3, 3), np.nan), np.diag([np.inf, 1, 1])]
    axes = smallest_axes(torch.tensor(np.array(cases), dtype=torch.float32))
    torch.testing.assert_close(axes.norm(dim=1), torch.ones(len(cases)))
    assert abs(axes[1, 1]) < 1e-3


def test_ply_round_trip(tmp_path):
    made = cloud(300)
    write_ply(tmp_path / "a.ply", made)
    again = read_ply(tmp_path / "a.ply")
    for name in ("means", "opacities", "colors"):
        torch.testing.assert_close(getattr(again, name), getattr(made, name), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(again.covariances, made.covariances, rtol=1e-3, atol=1e-8)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_ply_is_what_other_programs_expect(tmp_path):
    """The header and the encodings of the files that 3DGS trainers write, read here by hand."""
    one = Gaussians(
        torch.tensor([[1.0, 2.0, 3.0]]), torch.diag(torch.tensor([1e-4, 4e-4, 9e-4]))[None],
        torch.tensor([0.5]), torch.tensor([[0.5, 1.0, 0.0]]),
    )  # fmt: skip
    write_ply(tmp_path / "a.ply", one)
    header, _, data = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[2] for line in header.decode().splitlines() if line.startswith("property float")]
    values = dict(zip(names, np.frombuffer(data, "<f4"), strict=True))
    assert [values[k] for k in ("x", "y", "z", "opacity", "f_dc_0")] == [1, 2, 3, 0, 0]
    assert values["f_dc_1"] == pytest.approx(0.5 / 0.28209479177387814)
    np.testing.assert_allclose(
        [values[f"scale_{k}"] for k in range(3)], np.log([0.01, 0.02, 0.03]), rtol=1e-5
    )
    assert abs(values["rot_0"]) == pytest.approx(1, abs=1e-6)


def test_ply_of_others_with_more_fields_and_doubles(tmp_path):
    names = ["x", "y", "z", "red", "f_dc_0", "f_dc_1", "f_dc_2", "f_rest_0", "opacity"]
    names += [f"scale_{k}" for k in range(3)] + [f"rot_{k}" for k in range(4)]
    dtype = np.dtype([(n, "<f8" if n == "x" else "u1" if n == "red" else "<f4") for n in names])
    table = np.zeros(4, dtype)
    table["x"], table["rot_0"], table["opacity"] = 2.5, 3.0, 100.0
    kinds = {"<f8": "double", "<f4": "float", "|u1": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0", "comment made elsewhere", "element vertex 4"]
    lines += [f"property {kinds[dtype[n].str]} {n}" for n in names] + ["element face 0"]
    lines += ["property list uchar int vertex_indices", "end_header", ""]
    (tmp_path / "b.ply").write_bytes("\n".join(lines).encode() + table.tobytes())
    made = read_ply(tmp_path / "b.ply")
    assert made.means[:, 0].tolist() == [2.5] * 4
    assert made.opacities.tolist() == [1.0] * 4
    torch.testing.assert_close(made.covariances, torch.eye(3).expand(4, 3, 3))


def test_bad_ply_files_are_one_sentence(tmp_path):
    write_ply(tmp_path / "a.ply", cloud(5))
    good = (tmp_path / "a.ply").read_bytes()
    nan = good[:-4] + np.float32(np.nan).tobytes()
    cases = [
        (b"", "no PLY"),
        (b"PK\x03\x04" * 50, "no PLY"),
        (good[:-1], "cut off"),
        (good.replace(b"vertex 5", b"vertex 99999999999"), "cut off"),
        (good.replace(b"vertex 5", b"vertex -5"), "vertices"),
        (good.replace(b"binary_little_endian", b"ascii"), "not a binary"),
        (good.replace(b"float opacity", b"float opacitx"), "no opacity"),
        (good.replace(b"float nx", b"list nx  "), "kind"),
        (good.replace(b"float nx", b"float  x"), "twice"),
        (nan, "not finite"),
        (b"ply\n" + b"comment x\n" * 10_000, "no PLY"),
    ]
    for content, sentence in cases:
        (tmp_path / "b.ply").write_bytes(content)
        with pytest.raises(PlyError, match=sentence):
            read_ply(tmp_path / "b.ply")
    with pytest.raises(PlyError, match="cannot be read"):
        read_ply(tmp_path / "c.ply")
    linear = Gaussians(
        *(getattr(cloud(2), n) for n in ("means", "covariances", "opacities", "colors")), linear=True
    )
    with pytest.raises(ValueError, match="linear"):
        write_ply(tmp_path / "d.ply", linear)
    assert not (tmp_path / "d.ply").exists()
