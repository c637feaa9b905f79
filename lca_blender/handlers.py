# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of Blender's events: loading, undo, changes of the scene, saving, rendering.

Results are cached by content, so no handler has to invalidate one: another frame is another key. The handlers
free memory, clear error messages, keep relative paths right, and stop a render that cannot succeed.
"""

import os
import sys
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .engine import overlay
from .engine.engine import ENGINE, forget_errors
from .log import log
from .redraw import redraw_views
from .scene.armature import rig_of
from .scene.avatar_data import adopt_old_paths, avatar_problem, forget_avatars, is_avatar
from .scene.erased import forget_shown
from .scene.paths import keep_paths, rebase_paths, restore_paths
from .scene.rendered import rendered_objects
from .scene.rest_pose import follow_renames


@persistent
def after_load(_path, _=None) -> None:
    """After loading a file: clears caches and stored error messages."""
    free_caches()
    adopt_old_paths()
    for scene in bpy.data.scenes:
        for name in ("message", "remedy", "remedy_operator"):
            scene.lca.property_unset(name)


@persistent
def after_undo(_scene, _=None) -> None:
    forget_errors()
    redraw_views()


@persistent
def after_change(_scene, depsgraph=None) -> None:
    overlay.mark_stale()
    if depsgraph is not None and depsgraph.id_type_updated("ARMATURE"):
        for obj in bpy.data.objects:
            if obj.lca.armature is not None and is_avatar(obj):
                follow_renames(obj, rig_of(obj.lca.armature))


@persistent
def before_render(scene, _=None) -> None:
    """`blender -b`: a missing avatar ends the process with status 1 before the first frame.

    A render farm must not collect empty frames. In the window, and where bpy is a module in another Python,
    the engine reports the same sentence itself.
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
    """Saving into another folder: relative paths of photos go on naming the same files."""
    old, new = bpy.data.filepath, path
    if old and new and Path(old).parent != Path(new).parent:
        rebase_paths(Path(old).parent, Path(new).parent)


@persistent
def after_save(path, _=None) -> None:
    """A saved copy leaves the open file, and so its paths, where they were."""
    if Path(path) == Path(bpy.data.filepath):
        keep_paths()
    else:
        restore_paths()


@persistent
def after_failed_save(_path, _=None) -> None:
    restore_paths()


def avatar_problems(scene: bpy.types.Scene) -> list[str]:
    """One sentence for every avatar that a render of the scene needs and whose file is missing."""
    avatars = sorted((obj for obj in rendered_objects(scene) if is_avatar(obj)), key=lambda obj: obj.name)
    return [str(problem) for obj in avatars if (problem := avatar_problem(obj))]


def free_caches() -> None:
    """Drops cached avatars, results and errors; modules that import torch are not imported for it."""
    forget_errors()
    overlay.forget()
    forget_avatars()
    forget_shown()
    results = sys.modules.get(f"{__package__}.scene.evaluate")
    meshes = sys.modules.get(f"{__package__}.scene.meshes")
    lighting = sys.modules.get(f"{__package__}.scene.lighting")
    maps = sys.modules.get(f"{__package__}.scene.world_light")
    if results:
        results.forget_results()
    if meshes:
        meshes.forget_meshes()
    if lighting:
        lighting.forget_lit()
    if maps:
        maps.forget_maps()


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
