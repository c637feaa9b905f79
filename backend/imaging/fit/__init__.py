# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's body fitted to photos of one person: camera, pose, shape, expression and gaze."""
