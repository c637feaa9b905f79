# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's colours in the light of a scene.

An environment is nine harmonics at every Gaussian's own normal, times what of it reaches the body there: the
ratio of light with and without occlusion over fixed directions and the map's peaks, found at some thousand
Gaussians. A lamp has its depth maps, looked up at every Gaussian. What is found for a pose is kept with it,
so that a lamp that moves costs its own maps alone, and another camera none.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..native import POINTER, Kernel, Struct
from ..raster.camera import Camera
from ..raster.mesh_depth import Mesh
from ..workers import default_threads, share
from .environment import Environment, split, uniform_directions
from .harmonics import FACTORS, LAMBERT
from .lights import Area, Lamp, Lights, Point, Spot, Sun, lamp_samples
from .materials import shares
from .reflections import tables
from .surface import CHUNK, AvatarSurface
from .visibility import LIFTS, depth_maps, distant_camera, lamp_cameras, reached

HARD = 0.01  # of its distance: the radius of a lamp whose shadows are drawn hard
WIDEST_LOBE = 0.25  # roughness below which reflections are occluded as if they were so wide
KEPT = 16  # results of each kind that a pose keeps
EVEN = Environment(np.ones((1, 1, 3), np.float32))
KINDS = (Sun, Point, Spot, Area)  # as kernels/light.c numbers them

_world = Kernel("lca_light_world", *[POINTER] * 3)
_lamp = Kernel("lca_light_lamp", *[POINTER] * 3)


class Quality(NamedTuple):
    """directions of an environment that are fixed, and peaks: lights for what of it is bright; pixels of the
    sides of their depth maps, `coarse`, and of lamps', `fine`; samples: depth maps for the penumbra of a lamp
    that is large as seen from the avatar, one makes it hard; emitters: places that light bounces off, 0 for
    none."""

    directions: int
    peaks: int
    coarse: int
    fine: int
    samples: int
    emitters: int


INTERACTIVE = Quality(32, 8, 192, 512, 1, 0)
FINAL = Quality(64, 16, 256, 1024, 16, 384)


class Shaded(NamedTuple):
    """Of every Gaussian, float32: matte [N,3], irradiance over pi, the colour of a white matte surface;
    glossy [N,3], the radiance that it reflects towards the eye; reflected [N], the share of light that never
    gets to its matte part. Its colour is albedo (1 - reflected) matte + glossy."""

    matte: np.ndarray
    glossy: np.ndarray
    reflected: np.ndarray

    def colors(self, albedo: np.ndarray) -> np.ndarray:
        """Scene-linear radiance [N,3] of an albedo [N,3], scene-linear."""
        return albedo * self.matte * (1 - self.reflected)[:, None] + self.glossy


