# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for drawing through Blender's `gpu` module."""

import gpu
import numpy as np

from ..backend.raster import Camera


def is_software() -> bool:
    """Whether the graphics API is rendered in software (llvmpipe)."""
    return gpu.platform.device_type_get() == "SOFTWARE"


def plain_state() -> None:
    """Resets depth test, masks, culling and blending, which other drawing code leaves set."""
    gpu.state.depth_test_set("NONE")
    gpu.state.depth_mask_set(False)
    gpu.state.face_culling_set("NONE")
    gpu.state.blend_set("NONE")
    gpu.state.color_mask_set(True, True, True, True)


def column_major(matrix: np.ndarray) -> list[float]:
    """A matrix as shaders take it, column by column."""
    return matrix.T.ravel().tolist()


def frame_uniforms(shader: gpu.types.GPUShader, camera: Camera) -> None:
    """Sets the camera's intrinsics: lens (fx fy cx cy) and frame (width, height, near, 1 where parallel)."""
    K = camera.K
    shader.uniform_float("lens", (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    shader.uniform_float("frame", (camera.width, camera.height, camera.near, float(camera.orthographic)))


def float_texture(values: np.ndarray, size: tuple[int, int], format: str) -> gpu.types.GPUTexture:
    """float32 values in a texture of (width, height) texels; the rows go from the bottom up."""
    values = np.ascontiguousarray(values, np.float32).reshape(-1)
    return gpu.types.GPUTexture(size, format=format, data=gpu.types.Buffer("FLOAT", values.size, values))


def read_texture(texture: gpu.types.GPUTexture, channels: int) -> np.ndarray:
    """Values of a float texture [H,W,channels] float32, row 0 at the top."""
    buffer = texture.read()
    buffer.dimensions = texture.width * texture.height * channels
    values = np.array(buffer, np.float32)
    return values.reshape(texture.height, texture.width, channels)[::-1]
