# SPDX-License-Identifier: GPL-3.0-or-later
"""LCA for artists: photos of a person become an animatable avatar of 3D Gaussians.

Nothing heavy and nothing of Blender is imported here, so `lca_blender.backend` works without either.
"""


def register() -> None:
    """Makes the extension known to Blender: properties, panels, operators, the render engine, handlers."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Takes everything back that `register` made known."""
    from . import registration

    registration.unregister()
