# SPDX-License-Identifier: GPL-3.0-or-later
"""Sorts splats from the farthest to the nearest, on the GPU or on the CPU.

An order is a texture with rows of `ROW`, whose first channel holds the index of the splat; a float represents
indices up to 2^24 exactly.
"""

import gpu
import numpy as np

from ..backend.raster import Camera
from .gpu_shaders import GROUP, MOST_STEPS, ROW, keys_shader, steps_shader
from .gpu_state import float_texture, is_software

MOST = 2**24


class GpuOrder:
    """A bitonic sort in compute shaders; keys alternate between two textures."""

    def __init__(self):
        self.size, self.textures = 0, []

    def sort(self, splats: gpu.types.GPUTexture, means: np.ndarray, camera: Camera) -> gpu.types.GPUTexture:
        """The order of `splats`, a texture whose every fourth texel holds a mean; `means` [N,3] gives N."""
        self._make_room(len(means))
        shader = keys_shader()
        shader.bind()
        shader.uniform_float("axis", camera.viewmat[2].tolist())
        shader.uniform_int("count", len(means))
        self._run(shader, "splats", splats, self.size)
        for bits in range(1, self.size.bit_length()):
            self._merge(bits)
        return self.textures[0]

    def _make_room(self, count: int) -> None:
        size = max(ROW, 1 << (count - 1).bit_length())
        if size != self.size:
            shape = (ROW, size // ROW)
            self.size = size
            self.textures = [gpu.types.GPUTexture(shape, format="RG32F") for _ in range(2)]

    def _merge(self, bits: int) -> None:
        """Merges sorted runs into runs of 2^bits keys, up to `MOST_STEPS` steps per dispatch."""
        left = bits
        while left:
            steps = left % MOST_STEPS or MOST_STEPS
            left -= steps
            shader = steps_shader(steps)
            shader.bind()
            shader.uniform_int("size", 1 << bits)
            shader.uniform_int("stride", 1 << left)
            self._run(shader, "keys", self.textures[0], self.size >> steps)

    def _run(self, shader, name: str, source: gpu.types.GPUTexture, threads: int) -> None:
        shader.uniform_sampler(name, source)
        shader.image("sorted_keys", self.textures[1])
        gpu.compute.dispatch(shader, threads // GROUP, 1, 1)
        self.textures.reverse()


class CpuOrder:
    """A stable sort in numpy, for GPUs without compute shaders and for software rendering."""

    def sort(self, splats: gpu.types.GPUTexture, means: np.ndarray, camera: Camera) -> gpu.types.GPUTexture:
        """The order of the splats at `means` [N,3] float32."""
        nearest_first = np.argsort(means @ camera.viewmat[2, :3].astype(np.float32), kind="stable")
        places = np.zeros(-(-len(means) // ROW) * ROW, np.float32)
        places[: len(means)] = nearest_first[::-1]
        return float_texture(places, (ROW, len(places) // ROW), "R32F")


def best_order() -> GpuOrder | CpuOrder:
    """The faster of the two on this machine."""
    if is_software() or not hasattr(gpu, "compute"):
        return CpuOrder()
    try:
        keys_shader()
        for steps in range(1, MOST_STEPS + 1):
            steps_shader(steps)
    except Exception:  # the driver's message is in the console
        return CpuOrder()
    return GpuOrder()
