# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine's class; `final` and `viewport` do the work and are imported when first needed."""

import bpy

from ..backend.errors import UserError
from ..log import log, report_once
from . import cycles_below
from .passes import wanted_passes

ENGINE = "LCA_GAUSSIANS"
_reported: set[str] = set()  # viewport errors that were shown; cleared by `forget_errors`


class LCA_GaussiansEngine(bpy.types.RenderEngine):
    bl_idname = ENGINE
    bl_label = "LCA Gaussians"
    bl_use_preview = False
    bl_use_eevee_viewport = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.session = None  # of Cycles
        self.view = None  # created at the first draw: Blender creates engines only to query their passes

    def update_render_passes(self, scene, view_layer):
        made = set()
        if scene.lca.meshes == "CYCLES" and cycles_below.available(scene):
            made = cycles_below.register_passes(self, scene, view_layer)
        for name, one in wanted_passes(view_layer).items():
            if name not in made:
                self.register_pass(scene, view_layer, name, len(one.channels), one.channels, one.kind)

    def update(self, data, depsgraph):
        if depsgraph.scene_eval.lca.meshes == "CYCLES":
            self._attempt(lambda: cycles_below.begin(self, data, depsgraph))

    def render(self, depsgraph):
        from . import final

        self._attempt(lambda: final.render_layer(self, depsgraph))

    def _attempt(self, step) -> None:
        """Runs a step of a final frame; its error becomes the render's."""
        try:
            step()
        except UserError as error:
            self.report({"ERROR"}, str(error))
        except Exception as error:
            log.exception("Rendering failed")
            self.report({"ERROR"}, sentence(error))

    def __del__(self):
        cycles_below.free(self)

    def view_update(self, context, depsgraph):
        if getattr(self, "view", None) is not None:
            self.view.stale = True
        self.tag_redraw()

    def view_draw(self, context, depsgraph):
        """Catches every exception: Blender would redraw the viewport and raise it again without end."""
        try:
            from . import viewport

            if getattr(self, "view", None) is None:
                self.view = viewport.View()
            self.view.draw(self, context, depsgraph)
            self.update_stats("", "")
        except Exception as error:
            if report_once(_reported, sentence(error)) and not isinstance(error, UserError):
                log.exception("Drawing the viewport failed")
            self.update_stats("LCA Gaussians", sentence(error))


def sentence(error: Exception) -> str:
    """The message for an error of rendering."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return "PyTorch is not installed in this Blender. Install it in the preferences of LCA for artists."
    return f"LCA Gaussians failed: {error!r}. The system console has the details."


def forget_errors() -> None:
    """Resets the reported viewport errors, so that they are shown again."""
    _reported.clear()
