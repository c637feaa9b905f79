# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in the light of a scene: lights, environment maps, visibility and shading.

Scene-linear RGB, metres, Z up, Blender's units of light. `shading.LitAvatar` is what runs every frame,
`reference` the slow integration that it is tested against.
"""
