# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads a wheel from PyPI as a file, which is never installed or imported."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Wheel(NamedTuple):
    """One file of PyPI: `tags` are Python, ABI and platform as in its name (PEP 425), `sha256` its digest."""

    package: str
    version: str
    tags: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.package}-{self.version}-{self.tags}.whl"


def download(wheel: Wheel, folder: Path) -> Path:
    """The wheel in `folder`, by pip and so from where pip is told to look; ends the process with one sentence
    where it cannot be had or is another file than expected."""
    python, abi, platform = wheel.tags.split("-")
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    if platform != "any":
        fetch += ["--python-version", python[2:], "--abi", abi, "--platform", platform]
    wanted = f"{wheel.package}=={wheel.version}"
    code = subprocess.run([*fetch, "--dest", str(folder), wanted]).returncode
    path = folder / wheel.name
    if code or not path.exists():
        sys.exit(
            f"pip could not download {wheel.name}. Bring it from "
            f"https://pypi.org/project/{wheel.package}/{wheel.version}/#files and name its folder: "
            "PIP_FIND_LINKS=FOLDER."
        )
    return checked(wheel, path)


def checked(wheel: Wheel, path: Path) -> Path:
    """The path; ends the process with one sentence where the file is not the one expected."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        sys.exit(
            f"{wheel.name} is not the file that was expected: its SHA-256 is {found}, not {wheel.sha256}."
        )
    return path


def digest(folder: Path, wheel: Wheel, *more: Path) -> str:
    """Changes with the wheel, with every line of Python in a folder, and with the files given."""
    found = hashlib.sha256(wheel.sha256.encode())
    for file in (*sorted(folder.glob("*.py")), *more):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
