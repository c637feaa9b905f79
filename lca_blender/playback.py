# SPDX-License-Identifier: GPL-3.0-or-later
"""What must happen around the timeline, undo, load, save and render, besides evaluation itself.

Results are kept by content, so no handler ever has to throw one away to stay right: a frame change or an undo
gives another key. The handlers free memory, let errors speak again, and stop a render that cannot succeed.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .engine import overlay
from .log import log
from .redraw import redraw_views

ENGINE = "LCA_GAUSSIANS"


@persistent
def after_load(_path, _=None) -> None:
    """A new file: nothing of the old one is worth its memory, and no error of an earlier day counts."""
    free_caches()
    for scene in bpy.data.scenes:
        for name in ("message", "remedy", "remedy_operator"):
            scene.lca.property_unset(name)


@persistent
def after_undo(_scene, _=None) -> None:
    from .engine.engine import forget_errors

    forget_errors()
    redraw_views()


@persistent
def after_change(_scene, _=None) -> None:
    overlay.look_again()


@persistent
def before_render(scene, _=None) -> None:
    """`blender -b`: a missing avatar ends the process with status 1 before the first frame.

    A farm must not collect black frames. In the window, and where bpy is a module in somebody's Python, the
    engine reports the same sentence itself.
    """
    if scene.render.engine != ENGINE or not bpy.app.background or getattr(bpy.app, "module", False):
        return
    problems = avatar_problems(scene)
    if problems:
        for problem in problems:
            print(f"Error: {problem}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


@persistent
def before_save(path, _=None) -> None:
    """Saving into another folder: relative paths of avatars and photos go on naming the same files."""
    old, new = bpy.data.filepath, path
    if old and new and Path(old).parent != Path(new).parent:
        for key, properties, name in own_paths():
            kept = getattr(properties, name)
            if kept.startswith("//"):
                _moved[key] = kept
                setattr(properties, name, rebase(kept, Path(old).parent, Path(new).parent))


@persistent
def after_save(path, _=None) -> None:
    """After a copy was saved the open file is still where it was, so are its paths."""
    if Path(path) != Path(bpy.data.filepath):
        restore_paths()
    _moved.clear()


@persistent
def after_failed_save(_path, _=None) -> None:
    """The file stays where it was, so do its paths."""
    restore_paths()
    _moved.clear()


_moved: dict[tuple, str] = {}  # key of `own_paths` -> path before the save that is under way


def own_paths() -> Iterator[tuple[tuple, bpy.types.PropertyGroup, str]]:
    """Where this file, not a library, names avatars and photos: (key, properties, name of the property)."""
    for obj in bpy.data.objects:
        if obj.library is None and not inherits_path(obj):
            yield ("object", obj.name), obj.lca, "filepath"
    for scene in bpy.data.scenes:
        if scene.library is None:
            for number, photo in enumerate(scene.lca.photos):
                yield ("photo", scene.name, number), photo, "path"


def inherits_path(obj: bpy.types.Object) -> bool:
    """Whether an object's path is that of the object it overrides, and so starts at the library's folder."""
    reference = obj.override_library and obj.override_library.reference
    return bool(reference) and reference.lca.filepath == obj.lca.filepath


def restore_paths() -> None:
    """The paths as they were before `before_save`."""
    for key, properties, name in own_paths():
        if key in _moved:
            setattr(properties, name, _moved[key])


def avatar_problems(scene: bpy.types.Scene) -> list[str]:
    """One sentence for every avatar of the scene that a render would need and not find."""
    from .scene.avatar_data import avatar_problem, is_avatar

    avatars = [obj for obj in scene.objects if is_avatar(obj) and not obj.hide_render]
    return [str(problem) for obj in avatars if (problem := avatar_problem(obj))]


def rebase(path: str, old: Path, new: Path) -> str:
    """A `//` path from `old`, rewritten to start at `new`; absolute where no relative one exists."""
    absolute = os.path.normpath(old / path[2:])
    try:
        return "//" + os.path.relpath(absolute, new).replace(os.sep, "/")
    except ValueError:  # another drive
        return absolute


def free_caches() -> None:
    """Drops kept avatars, results and errors; modules that were never needed are not imported for it."""
    from .engine.engine import forget_errors

    forget_errors()
    overlay.forget()
    data = sys.modules.get(f"{__package__}.scene.avatar_data")
    results = sys.modules.get(f"{__package__}.scene.evaluate")
    if data:
        data.forget_avatars()
    if results:
        results.forget_results()
    meshes = sys.modules.get(f"{__package__}.scene.meshes")
    if meshes:
        meshes.forget_meshes()


HANDLERS = (
    ("load_post", after_load),
    ("undo_post", after_undo),
    ("redo_post", after_undo),
    ("depsgraph_update_post", after_change),
    ("frame_change_post", after_change),
    ("render_init", before_render),
    ("save_pre", before_save),
    ("save_post", after_save),
    ("save_post_fail", after_failed_save),
)


def register() -> None:
    for name, function in HANDLERS:
        getattr(bpy.app.handlers, name).append(function)


def unregister() -> None:
    for name, function in HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if function in handlers:
            handlers.remove(function)
    free_caches()
    log.debug("unregistered")
