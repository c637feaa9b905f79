# SPDX-License-Identifier: GPL-3.0-or-later
"""The render passes in one table: name, channels, the rasteriser's pass, and when a view layer has it."""

from collections.abc import Callable
from typing import NamedTuple

import bpy
import numpy as np

Pictures = dict[str, np.ndarray]  # passes [H,W,C] by name
OBJECT_INDEX = "Object Index" if bpy.app.version >= (5, 0) else "IndexOB"
NOTHING_DEPTH = 1e10  # depth of the background, as Cycles and Workbench write it


class Pass(NamedTuple):
    channels: str
    kind: str  # COLOR, VECTOR or VALUE
    source: str  # the rasteriser's pass; "derived": made of other passes by `finish`
    wanted: Callable[[bpy.types.ViewLayer], bool]


PASSES = {
    "Combined": Pass("RGBA", "COLOR", "combined", lambda layer: True),
    "Depth": Pass("Z", "VALUE", "depth", lambda layer: layer.use_pass_z),
    "Mist": Pass("Z", "VALUE", "derived", lambda layer: layer.use_pass_mist),
    "Position": Pass("XYZ", "VECTOR", "derived", lambda layer: layer.use_pass_position),
    "Normal": Pass("XYZ", "VECTOR", "normal", lambda layer: layer.use_pass_normal),
    "Vector": Pass("XYZW", "VECTOR", "features", lambda layer: layer.use_pass_vector),
    OBJECT_INDEX: Pass("X", "VALUE", "derived", lambda layer: layer.use_pass_object_index),
    "Alpha": Pass("A", "VALUE", "alpha", lambda layer: layer.lca.use_pass_alpha),
    "Albedo": Pass("RGB", "COLOR", "features", lambda layer: layer.lca.use_pass_albedo),
    "Diffuse Light": Pass("RGB", "COLOR", "features", lambda layer: layer.lca.use_pass_diffuse_light),
    "Specular": Pass("RGB", "COLOR", "features", lambda layer: layer.lca.use_pass_specular),
}
# Passes of light, three channels each: albedo times light and specular together are an avatar's colour.
LIGHT_PASSES = ("Albedo", "Diffuse Light", "Specular")
CRYPTOMATTES = {  # kind -> the view layer's switch
    "CryptoObject": "use_pass_cryptomatte_object",
    "CryptoMaterial": "use_pass_cryptomatte_material",
    "CryptoAsset": "use_pass_cryptomatte_asset",
}


def wanted_passes(layer: bpy.types.ViewLayer) -> dict[str, Pass]:
    """The passes that are enabled in this view layer, by name."""
    found = {name: one for name, one in PASSES.items() if one.wanted(layer)}
    count = (min(16, layer.pass_cryptomatte_depth) + 1) // 2  # two ranks to a pass, as Cycles has them
    for kind, switch in CRYPTOMATTES.items():
        if getattr(layer, switch):
            matte = Pass("rgba", "COLOR", "derived", lambda _: True)
            found |= {f"{kind}{i:02}": matte for i in range(count)}
    return found


def painted(names) -> list[str]:
    """What has to be painted for some passes, among it what others are derived of."""
    wanted = [name for name in names if name in PASSES and PASSES[name].source != "derived"]
    if {"Mist", "Position"} & set(names) and "Depth" not in wanted:
        wanted.append("Depth")
    if OBJECT_INDEX in names or any(name.startswith("Crypto") for name in names):
        wanted.append("People")
    return wanted
