# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that installs PyTorch, with pip itself and packages of this machine alone."""

import io
import socket
import tarfile
import threading
import time
import tomllib
import zipfile
from pathlib import Path

import bpy
import pytest
from lca_blender.backend.errors import UserError
from lca_blender.backend.jobs import Cancelled
from lca_blender.operators.install_torch import REQUIREMENT, pip_install


def install(requirement, folder, cancelled=lambda: False):
    pip_install(str(requirement), folder, lambda fraction, message: None, cancelled)


def write_wheel(path, name):
    """A package without anything but its name."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def test_torch_is_the_one_that_is_tested():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert REQUIREMENT in project["dependencies"]


def test_only_built_packages_are_installed(tmp_path, monkeypatch):
    """A source package is a program that pip would run."""
    source = tmp_path / "thing-1.0.tar.gz"
    script = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    script += "from setuptools import setup\nsetup(name='thing', version='1.0')\n"
    with tarfile.open(source, "w:gz") as archive:
        member = tarfile.TarInfo("thing-1.0/setup.py")
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's spelling of: with the setuptools that are here
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match="could not be installed"):
        install("thing==1.0", tmp_path / "packages")
    assert not (tmp_path / "ran").exists()


def test_torch_is_only_installed_online(scene):
    assert not bpy.app.online_access
    assert not bpy.ops.lca.install_torch.poll()


def test_numpy_stays_blenders_own_at_every_install(tmp_path):
    wheel = write_wheel(tmp_path / "numpy-1.0-py3-none-any.whl", "numpy")
    other = write_wheel(tmp_path / "kept-1.0-py3-none-any.whl", "kept")
    for _ in range(2):
        install(wheel, tmp_path / "packages")
    install(other, tmp_path / "packages")
    assert sorted(path.name for path in (tmp_path / "packages").iterdir()) == ["kept", "kept-1.0.dist-info"]


def test_what_pip_refuses_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="PyTorch could not be installed: ERROR"):
        install(tmp_path / "gone-1.0-py3-none-any.whl", tmp_path / "packages")


def test_stopping_ends_pip_while_it_waits_for_a_download(tmp_path):
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/thing-1.0-py3-none-any.whl"
        accepted = []

        def serve():
            accepted.extend((silent.accept()[0], time.monotonic()))
            asked.set()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(Cancelled):
            install(address, tmp_path / "packages", cancelled=asked.is_set)
        assert time.monotonic() - accepted[1] < 5  # pip itself gives up after 15 s
        with accepted[0] as connection:
            connection.settimeout(5)
            while connection.recv(4096):  # the request, then the end of a connection that nobody holds
                pass
