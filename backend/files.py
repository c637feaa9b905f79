# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic file writes; OSError becomes a UserError."""

import errno
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import UserError

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
LEFT = 600  # seconds since the last write to a temporary file, after which its process is gone
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on leaving, it is synced and replaces `path`.

    If anything fails the old file is unchanged and the temporary one is removed; one that a killed process
    left is removed when the same file is written again. OSError becomes UserError.
    """
    path = Path(path)
    temporary = None
    try:
        _remove_left(path)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:60]}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text atomically; UserError where the file cannot be written."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_writable(path: str | Path) -> None:
    """Raises the UserError that writing `path` would raise, to be called before long work."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path.name} is a folder.", "Choose a file name.")
    try:
        with tempfile.NamedTemporaryFile(prefix=".lca", dir=path.parent):
            pass
    except OSError as error:
        raise disk_error(error, path) from error


def require_room(path: str | Path, size: int) -> None:
    """Raises the UserError of a folder that cannot take `size` more bytes beside `path`."""
    path = Path(path)
    try:
        with tempfile.NamedTemporaryFile(prefix=".lca", dir=path.parent) as file:
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: str | Path) -> UserError:
    """The UserError for a file that cannot be written."""
    path = Path(path)
    if error.errno in FULL:
        return UserError(
            f"The disk is full: {path.name} could not be written.",
            "Free some space or choose another folder.",
        )
    if error.errno in READ_ONLY:
        return UserError(f"The folder {path.parent} cannot be written to.", "Choose another folder.")
    if isinstance(error, FileNotFoundError):
        return UserError(f"The folder {path.parent} does not exist.", "Choose another folder.")
    return UserError(
        f"{path.name} could not be written: {error.strerror or error}.", "Choose another folder."
    )


def _remove_left(path: Path) -> None:
    """Removes temporary files of `path` that nobody has written to for so long that nobody will."""
    for other in path.parent.glob(f".{glob.escape(path.name[:60])}.*.part"):
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > LEFT:
                other.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
