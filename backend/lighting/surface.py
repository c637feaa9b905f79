# SPDX-License-Identifier: GPL-3.0-or-later
"""What light needs to know of an avatar and does not change with its pose: albedo, normals, materials, and
the Gaussians that stand for all in finding shadows."""

import weakref

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..avatar import Avatar
from ..body.skeleton import FINGERS, INDEX
from ..body.template import load_template
from ..gaussians import Gaussians
from ..native import INT, POINTER, Kernel
from ..workers import default_threads, share
from .materials import CLOTH, GLOSS
from .visibility import Proxy

CHUNK = 1024  # Gaussians of a ticket, in kernels/light.c
# Metres: sides of the cubes in each of which one Gaussian stands for all, of the body, and of head and hands.
BODY, FINE = 0.03, 0.015
_HAND = ("hand", *(f"{finger}{n}" for finger in FINGERS for n in (1, 2, 3)))
FINE_JOINTS = ("head", "neck2", "jaw", "eye.L", "eye.R", *(f"{bone}.{s}" for s in "LR" for bone in _HAND))
_normals = Kernel("lca_light_normals", POINTER, INT, INT, *[POINTER] * 5)
_surfaces: "weakref.WeakKeyDictionary[Avatar, AvatarSurface]" = weakref.WeakKeyDictionary()


class AvatarSurface:
    """material [N] uint8: numbers of the classes of `gloss`; proxy: see `visibility.Proxy`; without_albedo:
    whether the avatar's file holds no albedo, so that the photos' colours, with their light, stand for it."""

    gloss = GLOSS

    def __init__(self, avatar: Avatar):
        self.without_albedo = avatar.albedo is None
        self._color = avatar.colors.float()
        self._albedo = self._color if avatar.albedo is None else avatar.albedo.float()
        normals = template_normals(avatar) if avatar.normals is None else avatar.normals.float().numpy()
        self.normals = np.ascontiguousarray(_unit(normals), np.float32)
        cloth = torch.full((len(avatar),), CLOTH, dtype=torch.uint8)
        self.material = (cloth if avatar.material is None else avatar.material).numpy()
        cells = np.where(_share(avatar, FINE_JOINTS) > 0.5, FINE, BODY).astype(np.float32)
        opacities = avatar.opacities.float().numpy()
        self.proxy = Proxy.of(avatar.means.numpy(), self.normals, opacities, cells)
        self._skinning = avatar.skin_indices.numpy(), avatar.skin_weights.float().numpy()

    @classmethod
    def of(cls, avatar: Avatar) -> "AvatarSurface":
        """The surface of an avatar, made once (a second for 260,000 Gaussians)."""
        if avatar not in _surfaces:
            _surfaces[avatar] = cls(avatar)
        return _surfaces[avatar]

    def albedo(self, posed: Gaussians) -> torch.Tensor:
        """sRGB [N,3] of the posed avatar: what the pose adds to colours it adds to the albedo."""
        if self._albedo is self._color:
            return posed.colors
        return (self._albedo + (posed.colors - self._color)).clamp(0, 1)

    def posed_normals(self, transforms: np.ndarray) -> np.ndarray:
        """Unit normals float32 [N,3] of transforms [J,4,4], canonical to world, by blending the joints' own
        normal matrices."""
        a, b, c = np.moveaxis(np.asarray(transforms, np.float64)[:, :3, :3], 1, 0)
        cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)
        size = np.cbrt(np.abs(np.linalg.det(cofactors)))[:, None, None]
        matrices = np.zeros((len(size), 16), np.float32)
        matrices[:, :9] = (cofactors / np.maximum(size, 1e-12)).reshape(-1, 9)
        out, (joints, weights) = np.empty_like(self.normals), self._skinning
        arrays = self.normals, joints, weights, matrices, out
        share(_normals, -(-len(out) // CHUNK), default_threads(), *joints.shape, *arrays)
        return out


def template_normals(avatar: Avatar) -> np.ndarray:
    """Normals [N,3] of the template where its Gaussians belong, for avatars whose file has none."""
    template = load_template()
    at = avatar.means.numpy() - avatar.offsets.float().numpy()
    return template.normals[cKDTree(template.vertices).query(at, workers=-1)[1]]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _share(avatar: Avatar, joints: tuple[str, ...]) -> np.ndarray:
    """[N] skinning weight of some joints."""
    chosen = np.isin(avatar.skin_indices.numpy(), [INDEX[name] for name in joints])
    return (avatar.skin_weights.float().numpy() * chosen).sum(1)
