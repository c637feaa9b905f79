# SPDX-License-Identifier: GPL-3.0-or-later
"""The render passes in one table: name, channels, the rasteriser's pass, and when a view layer has it."""

from collections.abc import Callable
from typing import NamedTuple

import bpy

NOTHING_DEPTH = 1e10  # depth of the background, as Cycles and Workbench write it


class Pass(NamedTuple):
    channels: str
    kind: str  # COLOR, VECTOR or VALUE
    source: str  # the rasteriser's pass
    wanted: Callable[[bpy.types.ViewLayer], bool]


PASSES = {
    "Combined": Pass("RGBA", "COLOR", "combined", lambda layer: True),
    "Depth": Pass("Z", "VALUE", "depth", lambda layer: layer.use_pass_z),
    "Normal": Pass("XYZ", "VECTOR", "normal", lambda layer: layer.use_pass_normal),
    "Alpha": Pass("A", "VALUE", "alpha", lambda layer: layer.lca.use_pass_alpha),
    "Albedo": Pass("RGB", "COLOR", "features", lambda layer: layer.lca.use_pass_albedo),
    "Diffuse Light": Pass("RGB", "COLOR", "features", lambda layer: layer.lca.use_pass_diffuse_light),
    "Specular": Pass("RGB", "COLOR", "features", lambda layer: layer.lca.use_pass_specular),
}
# Passes of light, three channels each, in the order of the features: albedo times light and specular together
# are an avatar's colour.
LIGHT_PASSES = ("Albedo", "Diffuse Light", "Specular")


def wanted_passes(layer: bpy.types.ViewLayer) -> list[str]:
    """Names of the passes that are enabled in this view layer, in the table's order."""
    return [name for name, one in PASSES.items() if one.wanted(layer)]
