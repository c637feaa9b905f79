# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in the scene's light: what `evaluate` gives, with scene-linear colours for one camera."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import bpy
import numpy as np
import torch

from ..backend.gaussians import Gaussians
from ..backend.lighting.lights import Lights
from ..backend.lighting.shading import INTERACTIVE, LitAvatar, Quality, Shaded
from ..backend.lighting.surface import AvatarSurface
from ..backend.raster import Camera
from ..backend.raster.mesh_depth import Mesh
from .colour import scene_linear
from .evaluate import Evaluated, evaluated, one_thread
from .grade import Grade, graded

KEPT = 6  # poses whose visibility is kept; some 30 MB each
KEPT_COLORS = 12


class Lit(NamedTuple):
    """Splats in the scene's light, and what their colours are made of before their grade: albedo [N,3],
    scene-linear. casters: the meshes that shade them, which are known by their arrays and must live as long
    as this is kept.
    """

    splats: Gaussians
    albedo: np.ndarray
    shaded: Shaded
    casters: Sequence[Mesh]

    def layers(self) -> np.ndarray:
        """Albedo, the light on it, and reflections [N,9], float32."""
        light = self.shaded.matte * (1 - self.shaded.reflected)[:, None]
        return np.concatenate([self.albedo, light, self.shaded.glossy], 1)


_lit: OrderedDict[tuple, LitAvatar] = OrderedDict()
_colored: OrderedDict[tuple, Lit] = OrderedDict()


def in_scene_light(obj: bpy.types.Object) -> bool:
    """Whether an avatar (original object) is lit by the scene."""
    return obj.lca.lit_by == "SCENE"


def evaluate_lit(
    obj: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    matrix: np.ndarray,
    lights: Lights,
    camera: Camera,
    quality: Quality = INTERACTIVE,
    casters: Sequence[Mesh] = (),
) -> Lit:
    """The splats of an avatar object in world space as the camera sees them in these lights, scene-linear.

    casters: meshes that throw shadows onto it. Equal input gives the same object again. Raises `UserError`.
    """
    pose = evaluated(obj, depsgraph, matrix)
    shadows = tuple((id(mesh.points), mesh.matrix.tobytes()) for mesh in casters)
    view = camera.forward.tobytes() if camera.orthographic else camera.position.tobytes()
    grade = Grade.of(obj.original.evaluated_get(depsgraph))
    key = (pose.key, shadows, lights, view, camera.orthographic, quality, grade)
    if key not in _colored:
        splats = pose.splats
        with one_thread():
            albedo = scene_linear(AvatarSurface.of(pose.avatar).albedo(splats)).numpy()
            lit = _lit_avatar(pose, (pose.key, shadows), casters)
            shaded = lit.shaded(lights, camera, quality, albedo)
            colors = torch.from_numpy(shaded.colors(albedo))
            made = graded(replace(splats, colors=colors, linear=True), grade)
            _colored[key] = Lit(made, albedo, shaded, tuple(casters))
        if len(_colored) > KEPT_COLORS:
            _colored.popitem(last=False)
    _colored.move_to_end(key)
    return _colored[key]


def _lit_avatar(pose: Evaluated, key: tuple, casters: Sequence[Mesh]) -> LitAvatar:
    if key not in _lit:
        surface = AvatarSurface.of(pose.avatar)
        normals = surface.posed_normals(pose.avatar.joints(pose.signal, torch.from_numpy(pose.world)).numpy())
        _lit[key] = LitAvatar(surface, pose.splats.means.numpy(), normals, casters)
        if len(_lit) > KEPT:
            _lit.popitem(last=False)
    _lit.move_to_end(key)
    return _lit[key]


def caster(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph, matrix: np.ndarray) -> Mesh:
    """An avatar object as a mesh that throws shadows onto others; the same one while its pose is."""
    with one_thread():
        pose = evaluated(obj, depsgraph, matrix)
        return _lit_avatar(pose, (pose.key, ()), ()).caster


def forget_lit() -> None:
    """Drops the kept results; only memory is gained."""
    _lit.clear()
    _colored.clear()
