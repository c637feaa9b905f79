# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads a wheel from PyPI as a file, which is never installed or imported."""

import hashlib
import subprocess
import sys
from pathlib import Path


def download(folder: Path, package: str, version: str, wheel: str, sha256: str, tags=()) -> Path:
    """The wheel in `folder`, by pip and so from where pip is told to look; ends the process with one sentence
    where it cannot be had or is another file than expected. `tags` are pip's words for a platform."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *tags]
    code = subprocess.run([*fetch, "--dest", str(folder), f"{package}=={version}"]).returncode
    path = folder / wheel
    if code or not path.exists():
        sys.exit(
            f"pip could not download {wheel}. Bring it from https://pypi.org/project/{package}/{version}/#files "
            "and name its folder: PIP_FIND_LINKS=FOLDER."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{wheel} is not the file that was expected: its SHA-256 is {found}, not {sha256}.")
    return path


def digest(folder: Path, *more: str) -> str:
    """Changes with every line of Python in a folder, and with the texts given."""
    found = hashlib.sha256("\0".join(more).encode())
    for file in sorted(folder.glob("*.py")):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
