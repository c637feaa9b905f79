# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled kernels: how every numba function of the raster is compiled, and where the machine code is kept.

The installed package may be read-only, so compiled code goes to the user's cache folder. numba notices an
edit in the file of a kernel but not in a file that the kernel calls into, hence the digest of the sources in
the name.
"""

import functools
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import numba


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "raster").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_folder() -> Path:
    """The folder for compiled kernels: the user's cache, or a temporary folder where that cannot be
    written."""
    name = Path("lca_blender") / f"numba-{_source_digest()}"
    try:
        folder = _user_cache() / name
    except RuntimeError:  # no home folder
        folder = None
    if folder is not None and _writable(folder):
        return folder
    return Path(tempfile.mkdtemp(prefix="lca_blender_numba_"))


if not os.environ.get("NUMBA_CACHE_DIR"):
    os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = str(cache_folder())

# `contract` lets a*b+c become one instruction. NaN and infinity keep their meaning: the kernels test for
# them.
kernel = functools.partial(numba.njit, nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
