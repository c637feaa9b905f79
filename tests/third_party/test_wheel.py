# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels that are downloaded as files: what is refused, and when data are made again."""

import hashlib

import pytest

from third_party.wheel import Wheel, checked, digest


def wheel(sha256="0" * 64):
    return Wheel("thing", "1.2", "py3-none-any", sha256)


def test_another_file_than_expected_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / wheel().name
    path.write_bytes(b"not the wheel")
    found = hashlib.sha256(b"not the wheel").hexdigest()
    with pytest.raises(SystemExit, match=f"thing-1.2-py3-none-any.whl is not the file .* {found}, not 000"):
        checked(wheel(), path)
    assert checked(wheel(found), path) == path


def test_the_digest_changes_with_wheel_and_code(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    more = tmp_path / "kernels" / "b.c"
    more.parent.mkdir()
    more.write_text("int b;\n")
    first = digest(tmp_path, wheel(), more)
    assert digest(tmp_path, wheel(), more) == first
    assert digest(tmp_path, wheel("1" * 64), more) != first
    assert digest(tmp_path, wheel()) != first
    for file in (tmp_path / "a.py", more):
        before = file.read_text()
        file.write_text(before + "\n")
        assert digest(tmp_path, wheel(), more) != first
        file.write_text(before)
