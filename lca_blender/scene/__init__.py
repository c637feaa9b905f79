# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that reads Blender's data: cameras, armatures, worlds and avatar objects become arrays."""
