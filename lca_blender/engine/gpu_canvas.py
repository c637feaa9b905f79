# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders on the GPU: the scene's meshes in grey, the avatars' splats in front of and among them."""

from collections.abc import Sequence

import gpu
import numpy as np

from ..backend.gaussians import Gaussians
from ..backend.raster import Camera
from ..scene.meshes import Placed, Surface
from .clay import CLAY
from .gpu_shaders import mesh_shader
from .gpu_splats import NOTHING_Z, SplatDrawer
from .gpu_state import column_major, frame_uniforms, plain_state


class Canvas:
    """Render targets of one size, and the buffers uploaded for the last picture."""

    def __init__(self, order=None, format: str = "RGBA16F", linear: bool = True):
        """order, linear: see `SplatDrawer`; format: of the picture, RGBA16F or RGBA32F."""
        self.splats, self.format = SplatDrawer(order, linear), format
        self.batches: dict[int, tuple[gpu.types.GPUBatch, Surface]] = {}  # by the surface's identity
        self.size = None

    def paint(
        self,
        sets: Sequence[Gaussians],
        camera: Camera,
        meshes: Sequence[Placed] = (),
        clear: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
        clay: bool = True,
    ) -> gpu.types.GPUTexture:
        """Premultiplied colour [H,W,4] over `clear`; the rows go from the bottom up.

        meshes: those of `placed_surfaces`. Splats of all sets are blended in
        one order; those behind the meshes are hidden. Without `clay` the meshes are not shown.
        Sets and surfaces that are the same objects as last time are not uploaded again. The texture is
        overwritten by the next call.
        """
        self._make_targets((camera.width, camera.height))
        self.color.clear(format="FLOAT", value=clear)
        if meshes:
            self._draw_meshes(meshes, camera)
            if not clay:
                self.color.clear(format="FLOAT", value=clear)
        with self.color_only.bind():
            self.splats.draw(sets, camera, self.scene_z if meshes else None)
        return self.color

    def _make_targets(self, size: tuple[int, int]) -> None:
        if size == self.size:
            return
        new = gpu.types.GPUTexture
        self.color, self.scene_z = new(size, format=self.format), new(size, format="R32F")
        self.z_buffer = new(size, format="DEPTH_COMPONENT32F")
        self.color_only = gpu.types.GPUFrameBuffer(color_slots=(self.color,))
        self.everything = gpu.types.GPUFrameBuffer(
            depth_slot=self.z_buffer, color_slots=(self.color, self.scene_z)
        )
        self.size = size

    def _draw_meshes(self, meshes: Sequence[Placed], camera: Camera) -> None:
        self.scene_z.clear(format="FLOAT", value=(NOTHING_Z,))
        self._upload([one.surface for one in meshes])
        shader = mesh_shader()
        with self.everything.bind():
            plain_state()
            gpu.state.depth_mask_set(True)
            self.everything.clear(depth=1.0)
            gpu.state.depth_test_set("LESS_EQUAL")
            shader.bind()
            shader.uniform_float("paint", CLAY)
            frame_uniforms(shader, camera)
            for one in meshes:
                shader.uniform_float("to_camera", column_major(camera.viewmat @ one.matrix))
                self.batches[id(one.surface)][0].draw(shader)
            plain_state()

    def _upload(self, surfaces: Sequence[Surface]) -> None:
        """Creates missing batches and drops those of other surfaces."""
        kept = {id(one): self.batches[id(one)] for one in surfaces if id(one) in self.batches}
        for one in surfaces:
            if id(one) not in kept:
                kept[id(one)] = batch_of(one), one  # the reference keeps the id valid
        self.batches = kept


def batch_of(surface: Surface) -> gpu.types.GPUBatch:
    layout = gpu.types.GPUVertFormat()
    layout.attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
    points = gpu.types.GPUVertBuf(layout, len(surface.points))
    points.attr_fill("pos", np.ascontiguousarray(surface.points))
    corners = gpu.types.GPUIndexBuf(type="TRIS", seq=np.ascontiguousarray(surface.triangles))
    return gpu.types.GPUBatch(type="TRIS", buf=points, elem=corners)
