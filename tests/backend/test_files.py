# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written whole or not at all, and splats as PLY."""

import errno
import os

import pytest
import torch
from lca_blender.backend import files
from lca_blender.backend.errors import UserError
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.ply import read_ply, write_ply


def some_gaussians(count=50):
    random = torch.Generator().manual_seed(3)
    return Gaussians.from_quats_scales(
        torch.randn(count, 3, generator=random),
        torch.randn(count, 4, generator=random),
        torch.rand(count, 3, generator=random) * 0.02 + 0.001,
        torch.rand(count, generator=random) * 0.9 + 0.05,
        torch.rand(count, 3, generator=random),
    )


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def write_half():
        with files.replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "a.ply"

    def write_to_a_full_disk():
        with files.replacing(path), open("/dev/full", "wb") as disk:
            disk.write(b"x" * 100_000)
            disk.flush()

    with pytest.raises(UserError, match="disk is full"):
        write_to_a_full_disk()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_folder_is_one_sentence(tmp_path, code):
    error = files.disk_error(OSError(code, os.strerror(code)), tmp_path / "a.ply")
    assert "cannot be written to" in error.message
    assert error.remedy


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        files.write_text(tmp_path / "gone" / "a.txt", "x")
    with pytest.raises(UserError, match="does not exist"):
        files.require_writable(tmp_path / "gone" / "a.txt")
    with pytest.raises(UserError, match="is a folder"):
        files.require_writable(tmp_path)
    files.require_writable(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_ply_holds_the_same_splats(tmp_path):
    gaussians = some_gaussians()
    write_ply(tmp_path / "a.ply", gaussians)
    again = read_ply(tmp_path / "a.ply")
    for name in ("means", "covariances", "opacities", "colors"):
        assert torch.allclose(getattr(again, name), getattr(gaussians, name), atol=2e-6), name


def test_ply_has_the_layout_that_viewers_expect(tmp_path):
    write_ply(tmp_path / "a.ply", some_gaussians(7))
    head, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    lines = head.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 7"]
    assert [line.split()[-1] for line in lines[3:]][6:10] == ["f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    assert len(body) == 7 * 17 * 4


def test_linear_colours_are_refused(tmp_path):
    gaussians = some_gaussians()
    linear = Gaussians(
        gaussians.means, gaussians.covariances, gaussians.opacities, gaussians.colors, linear=True
    )
    with pytest.raises(ValueError, match="sRGB"):
        write_ply(tmp_path / "a.ply", linear)


@pytest.mark.parametrize("cut", [10, 400, 2000])
def test_a_truncated_ply_is_one_sentence(tmp_path, cut):
    path = tmp_path / "a.ply"
    write_ply(path, some_gaussians())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"is cut off|is no PLY file"):
        read_ply(path)
