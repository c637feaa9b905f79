# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine *LCA Gaussians* and the panels that show with it."""

from . import overlay, panels
from .engine import LCA_GaussiansEngine
from .gpu_shaders import forget_shaders

CLASSES = (LCA_GaussiansEngine, *panels.CLASSES)


def register() -> None:
    panels.adopt()
    overlay.register()


def unregister() -> None:
    overlay.unregister()
    forget_shaders()
    panels.release()
