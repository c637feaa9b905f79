# SPDX-License-Identifier: GPL-3.0-or-later
"""Relative paths of photos while a .blend is saved into another folder; avatars' are Blender's own matter."""

import os
from collections.abc import Iterator
from pathlib import Path

import bpy

_before: dict[tuple, str] = {}  # key of `own_paths` -> path before the save that is under way


def rebase_paths(old: Path, new: Path) -> None:
    """Rewrites this file's `//` paths, which start at folder `old`, to name the same files from `new`."""
    for key, properties, name in own_paths():
        path = getattr(properties, name)
        if path.startswith("//"):
            _before[key] = path
            setattr(properties, name, rebase(path, old, new))


def restore_paths() -> None:
    """Undoes `rebase_paths`: a copy was saved, or saving failed."""
    for key, properties, name in own_paths():
        if key in _before:
            setattr(properties, name, _before[key])
    _before.clear()


def keep_paths() -> None:
    """Confirms `rebase_paths`: the open file is now the one that was saved."""
    _before.clear()


def own_paths() -> Iterator[tuple[tuple, bpy.types.PropertyGroup, str]]:
    """Properties of this file, not of a library, that name photos: (key, group, name)."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            for number, photo in enumerate(scene.lca.photos):
                yield ("photo", scene.name, number), photo, "path"


def rebase(path: str, old: Path, new: Path) -> str:
    """A `//` path from `old`, rewritten to start at `new`; absolute where no relative one exists."""
    absolute = os.path.normpath(old / path[2:])
    try:
        return "//" + os.path.relpath(absolute, new).replace(os.sep, "/")
    except ValueError:  # another drive
        return absolute
