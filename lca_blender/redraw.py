# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the window for new pictures."""

import bpy


def redraw_views() -> None:
    """Tags every 3D view that shows rendered pictures; nothing without a window."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.shading.type == "RENDERED":
                area.tag_redraw()
