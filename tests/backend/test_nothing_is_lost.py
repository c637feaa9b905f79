# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed, out of memory, on a full disk: the avatar file that was there is there, whole."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from avatar_fixtures import make_avatar
from lca_blender.backend import files
from lca_blender.backend.avatar import Avatar, AvatarFileError
from PIL import Image
from skimage import data

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux")
WRITING = """
import sys
from lca_blender.backend.avatar import Avatar
avatar = Avatar.load(sys.argv[1])
print("ready", flush=True)
while True:
    avatar.save(sys.argv[2])
"""


def started(*arguments):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent, env={**os.environ}
    )


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(data.astronaut()[::2, ::2]).save(path)
    return path


def test_killed_while_it_writes(tmp_path):
    """At several moments; what the killed ones left is gone after the next write, once it is old."""
    old, path = make_avatar(tokens=512, per_token=32), tmp_path / "a.lca"
    old.save(tmp_path / "new.lca")
    old.save(path)
    for wait in (0.02, 0.09, 0.2):
        process = started("-c", WRITING, tmp_path / "new.lca", path)
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait)
        process.kill()
        process.wait()
        assert Avatar.load(path).hash == old.hash
    left = [one for one in tmp_path.iterdir() if one.suffix == ".part"]
    assert len(left) <= 3
    (tmp_path / ".a.lca.killed.part").touch()
    for one in tmp_path.glob(".*.part"):
        os.utime(one, (0, time.time() - files.LEFT - 1))
    (tmp_path / ".a.lca.working.part").touch()
    old.save(path)
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == [".a.lca.working.part", "a.lca", "new.lca"]


def test_killed_while_it_refines(photo, tmp_path):
    process = started("creation_process.py", photo, tmp_path / "a.lca", 0)
    assert process.stdout.readline() == "first\n"
    content = (tmp_path / "a.lca").read_bytes()
    time.sleep(1.0)
    assert process.poll() is None
    process.kill()
    process.wait()
    assert (tmp_path / "a.lca").read_bytes() == content
    assert len(Avatar.load(tmp_path / "a.lca")) > 100_000
    assert [one.name for one in tmp_path.iterdir()] == ["a.lca"]


def test_out_of_memory_is_one_sentence_and_the_first_avatar_stays(photo, tmp_path):
    process = started("creation_process.py", photo, tmp_path / "a.lca", 40)
    said, _ = process.communicate(timeout=300)
    first, *rest = said.splitlines()
    assert (first, process.returncode) == ("first", 0)
    assert rest == [
        "Create Avatar ran out of memory. Use fewer photos or a smaller setting, or end other programs."
    ]
    assert len(Avatar.load(tmp_path / "a.lca")) > 100_000
    assert [one.name for one in tmp_path.iterdir()] == ["a.lca"]


def test_a_disk_that_takes_no_more(tmp_path):
    import resource

    small, large = make_avatar(tokens=8), make_avatar(tokens=512, per_token=32)
    small.save(tmp_path / "a.lca")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(AvatarFileError, match=r"a\.lca could not be written: File too large"):
            large.save(tmp_path / "a.lca")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(Avatar.load(tmp_path / "a.lca").means, small.means)
    assert [one.name for one in tmp_path.iterdir()] == ["a.lca"]
