# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.ply import write_ply
from lca_blender.backend.raster.normals import smallest_axes
from ply_reader import read_columns, read_ply
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
    values = {name: column.item() for name, column in read_columns(tmp_path / "a.ply").items()}
    assert list(values)[:10] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    assert [values[k] for k in ("x", "y", "z", "opacity", "f_dc_0")] == [1, 2, 3, 0, 0]
    assert values["f_dc_1"] == pytest.approx(0.5 / 0.28209479177387814)
    np.testing.assert_allclose(
        [values[f"scale_{k}"] for k in range(3)], np.log([0.01, 0.02, 0.03]), rtol=1e-5
    )
    assert abs(values["rot_0"]) == pytest.approx(1, abs=1e-6)


def test_linear_colours_are_refused(tmp_path):
    linear = dataclasses.replace(cloud(2), linear=True)
    with pytest.raises(ValueError, match="linear"):
        write_ply(tmp_path / "d.ply", linear)
    assert not (tmp_path / "d.ply").exists()
