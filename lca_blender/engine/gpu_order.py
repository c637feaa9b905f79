# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats from the farthest to the nearest: sorted where they are drawn, or on the CPU.

An order is a texture of rows of `ROW`, whose first channel holds the index of the splat; a float names
2^24 splats exactly.
"""

import gpu
import numpy as np

from ..backend.raster import Camera
from .gpu_shaders import BLOCK, ROW, STEP_GROUP, block_shader, step_shader
from .gpu_state import float_texture, is_software

MOST = 2**24


class GpuOrder:
    """A bitonic sort in compute shaders; keys go back and forth between two textures."""

    def __init__(self):
        self.size, self.textures = 0, []

    def sort(self, splats: gpu.types.GPUTexture, means: np.ndarray, camera: Camera) -> gpu.types.GPUTexture:
        """The order of `splats`, a texture whose every fourth texel holds a mean; `means` [N,3] tells N."""
        self._make_room(len(means))
        shader = block_shader(True)
        shader.bind()
        shader.uniform_float("axis", camera.viewmat[2].tolist())
        shader.uniform_int("count", len(means))
        self._blocks(shader, "splats", splats, 2, BLOCK)
        size = 2 * BLOCK
        while size <= self.size:
            self._merge(size)
            size *= 2
        return self.textures[0]

    def _make_room(self, count: int) -> None:
        size = max(BLOCK, 1 << (count - 1).bit_length())
        if size != self.size:
            shape = (ROW, size // ROW)
            self.size = size
            self.textures = [gpu.types.GPUTexture(shape, format="RG32F") for _ in range(2)]

    def _merge(self, size: int) -> None:
        """Makes sorted runs of `size` keys out of those of half the size."""
        shader, stride = step_shader(), size // 2
        shader.bind()
        shader.uniform_int("size", size)
        while stride >= BLOCK:
            shader.uniform_int("stride", stride)
            self._run(shader, "keys", self.textures[0], self.size // (2 * STEP_GROUP))
            stride //= 2
        shader = block_shader(False)
        shader.bind()
        self._blocks(shader, "keys", self.textures[0], size, size)

    def _blocks(self, shader, name: str, source, first_size: int, last_size: int) -> None:
        shader.uniform_int("first_size", first_size)
        shader.uniform_int("last_size", last_size)
        self._run(shader, name, source, self.size // BLOCK)

    def _run(self, shader, name: str, source, groups: int) -> None:
        shader.uniform_sampler(name, source)
        shader.image("sorted_keys", self.textures[1])
        gpu.compute.dispatch(shader, groups, 1, 1)
        self.textures.reverse()


class CpuOrder:
    """A stable sort in numpy, for GPUs without compute shaders and those that are the CPU."""

    def sort(self, splats: gpu.types.GPUTexture, means: np.ndarray, camera: Camera) -> gpu.types.GPUTexture:
        """The order of the splats at `means` [N,3] float32."""
        places = np.zeros(-(-len(means) // ROW) * ROW, np.float32)
        places[: len(means)] = np.argsort(means @ camera.viewmat[2, :3].astype(np.float32), kind="stable")[
            ::-1
        ]
        return float_texture(places, (ROW, len(places) // ROW), "R32F")


def best_order() -> GpuOrder | CpuOrder:
    """The quicker of the two on this machine."""
    if is_software() or not hasattr(gpu, "compute"):
        return CpuOrder()
    try:
        block_shader(True), block_shader(False), step_shader()
    except Exception:  # a driver that refuses them says so in the console
        return CpuOrder()
    return GpuOrder()
