# SPDX-License-Identifier: GPL-3.0-or-later
"""The 3D view drawn by the graphics card, next to the rasteriser on the processor.

    .venv/bin/python benchmarks/viewport.py

Prints JSON; each case names the card. Without one, OpenGL is imitated by the processor and says so.
"""

import json
import os
import sys
from dataclasses import replace

import bpy
import gpu
import numpy as np
from lca_blender.backend.raster import rasterize
from lca_blender.backend.training.bench.timing import case, medians
from lca_blender.backend.training.bench.workload import body, camera

from lca_blender.engine.gpu_canvas import Canvas
from lca_blender.engine.gpu_order import best_order

COUNT = 65536
REPEATS = 9
PEER = "rasterize on the processor"


class LCA_ContextEngine(bpy.types.RenderEngine):
    """Renders nothing; Blender without a window makes its GPU context for it."""

    bl_idname = "LCA_CONTEXT"
    bl_label = "Context"
    bl_use_gpu_context = True

    def render(self, depsgraph):
        pass


def make_context() -> None:
    bpy.utils.register_class(LCA_ContextEngine)
    bpy.context.scene.render.engine = LCA_ContextEngine.bl_idname
    bpy.ops.render.render()
    bpy.utils.unregister_class(LCA_ContextEngine)


def finish(canvas: Canvas) -> None:
    """Waits until the picture is there."""
    buffer = canvas.color_only.read_color(0, 0, 1, 1, 4, 0, "FLOAT")
    buffer.dimensions = 4
    np.array(buffer)


def cases():
    """A turning view, and a moving avatar in a still view."""
    make_context()
    splats = replace(body(COUNT), linear=True)
    more = {"card": gpu.platform.renderer_get(), "sort": type(best_order()).__name__}
    for size in (512, 1024):
        views = [camera(size, size, turn=0.01 * i) for i in range(64)]
        canvas, turn = Canvas(), iter(range(10**9))

        def turning(canvas=canvas, turn=turn, views=views):
            canvas.paint([splats], views[next(turn) % len(views)])
            finish(canvas)

        def moving(canvas=canvas, views=views):
            canvas.paint([replace(splats)], views[0])  # another object: packed, uploaded and sorted anew
            finish(canvas)

        def peer(views=views):
            rasterize(splats, views[0])

        for name, ours in (("turning view", turning), ("moving avatar", moving)):
            mine, theirs = medians(ours, peer, REPEATS)
            yield case(name, COUNT, (size, size), mine, PEER, theirs, **more)


if __name__ == "__main__":
    print(json.dumps(list(cases()), indent=2))
    sys.stdout.flush()
    os._exit(0)  # Blender 4.5 does not return from its own exit
