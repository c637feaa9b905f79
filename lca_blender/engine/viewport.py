# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered 3D view: drawn by the graphics card, or as a final frame is and shown as a texture."""

import time
from functools import cache

import bpy
import numpy as np
import torch

from ..backend.gaussians import Gaussians
from ..backend.raster import Camera, rasterize
from ..backend.raster.mesh_depth import Mesh, mesh_depth
from ..log import log
from ..preferences import preferences
from ..scene.camera import viewport_camera
from ..scene.evaluate import one_thread
from ..scene.meshes import placed_surfaces
from ..scene.world import background_color
from .gpu_canvas import Canvas
from .gpu_shaders import mesh_shader, splat_shader
from .gpu_splats import same
from .gpu_state import is_software
from .picture import combine, gather

REST_SECONDS = 0.15  # nothing moved for this long: draw at full resolution
SMOOTH_SECONDS = 0.04  # a full picture in less than this needs no half-resolution stage


class View:
    """What one viewport keeps from draw to draw: the last picture, its texture and what it was made of.

    An overlay lies over what Blender has drawn: splats alone, their colours as the screen shows them.
    """

    def __init__(self, overlay: bool = False):
        self.overlay = overlay
        self.sets = []  # the avatars' splats as last seen
        self.splats = None  # the same as one set, where the processor draws
        self.meshes = []  # the scene's surfaces and where they are
        self.stale = True  # the depsgraph has changed since its meshes were looked at
        self.version = 0  # counts the changes of all these
        self.canvas = None  # made at the first drawing
        self.key = None  # identifies splats, meshes, camera and background of the textures
        self.scale = 0.0  # of the texture, against the region
        self.texture = None
        self.under = None  # what lies below it where the processor draws: meshes and background
        self.changed = 0.0  # when the key last changed, seconds of the monotonic clock
        self.full_seconds = 0.0  # what the last full picture took

    def draw(self, engine, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Draws the view; makes a new picture only when something it shows has changed."""
        if gpu_draws():
            self.update_on_gpu(context, depsgraph)
        else:
            self.update_on_cpu(context, depsgraph)
            draw_texture(engine, self.under, context.region, depsgraph.scene)
        draw_texture(engine, self.texture, context.region, depsgraph.scene)
        if self.scale < 1.0:
            engine.tag_redraw()  # come back for the full picture

    def update_on_gpu(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Brings the texture up to date."""
        region, scene = context.region, depsgraph.scene
        shown = local_view_filter(context.space_data)
        self.look(gather(depsgraph, shown), self.surfaces(depsgraph, shown))
        matrices = region_matrices(context)
        key = self.picture_key(matrices, (region.width, region.height), scene, on_gpu=True)
        if key != self.key:
            self.paint_on_gpu(matrices, region, scene)
            self.key, self.scale = key, 1.0

    def update_on_cpu(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Brings the texture up to date, at less than the region's resolution while that takes too long."""
        region, scene = context.region, depsgraph.scene
        shown = local_view_filter(context.space_data)
        self.look(gather(depsgraph, shown), self.surfaces(depsgraph, shown) if meshes_can_be_drawn() else [])
        matrices = region_matrices(context)
        key = self.picture_key(matrices, (region.width, region.height), scene)
        scale = self.wanted_scale(key, scene.lca.viewport_quality)
        if key != self.key or scale > self.scale:
            self.paint_on_cpu(matrices, region, scale, scene)
            self.key, self.scale = key, scale

    def surfaces(self, depsgraph, shown) -> list:
        """The scene's meshes; walking through them is not for every move of the view."""
        if self.stale or shown is not None:
            self.stale = shown is not None  # nothing tells when a local view changes
            return placed_surfaces(depsgraph, shown)
        return self.meshes

    def look(self, sets: list, meshes: list = ()) -> None:
        """Takes in what there is to see; unchanged avatars and surfaces are the same objects."""
        if not (
            same(sets, self.sets)
            and same([surface for surface, _ in meshes], [surface for surface, _ in self.meshes])
            and [matrix for _, matrix in meshes] == [matrix for _, matrix in self.meshes]
        ):
            self.sets, self.meshes, self.splats = sets, list(meshes), None
            self.version += 1

    def picture_key(self, matrices, size: tuple[int, int], scene, on_gpu: bool = False) -> tuple:
        """Equal keys mean equal pictures."""
        return (self.version, *(m.tobytes() for m in matrices), size, backdrop(scene), on_gpu)

    def wanted_scale(self, key, quality: str, now: float | None = None) -> float:
        """Of the region's resolution: less while things move, if the machine needs it."""
        now = time.monotonic() if now is None else now
        if key != self.key:
            self.changed = now
        moving = now - self.changed < REST_SECONDS
        slow = quality == "HALF" or (quality == "AUTO" and self.full_seconds > SMOOTH_SECONDS)
        if not (moving and slow):
            return 1.0
        return 0.25 if quality == "AUTO" and self.full_seconds > 8 * SMOOTH_SECONDS else 0.5

    def paint_on_gpu(self, matrices, region, scene) -> None:
        self.texture = self._paint(self.sets, matrices, region, scene)

    def _paint(self, sets: list, matrices, region, scene):
        self.canvas = self.canvas or Canvas(linear=not self.overlay)
        camera = viewport_camera(*matrices, region.width, region.height)
        clear = (0.0, 0.0, 0.0, 0.0) if self.overlay else backdrop(scene)
        return self.canvas.paint(sets, camera, self.meshes, clear, clay=not self.overlay)

    def paint_on_cpu(self, matrices, region, scale: float, scene) -> None:
        self.under = self._paint([], matrices, region, scene)
        camera = viewport_camera(
            *matrices, max(1, int(region.width * scale)), max(1, int(region.height * scale))
        )
        start = time.perf_counter()
        if self.splats is None:
            self.splats = combine(self.sets)
        self.texture = upload(splats_alone(self.splats, camera, self.meshes))
        if scale == 1.0:
            self.full_seconds = time.perf_counter() - start


@one_thread()
def splats_alone(splats: Gaussians | None, camera: Camera, meshes: list) -> np.ndarray:
    """Premultiplied picture [H,W,4] of what the meshes do not hide."""
    if splats is None:
        return np.zeros((camera.height, camera.width, 4), np.float32)
    placed = [Mesh(*surface, np.frombuffer(matrix).reshape(4, 4)) for surface, matrix in meshes]
    depth = torch.from_numpy(mesh_depth(placed, camera)) if placed else None
    return rasterize(splats, camera, scene_depth=depth)["combined"].numpy()


def gpu_draws() -> bool:
    """Whether the graphics card draws the splats, after the preferences and the machine."""
    wanted = preferences().viewport
    return wanted == "GPU" or (wanted == "AUTO" and _gpu_is_able())


@cache
def _gpu_is_able() -> bool:
    """Whether there is a card that compiles our shaders, and no imitation of one."""
    return not is_software() and _compiles(splat_shader) and meshes_can_be_drawn()


@cache
def meshes_can_be_drawn() -> bool:
    return _compiles(mesh_shader)


def _compiles(shader) -> bool:
    try:
        shader()
    except Exception:
        log.exception("The graphics card refuses a shader of the 3D view")
        return False
    return True


def backdrop(scene) -> tuple[float, float, float, float]:
    """What a picture starts from, scene-linear and premultiplied."""
    return (0.0, 0.0, 0.0, 0.0) if scene.render.film_transparent else (*background_color(scene), 1.0)


def region_matrices(context: bpy.types.Context) -> tuple[np.ndarray, np.ndarray]:
    """View and projection [4,4] of the 3D view."""
    return np.array(context.region_data.view_matrix), np.array(context.region_data.window_matrix)


def local_view_filter(space):
    """Which objects the viewport's local view shows; None without a local view."""
    if space is None or getattr(space, "local_view", None) is None:
        return None
    return lambda obj: obj.local_view_get(space)


def upload(picture: np.ndarray):
    """A picture [H,W,4], row 0 at the top, as a GPU texture."""
    import gpu

    height, width = picture.shape[:2]
    pixels = np.ascontiguousarray(picture[::-1], np.float32)
    buffer = gpu.types.Buffer("FLOAT", pixels.size, pixels.ravel())
    return gpu.types.GPUTexture((width, height), format="RGBA16F", data=buffer)


def draw_texture(engine, texture, region, scene) -> None:
    """Fills the region with a scene-linear, premultiplied texture."""
    import gpu
    from gpu_extras.presets import draw_texture_2d

    gpu.state.blend_set("ALPHA_PREMULT")
    engine.bind_display_space_shader(scene)
    try:
        draw_texture_2d(texture, (0, 0), region.width, region.height)
    finally:
        engine.unbind_display_space_shader()
        gpu.state.blend_set("NONE")
