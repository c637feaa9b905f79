# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: device, model, drawing of the 3D view; and which packages are installed."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .redraw import redraw_views

PACKAGES = ("torch", "lca_kernels", "scipy", "gsplat")


def _redraw(_preferences, _context) -> None:
    redraw_views()


class LCA_Preferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    device: EnumProperty(
        name="Device",
        description="The device that the network runs on",
        items=[
            ("AUTO", "Automatic", "A CUDA device where there is one, else the CPU"),
            ("CPU", "CPU", "Always the CPU"),
            ("CUDA", "CUDA", "An NVIDIA graphics card"),
        ],
        default="AUTO",
    )
    viewport: EnumProperty(
        name="3D View",
        description="The device that draws the splats of the rendered 3D view",
        items=[
            ("AUTO", "Automatic", "The graphics card, unless it is software rendering (llvmpipe)"),
            ("GPU", "Graphics card", "Any vendor's; the scene's meshes are shown as plain grey surfaces"),
            ("CPU", "CPU", "The rasteriser of final frames"),
        ],
        default="AUTO",
        update=_redraw,
    )
    viewport_solid: BoolProperty(
        name="Splats in Solid and Material Preview",
        description="Draw the avatars' splats in these shading modes too, if the graphics card can draw them",
        default=False,
        update=_redraw,
    )
    show_new: BoolProperty(
        name="Show New Avatars",
        description="In a file that was not saved yet, Create Avatar ends with what Show Avatar does",
        default=True,
    )
    model: StringProperty(
        name="Model",
        description="A trained model to use in place of the bundled starter model",
        subtype="FILE_PATH",
    )

    def draw(self, _context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "device")
        layout.prop(self, "viewport")
        layout.prop(self, "viewport_solid")
        if self.viewport_solid:
            from .engine.gpu_support import gpu_draws

            if not gpu_draws():
                layout.label(
                    text="Not available: this machine draws the splats by its processor", icon="INFO"
                )
        layout.prop(self, "show_new")
        layout.prop(self, "model")
        box = layout.box()
        for name in PACKAGES:
            found = installed(name)
            missing = "is not installed" + (", which only CUDA needs" if name == "gsplat" else "")
            icon = "CHECKMARK" if found else "BLANK1" if name == "gsplat" else "X"
            box.label(text=f"{name} {found or missing}", icon=icon)
        if installed("torch") is None:
            box.operator("lca.install_torch", icon="IMPORT")
        layout.operator("lca.open_manual", icon="HELP")


DEFAULTS = SimpleNamespace(
    **{name: one.keywords.get("default", "") for name, one in LCA_Preferences.__annotations__.items()}
)


def preferences() -> LCA_Preferences | SimpleNamespace:
    """The add-on's preferences; their defaults where the package runs without being enabled as an add-on."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon and addon.preferences else DEFAULTS


def torch_device() -> str:
    """ "cuda" or "cpu", by the preference and the machine."""
    wanted = preferences().device
    if wanted == "CPU":
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def installed(package: str) -> str | None:
    """Version of an installed package without importing it; None when it is missing."""
    if importlib.util.find_spec(package) is None:
        return None
    try:
        return version(package)
    except PackageNotFoundError:
        return "(unknown version)"


CLASSES = (LCA_Preferences,)
