# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine *LCA Gaussians* and the panels that stay with it."""

from . import panels
from .engine import LCA_GaussiansEngine
from .gpu_shaders import forget_shaders

CLASSES = (LCA_GaussiansEngine, *panels.CLASSES)


def register() -> None:
    panels.adopt(LCA_GaussiansEngine.bl_idname)


def unregister() -> None:
    forget_shaders()
    panels.release(LCA_GaussiansEngine.bl_idname)
