# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the graphics card draws the 3D view: the preference, the driver, whether the shaders compile."""

from functools import cache

from ..log import log
from ..preferences import preferences
from .gpu_shaders import mesh_shader, splat_shader
from .gpu_state import is_software


def gpu_draws() -> bool:
    """Whether the graphics card draws the splats, by the preference and the machine."""
    wanted = preferences().viewport
    return wanted == "GPU" or (wanted == "AUTO" and _gpu_is_able())


@cache
def _gpu_is_able() -> bool:
    """Whether this is a hardware GPU, not software rendering, whose driver compiles the shaders."""
    return not is_software() and _compiles(splat_shader) and meshes_can_be_drawn()


@cache
def meshes_can_be_drawn() -> bool:
    return _compiles(mesh_shader)


def _compiles(shader) -> bool:
    try:
        shader()
    except Exception:
        log.exception("The graphics driver cannot compile a shader of the 3D view")
        return False
    return True
