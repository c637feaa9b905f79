# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces without an avatar: channels, presets, visemes, animations and the files that hold them."""
