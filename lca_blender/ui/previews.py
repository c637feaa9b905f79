# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files as icons in the sidebar, loaded once."""

from pathlib import Path

import bpy.utils.previews

_previews = None


def icon_of(path: str) -> int:
    """The icon of a picture file; 0 where there is none."""
    if _previews is None or not path or not Path(path).is_file():
        return 0
    if path not in _previews:
        _previews.load(path, path, "IMAGE")
    return _previews[path].icon_id


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None
