# SPDX-License-Identifier: GPL-3.0-or-later
"""The shaders of the GPU viewport: sources in `shaders/`, compiled when first used."""

from functools import cache
from pathlib import Path

import gpu

ROW = 1024  # splats, or sort keys, in one row of a texture
MOST_STEPS = 4  # of the sort, on the keys that one thread holds
GROUP = 64  # threads of a work group
PARALLEL_REACH = 2000.0  # least depth range of an orthographic view, metres beyond the near plane


@cache
def splat_shader() -> gpu.types.GPUShader:
    """Draws instances of a quad (`corner`), one per place in `order`, into a premultiplied target."""
    between = gpu.types.GPUStageInterfaceInfo("lca_splat")
    between.smooth("VEC2", "offset")
    between.flat("VEC4", "paint")
    between.flat("FLOAT", "camera_z")
    info = _info(ROW=ROW, ALPHA_MIN="(1.0 / 255.0)", ALPHA_MAX="0.999")
    info.vertex_in(0, "VEC2", "corner")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "color")
    for slot, name in enumerate(("splats", "order", "scene_z")):
        info.sampler(slot, "FLOAT_2D", name)
    info.push_constant("MAT4", "viewmat")
    info.push_constant("VEC4", "lens")  # fx fy cx cy
    info.push_constant("VEC4", "frame")  # width, height, near, 1 where parallel
    return _drawing(info, "splat")


@cache
def mesh_shader() -> gpu.types.GPUShader:
    """Draws triangles (`pos`), shaded grey and as camera z, into two targets."""
    between = gpu.types.GPUStageInterfaceInfo("lca_mesh")
    between.smooth("VEC3", "point")
    info = _info(PARALLEL_REACH=PARALLEL_REACH, LIGHT="normalize(vec3(-0.5, -0.8, -0.4))")
    info.vertex_in(0, "VEC3", "pos")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "clay")
    info.fragment_out(1, "VEC4", "scene_z")
    info.push_constant("MAT4", "to_camera")
    info.push_constant("VEC4", "lens")
    info.push_constant("VEC4", "frame")
    info.push_constant("VEC3", "paint")
    return _drawing(info, "mesh")


@cache
def keys_shader() -> gpu.types.GPUShader:
    """Writes every splat's sort key."""
    info = _info(ROW=ROW)
    info.sampler(0, "FLOAT_2D", "splats")
    info.push_constant("VEC4", "axis")  # world point to camera z
    info.push_constant("INT", "count")
    return _computing(info, "order_keys")


@cache
def steps_shader(steps: int) -> gpu.types.GPUShader:
    """`steps` steps of a merge: compares keys that are 2^(steps-1) ... 1 times `stride` apart."""
    info = _info(ROW=ROW, SPAN=1 << steps)
    info.sampler(0, "FLOAT_2D", "keys")
    info.push_constant("INT", "size")
    info.push_constant("INT", "stride")
    return _computing(info, "order_steps")


def forget_shaders() -> None:
    for shader in (splat_shader, mesh_shader, keys_shader, steps_shader):
        shader.cache_clear()


def _info(**defines) -> gpu.types.GPUShaderCreateInfo:
    info = gpu.types.GPUShaderCreateInfo()
    for name, value in defines.items():
        info.define(name, str(value))
    return info


def _drawing(info, name: str) -> gpu.types.GPUShader:
    info.vertex_source(_source(f"{name}.vert"))
    info.fragment_source(_source(f"{name}.frag"))
    return gpu.shader.create_from_info(info)


def _computing(info, name: str) -> gpu.types.GPUShader:
    info.image(0, "RG32F", "FLOAT_2D", "sorted_keys", qualifiers={"WRITE"})
    info.local_group_size(GROUP, 1, 1)
    info.compute_source(_source(f"{name}.comp"))
    return gpu.shader.create_from_info(info)


def _source(name: str) -> str:
    return (Path(__file__).parent / "shaders" / f"{name}.glsl").read_text(encoding="utf-8")
