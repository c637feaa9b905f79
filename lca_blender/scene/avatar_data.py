# SPDX-License-Identifier: GPL-3.0-or-later
"""From an avatar object to the loaded `Avatar`: where the file is, packed bytes, one copy for all objects.

All functions take original objects, never evaluated ones.
"""

import os
import tempfile
from pathlib import Path

import bpy

from ..backend.errors import UserError

PACKED = "lca_packed"  # ID property of the object's mesh that holds the bytes of a packed avatar
PACKED_HASH = "lca_packed_hash"
_loaded: dict[tuple, object] = {}


def is_avatar(obj: bpy.types.Object) -> bool:
    return obj.type == "MESH" and bool(obj.lca.filepath or PACKED in obj.data)


def active_avatar(context: bpy.types.Context) -> bpy.types.Object | None:
    """The avatar to work on: the active object, else the only selected one, else the active rig's."""
    active = context.active_object
    if active is not None and is_avatar(active):
        return active
    chosen = [obj for obj in context.selected_objects if is_avatar(obj)]
    if not chosen and active is not None and active.type == "ARMATURE":
        chosen = [obj for obj in context.scene.objects if is_avatar(obj) and obj.lca.armature == active]
    return chosen[0] if len(chosen) == 1 else None


def present_rig(obj: bpy.types.Object, scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The armature that moves an avatar, or None: a pointer outlives an armature deleted from the scene."""
    return obj.lca.armature if obj.lca.armature in scene.objects.values() else None


def avatar_path(obj: bpy.types.Object) -> Path:
    """Absolute path of the object's avatar file; relative ones start at the .blend that holds the object.

    An overridden object lives in this file, but its untouched path still starts at the library's.
    """
    candidates = [obj.library]
    if obj.override_library and obj.override_library.reference:
        candidates.append(obj.override_library.reference.library)
    paths = [Path(bpy.path.abspath(obj.lca.filepath, library=library)) for library in candidates]
    return next((path for path in paths if path.is_file()), paths[0])


def avatar_problem(obj: bpy.types.Object) -> UserError | None:
    """Why this object's avatar cannot be found, without reading it; None when it is there."""
    if PACKED in obj.data or avatar_path(obj).is_file():
        return None
    return UserError(
        f"The avatar file of \u201c{obj.name}\u201d is missing: {avatar_path(obj)}",
        "Put the file back, or choose it again under Avatar in the sidebar.",
    )


def load_avatar(obj: bpy.types.Object):
    """The backend `Avatar` of an object; read once for all objects, and again when the file changes.

    Raises `UserError` when the file is missing or unreadable.
    """
    problem = avatar_problem(obj)
    if problem:
        raise problem
    key = _key(obj)
    if key not in _loaded:
        _loaded[key] = _read(obj)
    return _loaded[key]


def forget_avatars() -> None:
    """Clears the cache of loaded avatars; they are read again when needed."""
    _loaded.clear()


def pack(obj: bpy.types.Object) -> None:
    """Stores the avatar file's bytes in the object's mesh, so that the .blend alone is enough."""
    avatar = load_avatar(obj)  # only a sound file is worth packing
    obj.data[PACKED] = avatar_path(obj).read_bytes()
    obj.data[PACKED_HASH] = avatar.hash
    obj.update_tag()


def unpack(obj: bpy.types.Object, path: Path) -> None:
    """Writes the packed bytes to `path` and lets the object name that file."""
    _write_atomically(Path(path), bytes(obj.data[PACKED]))
    del obj.data[PACKED], obj.data[PACKED_HASH]
    obj.lca.filepath = relative_if_saved(path)


def relative_if_saved(path: Path) -> str:
    """The path as a .blend should keep it: relative to the .blend where both are on one drive."""
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:
        return str(path)


def _key(obj: bpy.types.Object) -> tuple:
    if PACKED in obj.data:
        return ("packed", obj.data[PACKED_HASH])
    path = avatar_path(obj).resolve()
    state = path.stat()
    return (str(path), state.st_mtime_ns, state.st_size)


def _read(obj: bpy.types.Object):
    from ..backend.avatar import Avatar

    if PACKED not in obj.data:
        return Avatar.load(avatar_path(obj))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "packed.lca")
        path.write_bytes(bytes(obj.data[PACKED]))
        return Avatar.load(path)


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"The avatar cannot be written to {path}: {error.strerror}.", "Choose another folder."
        ) from error
