# SPDX-License-Identifier: GPL-3.0-or-later
"""From an avatar object to the loaded `Avatar`: where the file is, packed bytes, one copy for all objects.

An avatar's file hangs on the object as an image data-block, `Object.lca.file`: never shown, but known to all
of Blender's own handling of files, and to that of farms: External Data, Save As, Append, Pack. All functions
take original objects, never evaluated ones.
"""

import tempfile
from hashlib import sha256
from pathlib import Path

import bpy

from ..backend.errors import UserError
from ..backend.files import replacing

SUFFIX = ".lca"
_loaded: dict[tuple, object] = {}
_digests: dict[tuple, str] = {}  # sha256 of packed bytes, by the data-block that holds them


def is_avatar(obj: bpy.types.Object) -> bool:
    return obj.type == "MESH" and obj.lca.file is not None


def name_file(obj: bpy.types.Object, path: str) -> None:
    """Lets an object name an avatar's file, `path` as a .blend keeps it; empty: none."""
    if not path:
        obj.lca.file = None
        return
    own = [block for block in bpy.data.images if block.library is None and not block.packed_file]
    known = next((b for b in own if b.filepath == path and path.endswith(SUFFIX)), None)
    if known is None:
        known = bpy.data.images.new(bpy.path.basename(path) or path, 1, 1)
        known.source, known.filepath = "FILE", path
    obj.lca.file = known


def adopt_old_paths() -> None:
    """Files of old kept an avatar's path as a text of its object: makes data-blocks of these."""
    for obj in bpy.data.objects:
        if obj.type != "MESH" or obj.lca.file is not None:
            continue
        raw = obj.lca.bl_system_properties_get() if bpy.app.version >= (5, 0, 0) else obj.lca
        path = raw.get("filepath") if raw else None
        if isinstance(path, str) and path:
            name_file(obj, bpy.path.abspath(path, library=obj.library) if obj.library else path)


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
    """Absolute path of the object's avatar file; relative ones start at the .blend that holds its name."""
    block = obj.lca.file
    return Path(bpy.path.abspath(block.filepath, library=block.library) if block else "")


def is_packed(obj: bpy.types.Object) -> bool:
    """Whether the .blend holds the avatar's file."""
    return obj.lca.file is not None and obj.lca.file.packed_file is not None


def avatar_problem(obj: bpy.types.Object) -> UserError | None:
    """Why this object's avatar cannot be found, without reading it; None when it is there."""
    if is_packed(obj) or avatar_path(obj).is_file():
        return None
    return UserError(
        f"The avatar file of \u201c{obj.name}\u201d is missing: {avatar_path(obj)}",
        "Put the file back, choose it again under Avatar in the sidebar, or use File > External Data.",
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


def avatar_if_read(obj: bpy.types.Object):
    """The `Avatar` of an object if it has been read already, else None: for panels, which must not wait."""
    return None if avatar_problem(obj) else _loaded.get(_key(obj))


def albedo_remarks(obj: bpy.types.Object) -> list[str]:
    """What the scene's light cannot do for this object's avatar, as far as it has been read already."""
    avatar = avatar_if_read(obj)
    if avatar is None or avatar.albedo is not None:
        return []
    return ["This avatar's file holds no albedo: the scene's light adds to the photos'. Create it again."]


def forget_avatars() -> None:
    """Clears the cache of loaded avatars; they are read again when needed."""
    _loaded.clear()
    _digests.clear()


def pack(obj: bpy.types.Object) -> None:
    """Stores the avatar file's bytes in the .blend, so that it alone is enough."""
    load_avatar(obj)  # only a sound file is worth packing
    if is_packed(obj):
        return
    content, path = avatar_path(obj).read_bytes(), obj.lca.filepath
    block = obj.lca.file
    if block.library is not None:  # of an overridden object: its own copy
        block = bpy.data.images.new(bpy.path.basename(path), 1, 1)
        block.source, obj.lca.file = "FILE", block
        block.filepath = relative_if_saved(avatar_path(obj))
    block.pack(data=content, data_len=len(content))
    forget_avatars()
    obj.update_tag()


def unpack(obj: bpy.types.Object, path: Path) -> None:
    """Writes the packed bytes to `path` and lets all objects that shared them name that file."""
    content = _packed(obj)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    obj.lca.file.filepath = relative_if_saved(path)
    obj.lca.file.unpack(method="REMOVE")
    forget_avatars()


def relative_if_saved(path: Path) -> str:
    """The path as a .blend should keep it: relative to the .blend where both are on one drive."""
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:
        return str(path)


def _packed(obj: bpy.types.Object) -> bytes:
    return bytes(obj.lca.file.packed_file.data)


def _key(obj: bpy.types.Object) -> tuple:
    """What an avatar is kept by: a file's path and state; packed, its own bytes, whatever they are called."""
    block = obj.lca.file
    if is_packed(obj):
        place = (block.session_uid, block.packed_file.as_pointer(), block.packed_file.size)
        if place not in _digests:
            _digests[place] = sha256(_packed(obj)).hexdigest()
        return ("packed", _digests[place])
    for place in [place for place in _digests if place[0] == block.session_uid]:
        del _digests[place]
    path = avatar_path(obj).resolve()
    state = path.stat()
    return (str(path), state.st_mtime_ns, state.st_size)


def _read(obj: bpy.types.Object):
    from ..backend.avatar import Avatar

    if not is_packed(obj):
        return Avatar.load(avatar_path(obj))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "packed.lca")
        path.write_bytes(_packed(obj))
        return Avatar.load(path)