class LitAvatar:
    """A posed avatar that lights can be changed on. Made once a pose.

    means and unit normals float32 [N,3] in the world; `others` are meshes that cast shadows onto it.
    """

    def __init__(
        self, surface: AvatarSurface, means: np.ndarray, normals: np.ndarray, others: Sequence[Mesh] = ()
    ):
        self.surface, self.means, self.normals = surface, means, normals
        self.others = list(others)
        self._kept: dict[tuple, object] = {}

    def colors(
        self, albedo: np.ndarray, lights: Lights, camera: Camera, quality: Quality = INTERACTIVE
    ) -> np.ndarray:
        """Scene-linear radiance [N,3] towards the camera; albedo [N,3] scene-linear."""
        return self.shaded(lights, camera, quality, albedo).colors(albedo)

    def irradiance(self, lights: Lights, quality: Quality = INTERACTIVE) -> np.ndarray:
        """Irradiance over pi [N,3]."""
        return self.shaded(lights, None, quality).matte

    def shaded(
        self,
        lights: Lights,
        camera: Camera | None,
        quality: Quality = INTERACTIVE,
        albedo: np.ndarray | None = None,
    ) -> Shaded:
        """Matte and glossy light; without a camera nothing is reflected. albedo [N,3] scene-linear: what
        light bounces off to other parts of the body, once."""
        count = len(self.means)
        made = Shaded(*(np.zeros((count, *size), np.float32) for size in ((3,), (3,), ())))
        eye = None if camera is None else _eye(camera)
        surface = self._struct(made, eye)
        tickets, threads = -(-count // CHUNK), default_threads()
        environment = (lights.environment or EVEN) if any(lights.world) else BLACK
        share(_world, tickets, threads, surface, self._world(environment, lights.world, eye, quality))
        for lamp in lights.lamps:
            for one in self._maps(lamp, quality) if any(lamp.color) else ():
                share(_lamp, tickets, threads, surface, one)
        if quality.emitters and albedo is not None:
            made.matte[...] += self.surface.proxy.spread(self._bounced(made, albedo, quality))
        return made

    def _struct(self, made: Shaded, eye: np.ndarray | None) -> Struct:
        """`surface_t` of kernels/light.c."""
        proxy, gloss = self.surface.proxy, self.surface.gloss
        constants = [np.array(gloss.roughness) ** 4, 0.08 * np.array(gloss.specular)]
        constants = np.ascontiguousarray(np.stack(constants, 1), np.float32)
        arrays = self.means, self.normals, proxy.inset, self.surface.material, proxy.near, proxy.share
        return Struct(len(self.means), *arrays, constants, shares(gloss), eye, *made)

    def _world(self, environment: Environment, radiance, eye, quality: Quality) -> Struct:
        """`world_t`."""
        radiance = np.array(radiance, np.float32)
        coarse = np.ones((len(self.surface.proxy.coarse.rows), 4), np.float32)
        blurred = None
        if radiance.any():
            coarse[:, :3] = self._occlusion(environment, quality)
        if eye is not None:
            coarse[:, 3] = self._clear(environment, eye, quality) if radiance.any() else 1
            blurred = np.ascontiguousarray(tables(environment.own, self.surface.gloss) * radiance)
        factors = (FACTORS * LAMBERT)[:, None] * radiance
        coefficients = np.ascontiguousarray(environment.harmonics() * factors, np.float32)
        rotation = np.ascontiguousarray(environment.rotation, np.float32)
        return Struct(coefficients, rotation, coarse, blurred)

    def _occlusion(self, environment: Environment, quality: Quality) -> np.ndarray:
        """[s,3] at the coarse squares: irradiance with occlusion over that without."""

        def made():
            directions, weights = _lights_of(environment, quality)
            cosine = np.maximum(_product(directions, self._coarse_normals), 0)
            blocked = _product((cosine * self._reached(environment, quality)).T, weights.T)
            return (blocked / np.maximum(_product(cosine.T, weights.T), 1e-9)).clip(0, 1)

        return self._keep(("occlusion", environment, quality), made)

    def _clear(self, environment: Environment, eye: np.ndarray, quality: Quality) -> np.ndarray:
        """[s] at the coarse squares: what of their reflection's lobe, by the environment's light, is not
        hidden by the body."""
        rows, normals = self.surface.proxy.coarse.rows, self._coarse_normals
        directions, weights = _lights_of(environment, quality)
        towards = eye[:3] - eye[3] * self.means[rows]
        towards /= np.linalg.norm(towards, axis=1, keepdims=True) + np.float32(1e-9)
        mirrored = 2 * (normals * towards).sum(1, keepdims=True) * normals - towards
        width = self.surface.gloss.each("roughness", self.surface.material[rows]).clip(WIDEST_LOBE) ** 4
        lobe = np.exp((_product(directions, mirrored) - 1) / (2 * width))
        lobe *= (_product(directions, normals) > 0) * weights.mean(1)[:, None]
        return ((lobe * self._reached(environment, quality)).sum(0) + 1e-9) / (lobe.sum(0) + 1e-9)

    def _reached(self, environment: Environment, quality: Quality) -> np.ndarray:
        """[D,s]: which of the environment's directions reach the coarse squares."""
        directions, _ = _lights_of(environment, quality)
        fixed, peaks = directions[: quality.directions], directions[quality.directions :]
        parts = ("fixed", fixed), ("peaks", peaks)
        see = lambda some: lambda: self._visible(some, quality.coarse)  # noqa: E731
        return np.concatenate([self._keep((k, d.tobytes(), quality.coarse), see(d)) for k, d in parts])

    def _visible(self, directions: np.ndarray, pixels: int) -> np.ndarray:
        squares = self.surface.proxy.coarse
        return reached(squares, self.means, self.normals, directions, pixels, self.others)

    @property
    def _coarse_normals(self) -> np.ndarray:
        return self.normals[self.surface.proxy.coarse.rows]

    def _bounced(self, made: Shaded, albedo: np.ndarray, quality: Quality) -> np.ndarray:
        """[s,3] at the coarse squares: irradiance over pi of light that comes from others, which fill what
        they do not see of the sky."""
        factors, hidden, emitters = self._keep(("factors", quality), lambda: self._factors(quality))
        leaving = (1 - made.reflected[emitters])[:, None] * albedo[emitters] * made.matte[emitters]
        return factors @ leaving * hidden[:, None]

    def _factors(self, quality: Quality) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What every coarse square sees of E emitters, which sums to 1 [s,E], how much of its sky the body
        hides [s], and the emitters' Gaussians [E]. Between them nothing is hidden: facing decides."""
        squares, normals = self.surface.proxy.coarse, self._coarse_normals
        points = self.means[squares.rows] - self.means[squares.rows].mean(0)
        step = max(len(points) // quality.emitters, 1)
        some, area = slice(None, None, step), step * squares.side[::step] ** 2
        outwards = _product(normals, points[some]) - (normals * points).sum(1, keepdims=True)
        back = _product(points, normals[some]) - (normals[some] * points[some]).sum(1)
        square = (
            (points**2).sum(1, keepdims=True)
            + (points[some] ** 2).sum(1)
            - 2 * _product(points, points[some])
        )
        square = np.maximum(square, 1e-4)
        factors = np.maximum(outwards, 0) * np.maximum(back, 0) * area / (square * (np.pi * square + area))
        factors /= np.maximum(factors.sum(1, keepdims=True), 1e-9)
        directions = np.ascontiguousarray(uniform_directions(quality.directions), np.float32)
        cosine = np.maximum(_product(directions, normals), 0)
        fixed = ("fixed", directions.tobytes(), quality.coarse)
        seen = self._keep(fixed, lambda: self._visible(directions, quality.coarse))
        open_ = (cosine * seen).sum(0) / np.maximum(cosine.sum(0), 1e-6)
        return factors.astype(np.float32), (1 - open_).clip(0, 1), squares.rows[some]

    def _maps(self, lamp: Lamp, quality: Quality) -> list[Struct]:
        """`lamp_t` for every point of a lamp and every depth map of it."""
        points = self._points(lamp, quality.samples)
        key = ("maps", _placed(lamp), len(points), quality.fine)
        maps = self._keep(key, lambda: [self._depth(lamp, at, quality.fine) for at in points])
        return [
            _struct_of(lamp, at, 1 / len(points), *one, outside=len(drawn) == 1)
            for at, drawn in zip(points, maps, strict=True)
            for one in drawn
        ]

    def _points(self, lamp: Lamp, samples: int) -> np.ndarray:
        at = lamp_samples(lamp, 1)[0]
        away = 1.0 if isinstance(lamp, Sun) else np.linalg.norm(self.means.mean(0) - at)
        spread = np.abs(lamp_samples(lamp, 16) - at).max()
        return lamp_samples(lamp, samples if spread > HARD * away else 1)

    def _depth(self, lamp: Lamp, at: np.ndarray, pixels: int) -> list[tuple[Camera, np.ndarray]]:
        mesh = self.caster
        if isinstance(lamp, Sun):
            cameras = [distant_camera(mesh.points, at, pixels)]
        else:
            cameras = lamp_cameras(mesh.points, at, pixels)
        return depth_maps([mesh, *self.others], cameras)

    @property
    def caster(self) -> Mesh:
        """The avatar as a mesh that casts its shadows."""
        return self._keep(("fine",), lambda: self.surface.proxy.fine.mesh(self.means, self.normals))

    def _keep(self, key: tuple, make):
        """The kept result of `make`, made where there is none; the oldest of a kind is dropped for it."""
        if key not in self._kept:
            alike = [other for other in self._kept if other[0] == key[0]]
            if len(alike) >= KEPT:
                del self._kept[alike[0]]
            self._kept[key] = make()
        return self._kept[key]


BLACK = Environment(np.zeros((1, 1, 3), np.float32))


def _struct_of(lamp: Lamp, at, part: float, camera: Camera, depth: np.ndarray, outside: bool) -> Struct:
    """`lamp_t` of a point `at` of a lamp, which has a part of its light."""
    values = np.zeros(13, np.float32)
    values[:3], values[6:9] = at, np.array(lamp.color) * part
    if isinstance(lamp, Spot | Area):
        values[3:6] = lamp.direction
    if isinstance(lamp, Spot):
        edge = math.cos(lamp.size / 2)
        values[9:11] = edge, 1 / max((1 - edge) * lamp.blend, 1e-6)
    if isinstance(lamp, Area) and lamp.spread < math.pi - 0.001:
        half = max(lamp.spread / 2, 1e-3)
        values[11:13] = math.tan(half), 1 / (math.tan(half) - half)
    K = camera.K
    view = [*camera.viewmat[:3].ravel(), K[0, 0], K[1, 1], K[0, 2], K[1, 2], camera.near]
    size = camera.width, camera.height, int(camera.orthographic), int(outside)
    return Struct(KINDS.index(type(lamp)), *size, values, depth, np.array(view, np.float32), LIFTS)


@lru_cache(maxsize=16)
def _lights_of(environment: Environment, quality: Quality) -> tuple[np.ndarray, np.ndarray]:
    """The fixed directions and the peaks of an environment: directions [D,3] and weights [D,3], float32."""
    made = split(environment, uniform_directions(quality.directions), quality.peaks)
    return tuple(np.ascontiguousarray(part, np.float32) for part in made)


def _placed(lamp: Lamp) -> tuple:
    """What a lamp's shadows depend on: all but its colour."""
    return type(lamp).__name__, *(value for name, value in vars(lamp).items() if name != "color")


def _eye(camera: Camera) -> np.ndarray:
    """Place and 1, or direction and 0, float32 [4]."""
    where = (*-camera.forward, 0) if camera.orthographic else (*camera.position, 1)
    return np.array(where, np.float32)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a [n,k] times the transpose of b [m,k]; not by BLAS, which would wake its threads."""
    return np.einsum("nk,mk->nm", a, b)
