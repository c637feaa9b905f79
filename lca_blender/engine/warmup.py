# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the kernels that the first picture needs: some seconds after an installation.

It happens on a thread, so the window stays alive and the viewport says what it waits for.
"""

import threading

import bpy
import torch

from ..backend.avatar import Avatar, Signal
from ..backend.raster import Camera, rasterize
from ..redraw import redraw_views
from ..scene.avatar_data import load_avatar
from ..scene.evaluate import visible_avatars

LOOK_AGAIN = 0.25  # seconds
_thread: threading.Thread | None = None


def ready(depsgraph: bpy.types.Depsgraph) -> bool:
    """Whether pictures can be drawn at once; the first call that sees an avatar starts compiling."""
    global _thread
    if _thread is None:
        obj = next((obj for obj, _ in visible_avatars(depsgraph)), None)
        if obj is None:
            return True
        _thread = threading.Thread(target=compile_kernels, args=(load_avatar(obj),), daemon=True)
        _thread.start()
        _thread.join(LOOK_AGAIN)  # kernels from the cache are ready by then
        if _thread.is_alive():
            bpy.app.timers.register(_look_again)
    return not _thread.is_alive()


def compile_kernels(avatar: Avatar) -> None:
    """Draws the avatar once, small; what fails here fails again in the open when the view is drawn."""
    joints = len(avatar.joint_names)
    rest = Signal(torch.eye(4).repeat(joints, 1, 1), torch.zeros(52), torch.zeros(2, 2))
    camera = Camera(torch.eye(4), [[8.0, 0, 8], [0, 8, 8], [0, 0, 1]], 16, 16)
    rasterize(avatar.drive(rest), camera)


def _look_again() -> float | None:
    if _thread.is_alive():
        return LOOK_AGAIN
    redraw_views()
    return None
