# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered 3D view: drawn by the graphics card, or rasterised on the CPU and shown as a texture."""

import time
from collections.abc import Sequence

import bpy
import gpu

from ..backend.gaussians import Gaussians
from ..scene.camera import viewport_camera
from ..scene.meshes import Placed, placed_surfaces, unchanged
from ..scene.world import background_color
from .gpu_canvas import Canvas
from .gpu_splats import same
from .gpu_state import float_texture
from .gpu_support import gpu_draws, meshes_can_be_drawn
from .picture import combine, gather, paint_splats
from .region import draw_texture, local_view_filter, region_matrices

REST_SECONDS = 0.15  # nothing moved for this long: draw at full resolution
SMOOTH_SECONDS = 0.04  # a full picture in less than this needs no half-resolution stage


class View:
    """What one viewport caches between draws: the last texture and the content it was drawn from.

    An overlay is drawn over Blender's own picture: splats alone, their colours in display space.
    """

    def __init__(self, overlay: bool = False):
        self.overlay = overlay
        self.sets: list[Gaussians] = []  # the avatars' splats
        self.splats = None  # the same as one set, for drawing on the CPU
        self.meshes: list[Placed] = []
        self.stale = True  # the depsgraph has changed since its meshes were collected
        self.version = 0  # counts changes of sets and meshes
        self.canvas = None  # made at the first draw
        self.key = None  # identifies splats, meshes, camera and background of the textures
        self.scale = 0.0  # the texture's resolution over the region's
        self.texture = None
        self.under = None  # meshes and background, below the splats that the CPU drew
        self.changed = 0.0  # when the key last changed, seconds of the monotonic clock
        self.full_seconds = 0.0  # time of the last picture at full resolution

    def draw(
        self, engine: bpy.types.RenderEngine, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph
    ) -> None:
        """Draws the view; renders a new picture only when its content has changed."""
        if gpu_draws():
            self.update_on_gpu(context, depsgraph)
        else:
            self.update_on_cpu(context, depsgraph)
            draw_texture(engine, self.under, context.region, depsgraph.scene)
        draw_texture(engine, self.texture, context.region, depsgraph.scene)
        if self.scale < 1.0:
            engine.tag_redraw()  # for the picture at full resolution

    def update_on_gpu(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Updates the texture with the graphics card."""
        region, scene = context.region, depsgraph.scene
        shown = local_view_filter(context.space_data)
        matrices = region_matrices(context)
        meshes = self.surfaces(depsgraph, shown)
        self.set_content(self.avatars(depsgraph, shown, matrices, region, meshes), meshes)
        key = self.picture_key(matrices, (region.width, region.height), scene, on_gpu=True)
        if key != self.key:
            self.paint_on_gpu(matrices, region, scene)
            self.key, self.scale = key, 1.0

    def update_on_cpu(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Updates the texture with the CPU, at reduced resolution where full resolution is too slow."""
        region, scene = context.region, depsgraph.scene
        shown = local_view_filter(context.space_data)
        matrices = region_matrices(context)
        meshes = self.surfaces(depsgraph, shown) if meshes_can_be_drawn() else []
        self.set_content(self.avatars(depsgraph, shown, matrices, region, meshes), meshes)
        key = self.picture_key(matrices, (region.width, region.height), scene)
        scale = self.wanted_scale(key, scene.lca.viewport_quality)
        if key != self.key or scale > self.scale:
            self.paint_on_cpu(matrices, region, scale, scene)
            self.key, self.scale = key, scale

    def avatars(self, depsgraph, shown, matrices, region, meshes: list[Placed]) -> list[Gaussians]:
        """The avatars' splats, in the scene's light where they are lit by it; not in an overlay."""
        if self.overlay:
            return gather(depsgraph, shown, show_seen=True)
        camera = viewport_camera(*matrices, region.width, region.height)
        return gather(depsgraph, shown, True, camera, meshes=meshes)

    def surfaces(self, depsgraph: bpy.types.Depsgraph, shown) -> list[Placed]:
        """The scene's meshes, collected again only after a change of the scene or in a local view."""
        if self.stale or shown is not None:
            self.stale = shown is not None  # Blender sends no event when a local view changes
            return placed_surfaces(depsgraph, shown)
        return self.meshes

    def set_content(self, sets: list[Gaussians], meshes: Sequence[Placed] = ()) -> None:
        """Sets what is drawn; unchanged avatars and surfaces are the same objects as before."""
        if not (same(sets, self.sets) and unchanged(meshes, self.meshes)):
            self.sets, self.meshes, self.splats = sets, list(meshes), None
            self.version += 1

    def picture_key(self, matrices, size: tuple[int, int], scene, on_gpu: bool = False) -> tuple:
        """Equal keys mean equal pictures."""
        hidden = scene.lca.meshes == "HIDDEN"
        return (self.version, *(m.tobytes() for m in matrices), size, backdrop(scene), on_gpu, hidden)

    def wanted_scale(self, key, quality: str, now: float | None = None) -> float:
        """The share of the region's resolution to draw at: less than 1 while things move on a slow machine.

        quality: the scene's `viewport_quality`; now: seconds of the monotonic clock.
        """
        now = time.monotonic() if now is None else now
        if key != self.key:
            self.changed = now
        moving = now - self.changed < REST_SECONDS
        slow = quality == "HALF" or (quality == "AUTO" and self.full_seconds > SMOOTH_SECONDS)
        if not (moving and slow):
            return 1.0
        return 0.25 if quality == "AUTO" and self.full_seconds > 8 * SMOOTH_SECONDS else 0.5

    def paint_on_gpu(self, matrices, region, scene: bpy.types.Scene) -> None:
        self.texture = self._paint(self.sets, matrices, region, scene)

    def _paint(self, sets: list[Gaussians], matrices, region, scene) -> gpu.types.GPUTexture:
        self.canvas = self.canvas or Canvas(linear=not self.overlay)
        camera = viewport_camera(*matrices, region.width, region.height)
        clear = (0.0, 0.0, 0.0, 0.0) if self.overlay else backdrop(scene)
        clay = not self.overlay and scene.lca.meshes != "HIDDEN"
        return self.canvas.paint(sets, camera, self.meshes, clear, clay=clay)

    def paint_on_cpu(self, matrices, region, scale: float, scene) -> None:
        self.under = self._paint([], matrices, region, scene)
        camera = viewport_camera(
            *matrices, max(1, int(region.width * scale)), max(1, int(region.height * scale))
        )
        start = time.perf_counter()
        if self.splats is None:
            self.splats = combine(self.sets)
        picture = paint_splats(self.splats, camera, self.meshes)
        self.texture = float_texture(picture[::-1], (camera.width, camera.height), "RGBA16F")
        if scale == 1.0:
            self.full_seconds = time.perf_counter() - start


def backdrop(scene: bpy.types.Scene) -> tuple[float, float, float, float]:
    """The colour below meshes and splats, scene-linear and premultiplied."""
    return (0.0, 0.0, 0.0, 0.0) if scene.render.film_transparent else (*background_color(scene), 1.0)
