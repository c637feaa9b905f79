# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws splats through Blender's `gpu` module, on any vendor's graphics card, as `rasterize` does.

Gaussians are instances of one quad. Their parameters are in a texture that is uploaded only when an avatar
changes; a moved view is sorted and drawn again. They are blended in floats from the farthest to the nearest.
"""

from collections.abc import Sequence

import gpu
import numpy as np

from ..backend.errors import UserError
from ..backend.gaussians import Gaussians
from ..backend.raster import Camera
from ..scene.colour import scene_linear
from ..scene.evaluate import one_thread
from .gpu_order import MOST, best_order
from .gpu_shaders import ROW, splat_shader
from .gpu_state import column_major, float_texture, frame_uniforms, plain_state

NOTHING_Z = 3.0e38
# Nine entries of a matrix to xx xy xz yy yz zz of its symmetric part.
UPPER_HALF = np.zeros((9, 6), np.float32)
for _k, (_i, _j) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
    UPPER_HALF[[3 * _i + _j, 3 * _j + _i], _k] = 1.0 if _i == _j else 0.5


class SplatTexture:
    """All avatars' splats in one texture, four texels each: mean and opacity, covariance xx xy xz yy, yz zz,
    colour."""

    def __init__(self, linear: bool = True):
        self.linear = linear
        self.sets: list[Gaussians] = []
        self.blocks: list[np.ndarray] = []
        self.means = np.empty((0, 3), np.float32)
        self.texture = None

    def update(self, sets: Sequence[Gaussians]) -> bool:
        """Uploads the avatars' splats unless `sets` holds the same objects as before; returns whether it did.

        UserError for more splats than an order can index.
        """
        if same(sets, self.sets):
            return False
        known = {id(one): block for one, block in zip(self.sets, self.blocks, strict=True)}
        count = sum(len(one) for one in sets)
        if count > MOST:
            raise UserError(f"{count:,} splats are too many for the 3D view.", "Hide some avatars.")
        self.blocks = [known[id(one)] if id(one) in known else pack(one, self.linear) for one in sets]
        self.sets = list(sets)
        texels = np.zeros((-(-max(count, 1) // ROW) * ROW, 16), np.float32)
        if self.blocks:
            np.concatenate(self.blocks, out=texels[:count])
        self.means = texels[:count, :3]
        self.texture = float_texture(texels, (4 * ROW, len(texels) // ROW), "RGBA32F")
        return True

    def __len__(self) -> int:
        return len(self.means)


@one_thread()
def pack(gaussians: Gaussians, linear: bool) -> np.ndarray:
    """Texels [N,16] float32 of an avatar; those that are not finite become transparent. `linear` converts
    sRGB colours to scene-linear."""
    g = gaussians.to("cpu")
    colors = scene_linear(g.colors) if linear and not g.linear else g.colors
    texels = np.zeros((len(g), 16), np.float32)
    texels[:, :3] = g.means.numpy()
    texels[:, 3] = g.opacities.numpy()
    texels[:, 12:15] = colors.numpy()
    with np.errstate(invalid="ignore"):
        np.matmul(g.covariances.numpy().reshape(-1, 9), UPPER_HALF, out=texels[:, 4:10])
        finite = np.isfinite(texels @ np.ones(16, np.float32))
    if not finite.all():
        texels[~finite] = 0.0
    return texels


class SplatDrawer:
    """Draws splats into a bound framebuffer."""

    def __init__(self, order=None, linear: bool = True):
        """order: `GpuOrder` or `CpuOrder`; by default the better one for this machine. linear: colours are
        blended scene-linear, else as avatars store them (sRGB)."""
        self.splats = SplatTexture(linear)
        self.sorter = order
        self.order = self.order_key = None
        self.no_scene = self.quad = None

    def draw(
        self, sets: Sequence[Gaussians], camera: Camera, scene_z: gpu.types.GPUTexture | None = None
    ) -> None:
        """Blends the avatars over the bound framebuffer, which has the camera's size and float channels.

        scene_z: a texture of the same size, R32F, camera z in metres: a splat is not drawn at pixels where
        the scene is nearer than the splat's mean.
        """
        changed = self.splats.update(sets)
        if not len(self.splats):
            return
        self._sort(camera, changed)
        if self.quad is None:
            self.quad = quad()
            self.no_scene = float_texture(np.full(1, NOTHING_Z, np.float32), (1, 1), "R32F")
        shader = splat_shader()
        plain_state()
        gpu.state.blend_set("ALPHA_PREMULT")
        shader.bind()
        shader.uniform_sampler("splats", self.splats.texture)
        shader.uniform_sampler("order", self.order)
        shader.uniform_sampler("scene_z", scene_z or self.no_scene)
        shader.uniform_float("viewmat", column_major(camera.viewmat))
        frame_uniforms(shader, camera)
        self.quad.draw_instanced(shader, instance_count=len(self.splats))
        gpu.state.blend_set("NONE")

    def _sort(self, camera: Camera, changed: bool) -> None:
        """Sorts again when splats or the view's direction changed: nothing else affects the order."""
        key = camera.viewmat[2, :3].tobytes()
        if changed or key != self.order_key:
            self.sorter = self.sorter or best_order()
            self.order = self.sorter.sort(self.splats.texture, self.splats.means, camera)
            self.order_key = key


def quad() -> gpu.types.GPUBatch:
    layout = gpu.types.GPUVertFormat()
    layout.attr_add(id="corner", comp_type="F32", len=2, fetch_mode="FLOAT")
    corners = gpu.types.GPUVertBuf(layout, 4)
    corners.attr_fill("corner", [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)])
    return gpu.types.GPUBatch(type="TRI_STRIP", buf=corners)


def same(new: Sequence, old: Sequence) -> bool:
    """Whether both sequences hold the same objects, by identity."""
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))
