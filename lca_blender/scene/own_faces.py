# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own faces: where their file is, and what it holds now."""

from functools import lru_cache
from pathlib import Path

import bpy

from ..backend.errors import UserError
from ..backend.face.channels import Face
from ..backend.face.own import read_faces


def own_faces_file() -> Path:
    """Where this user's own faces are kept, for all versions of the extension."""
    folder = bpy.utils.user_resource("CONFIG", create=True)
    if not folder:
        raise UserError("Blender's folder of user preferences cannot be written to.", "Make it writable.")
    return Path(folder) / "lca_faces.json"


def own_faces() -> dict[str, Face]:
    """The user's own faces, read again when the file has changed. Raises `UserError`."""
    path = own_faces_file()
    try:
        state = path.stat()
    except OSError:
        return {}
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int, _size: int) -> dict[str, Face]:
    return read_faces(path)


def own_face(name: str) -> Face:
    faces = own_faces()
    if name not in faces:
        raise UserError(f"There is no face of your own called \u201c{name}\u201d.", "Choose another one.")
    return faces[name]
