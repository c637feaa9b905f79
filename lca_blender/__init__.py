# SPDX-License-Identifier: GPL-3.0-or-later
"""LCA for artists: photos of a person become an animatable avatar of 3D Gaussians.

Neither bpy nor torch is imported here, so `lca_blender.backend` can be imported without bpy.
"""


def register() -> None:
    """Registers properties, panels, operators, the render engine and handlers with Blender."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Unregisters everything that `register` registered."""
    from . import registration

    registration.unregister()
