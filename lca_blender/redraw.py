# SPDX-License-Identifier: GPL-3.0-or-later
"""Redraws of Blender's windows."""

import bpy


def redraw_sidebars() -> None:
    """Tags the sidebars of 3D views alone: what a tick of work needs, without drawing the scene again."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def redraw_views() -> None:
    """Tags every 3D view of every window, its sidebar included; does nothing without a window."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
