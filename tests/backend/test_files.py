# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic file writes."""

import errno
import os

import pytest
from lca_blender.backend import files
from lca_blender.backend.errors import UserError


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
