# SPDX-License-Identifier: GPL-3.0-or-later
"""What our engine adds to a final frame beside rasterising, next to an engine that only hands pixels over.

    .venv/bin/python benchmarks/blender.py

`cases()` is what `lca bench blender` runs; every time is spent inside the engine's `render`.
"""

import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np
from lca_blender.backend.training.bench.timing import case
from lca_blender.backend.training.bench.workload import avatar

import lca_blender

SIZE = (1920, 1080)
REPEATS = 15
PEER = "begin_result, foreach_set of ready buffers, end_result, in the same bands"
PARTS = {  # what is timed by itself: module and function, as the engine calls them
    "total": "final.render_layer",
    "drive": "picture.evaluate",
    "rasterise": "picture.rasterize",
    "meshes": "final.scene_depth",
    "paint": "final.paint",
    "write": "final.write",
}


class LCA_BareEngine(bpy.types.RenderEngine):
    """Hands over pixels that are there already."""

    bl_idname = "LCA_BARE"
    bl_label = "Bare"
    seconds = 0.0
    buffers: dict[str, np.ndarray] = {}

    def update_render_passes(self, scene, view_layer):
        for name, buffer in self.buffers.items():
            if name != "Combined":
                channels = len(buffer) // (SIZE[0] * SIZE[1])
                self.register_pass(scene, view_layer, name, channels, "XYZ"[:channels], "VALUE")

    def render(self, depsgraph):
        from lca_blender.engine.final import BAND

        # Not in one piece: its memory would come and go, and be cleared anew for our next frame, too.
        start = time.perf_counter()
        for row in range(0, SIZE[1], BAND):
            rows = min(BAND, SIZE[1] - row)
            result = self.begin_result(0, row, SIZE[0], rows, layer=depsgraph.view_layer_eval.name)
            for name, buffer in self.buffers.items():
                part = buffer.reshape(SIZE[1], -1)[row : row + rows]
                result.layers[0].passes[name].rect.foreach_set(part.ravel())
            self.end_result(result)
        LCA_BareEngine.seconds = time.perf_counter() - start


def timed_parts() -> dict[str, float]:
    """Lets the engine's functions add the seconds they take to the dictionary returned."""
    from lca_blender.engine import final, picture

    modules, spent = {"final": final, "picture": picture}, dict.fromkeys(PARTS, 0.0)

    def timed(part, function):
        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[part] += time.perf_counter() - start

        return call

    for part, place in PARTS.items():
        module, name = place.split(".")
        setattr(modules[module], name, timed(part, getattr(modules[module], name)))
    return spent


def furnish(file: Path) -> tuple[bpy.types.Scene, bpy.types.Object]:
    """An avatar that fills 80 % of the picture's height."""
    from lca_blender.backend.avatar import Avatar

    from lca_blender.scene.avatar_object import create_avatar_object

    bpy.ops.wm.read_factory_settings(use_empty=True)
    lca_blender.register()
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0, -6.3, 0.9), (math.pi / 2, 0, 0)
    scene.camera = camera
    return scene, create_avatar_object(bpy.context, Avatar.load(file), file)


def add_spheres(count: int = 10) -> None:
    """Spheres of 10,000 triangles around the avatar."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=72, ring_count=71, radius=0.2)
    first = bpy.context.object
    for i in range(count):
        sphere = first if i == 0 else first.copy()
        if i:
            bpy.context.collection.objects.link(sphere)
        sphere.location = math.cos(i), math.sin(i), 0.2 * i


def alternate(scene, spent: dict[str, float], change) -> tuple[list[dict[str, float]], list[float]]:
    """Milliseconds of every part of our frames and of the peer's frames, taken in turns."""
    ours, peers = [], []
    for turn in range(REPEATS + 2):
        change(turn)
        scene.render.engine = "LCA_GAUSSIANS"
        spent.update(dict.fromkeys(PARTS, 0.0))
        bpy.ops.render.render()
        ours.append({part: 1e3 * seconds for part, seconds in spent.items()})
        scene.render.engine = "LCA_BARE"
        bpy.ops.render.render()
        peers.append(1e3 * LCA_BareEngine.seconds)
    return ours[2:], peers[2:]


def cases():
    """F12 of a still and a moving avatar, with still and moving meshes, and with every pass."""
    bpy.utils.register_class(LCA_BareEngine)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bench.lca")
        made = avatar()
        made.save(file)
        scene, person = furnish(file)
        spent = timed_parts()
        layer = scene.view_layers[0]

        def smile(turn):
            person.lca.expression.mouthSmileLeft = 0.04 * turn

        def move(turn):
            smile(turn)
            scene.camera.location.x = 0.01 * turn

        def one(name, change, passes=("Combined",)):
            widths = {"Combined": 4, "Depth": 1, "Normal": 3, "Alpha": 1}
            buffers = {n: np.ones(SIZE[0] * SIZE[1] * widths[n], np.float32) for n in passes}
            LCA_BareEngine.buffers = buffers
            frames, peers = alternate(scene, spent, change)
            own = [frame["total"] - frame["rasterise"] - frame["drive"] for frame in frames]
            more = {"least_ms": round(min(own), 2), "least_peer_ms": round(min(peers), 2)}
            for part in PARTS:
                more[f"{part}_ms"] = round(statistics.median(frame[part] for frame in frames), 2)
            middle, peer = statistics.median(own), statistics.median(peers)
            return case(f"F12 {name}", len(made), SIZE, middle, PEER, peer, **more)

        yield one("still", lambda turn: None)
        yield one("moving", smile)
        scene.render.film_transparent = True
        yield one("transparent film", smile)
        scene.render.film_transparent = False
        layer.use_pass_z = layer.use_pass_normal = layer.lca.use_pass_alpha = True
        yield one("all passes", smile, ("Combined", "Depth", "Normal", "Alpha"))
        layer.use_pass_z = layer.use_pass_normal = layer.lca.use_pass_alpha = False
        add_spheres()
        yield one("100,000 still triangles", smile)
        yield one("100,000 triangles, moving camera", move)


if __name__ == "__main__":
    print(json.dumps(list(cases()), indent=2))
    sys.stdout.flush()
    os._exit(0)  # Blender 4.5 does not return from its own exit
