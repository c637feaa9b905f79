# SPDX-License-Identifier: GPL-3.0-or-later
"""The package comes before torch, whose threads then sleep while they wait (backend/__init__.py)."""

import lca_blender.backend  # noqa: F401
