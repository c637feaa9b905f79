# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's colours in the light of a scene.

An environment is nine harmonics at every Gaussian's own normal, times what of it reaches the body there: the
ratio of light with and without occlusion over fixed directions and the map's peaks, found at some thousand
Gaussians, in final frames at all. A lamp has its depth maps, looked up at every Gaussian. What is found for a
pose is kept with it, so that a lamp that moves costs its own maps alone, and another camera none.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..native import INT, POINTER, Kernel, Struct
from ..raster.camera import Camera
from ..raster.mesh_depth import Mesh
from ..workers import default_threads, share
from .environment import Environment, split, uniform_directions
from .harmonics import FACTORS, LAMBERT
from .lights import Area, Lamp, Lights, Point, Spot, Sun, lamp_samples
from .materials import shares
from .reflections import tables
from .surface import CHUNK, AvatarSurface
from .visibility import DepthMap, box_of, depth_maps, distant_cameras, lamp_cameras, reached

HARD = 0.01  # of its distance: the radius of a lamp whose shadows are drawn hard
WIDEST_LOBE = 0.25  # roughness below which reflections are occluded as if they were so wide
KEPT = 16  # results of each kind that a pose keeps
EVEN = Environment(np.ones((1, 1, 3), np.float32))
KINDS = (Sun, Point, Spot, Area)  # as kernels/light.c numbers them

_world = Kernel("lca_light_world", *[POINTER] * 3)
_lamp = Kernel("lca_light_lamp", *[POINTER] * 3)
_sky = Kernel("lca_light_sky", *[POINTER] * 3)
_gather = Kernel("lca_light_gather", POINTER, INT, POINTER, POINTER, INT, *[POINTER] * 3)


class Quality(NamedTuple):
    """directions of an environment that are fixed, and peaks: lights for what of it is bright; pixels of the
    sides of their depth maps, `coarse`, and of lamps', `fine`; samples: depth maps for the penumbra of a lamp
    that is large as seen from the avatar, one makes it hard; emitters: places that light bounces off, 0 for
    none; dense: whether an environment's visibility is found at every Gaussian."""

    directions: int
    peaks: int
    coarse: int
    fine: int
    samples: int
    emitters: int
    dense: bool


INTERACTIVE = Quality(24, 4, 128, 512, 1, 128, False)
FINAL = Quality(64, 16, 256, 1024, 8, 1536, True)


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
        surface = self._struct(made, eye, quality.dense)
        tickets, threads = -(-count // CHUNK), default_threads()
        environment = (lights.environment or EVEN) if any(lights.world) else BLACK
        share(_world, tickets, threads, surface, self._world(environment, lights.world, eye, quality))
        for lamp in lights.lamps:
            for one in self._lamp(lamp, quality) if any(lamp.color) else ():
                share(_lamp, tickets, threads, surface, one)
        if quality.emitters and albedo is not None:
            made.matte[...] += self._bounced(made, albedo, quality)
        return made

    def _struct(self, made: Shaded, eye: np.ndarray | None, dense: bool) -> Struct:
        """`surface_t` of kernels/light.c."""
        proxy, gloss = self.surface.proxy, self.surface.gloss
        constants = [np.array(gloss.roughness) ** 4, 0.08 * np.array(gloss.specular)]
        constants = np.ascontiguousarray(np.stack(constants, 1), np.float32)
        near = (None, None) if dense else (proxy.near, proxy.share)
        arrays = self.means, self.normals, proxy.inset, self.surface.material, *near
        return Struct(len(self.means), *arrays, constants, shares(gloss), eye, *made)

    def _world(self, environment: Environment, radiance, eye, quality: Quality) -> Struct:
        """`world_t`."""
        radiance = np.array(radiance, np.float32)
        coarse = np.ones((len(self._places(quality)[0]), 4), np.float32)
        if radiance.any():
            coarse = self._reaching(environment, eye, quality)
        blurred = None
        if eye is not None:
            blurred = np.ascontiguousarray(tables(environment.own, self.surface.gloss) * radiance)
        factors = (FACTORS * LAMBERT)[:, None] * radiance
        coefficients = np.ascontiguousarray(environment.harmonics() * factors, np.float32)
        rotation = np.ascontiguousarray(environment.rotation, np.float32)
        return Struct(coefficients, rotation, coarse, blurred)

    def _places(self, quality: Quality) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where the world's visibility is found: means, normals [s,3], inset [s], material [s]."""
        arrays = self.means, self.normals, self.surface.proxy.inset, self.surface.material
        if quality.dense:
            return arrays
        rows = self.surface.proxy.coarse.rows
        means, normals, inset, material = self._keep(("places",), lambda: [a[rows] for a in arrays])
        return means, normals, 0 * inset, material

    def _reaching(self, environment: Environment, eye: np.ndarray | None, quality: Quality) -> np.ndarray:
        """[s,4] at the places: irradiance with occlusion over that without, and of the lobe that is reflected
        into the eye, by the environment's light, the part that the body does not hide."""

        def made():
            directions, weights = _lights_of(environment, quality)
            means, normals, _, material = self._places(quality)
            mirrored = sharp = None
            if eye is not None:
                towards = eye[:3] - eye[3] * means
                towards /= np.sqrt(_dot(towards, towards))[:, None] + np.float32(1e-9)
                mirrored = 2 * _dot(normals, towards)[:, None] * normals - towards
                sharp = 0.5 / self.surface.gloss.each("roughness", material).clip(WIDEST_LOBE) ** 4
            lights = directions, weights, np.ascontiguousarray(weights.mean(1))
            return _shares_of(normals, mirrored, sharp, *lights, self._reached(environment, quality))

        return self._keep(("reaching", environment, quality, eye is not None and eye.tobytes()), made)

    def _reached(self, environment: Environment, quality: Quality) -> np.ndarray:
        """uint8 [D,s]: how much from the environment's directions reaches the places."""
        directions, _ = _lights_of(environment, quality)
        fixed, peaks = directions[: quality.directions], directions[quality.directions :]
        return np.concatenate(
            [self._visible("fixed", fixed, quality), self._visible("peaks", peaks, quality)]
        )

    def _visible(self, kind: str, directions: np.ndarray, quality: Quality) -> np.ndarray:
        """uint8 [D,s], 255ths, see `reached`; what is kept as "alone" is without the other meshes."""

        def made():
            shell = self.caster if quality.dense else self.surface.proxy.coarse.mesh(self.means)
            others = self.others if kind != "alone" else ()
            return reached(shell, others, *self._places(quality)[:3], directions, quality.coarse)

        return self._keep((kind, directions.tobytes(), quality.coarse, quality.dense), made)

    def _hidden(self, quality: Quality) -> np.ndarray:
        """[s] at the places: how much of the sky, by the cosine, the body hides."""

        def made():
            directions = np.ascontiguousarray(uniform_directions(quality.directions), np.float32)
            seen = self._visible("alone" if self.others else "fixed", directions, quality)
            even = np.ones_like(directions)
            normals = self._places(quality)[1]
            return 1 - _shares_of(normals, None, None, directions, even, even[:, 0], seen)[:, 0]

        return self._keep(("hidden", quality), made)

    def _bounced(self, made: Shaded, albedo: np.ndarray, quality: Quality) -> np.ndarray:
        """[N,3]: irradiance over pi of light that comes from the body, after one bounce and two: its mean
        over what is seen of the emitters, times what the body hides of the sky."""
        shell = self.surface.proxy.coarse
        step = max(len(shell.rows) // quality.emitters, 1)
        rows, area = shell.rows[::step], step * shell.area[::step, None]
        emitters = np.ascontiguousarray(np.hstack([self.means[rows], self.normals[rows], area]), np.float32)
        leaving = (1 - made.reflected[rows])[:, None] * albedo[rows]
        first, hidden = made.matte[rows], self._hidden(quality)[:, None]
        again = (hidden[rows] if quality.dense else hidden[::step]) * _gathered(
            self.means[rows], self.normals[rows], emitters, leaving * first
        )
        places = self.means[shell.rows], self.normals[shell.rows]
        mean = _gathered(*places, emitters, leaving * (first + again))
        spread = self.surface.proxy.spread
        return hidden * spread(mean) if quality.dense else spread(hidden * mean)

    def _lamp(self, lamp: Lamp, quality: Quality) -> list[Struct]:
        """`lamp_t` for every point of a lamp and every depth map of it."""
        points = self._points(lamp, quality.samples)
        key = ("maps", _placed(lamp), len(points), quality.fine)
        maps = self._keep(key, lambda: self._maps(lamp, points, quality.fine))
        return [
            _struct_of(lamp, at, 1 / len(points), one, outside=len(drawn) == 1)
            for at, drawn in zip(points, maps, strict=True)
            for one in drawn
        ]

    def _points(self, lamp: Lamp, samples: int) -> np.ndarray:
        at = lamp_samples(lamp, 1)[0]
        away = 1.0 if isinstance(lamp, Sun) else np.linalg.norm(self.means.mean(0) - at)
        spread = np.abs(lamp_samples(lamp, 16) - at).max()
        return lamp_samples(lamp, samples if spread > HARD * away else 1)

    def _maps(self, lamp: Lamp, points: np.ndarray, pixels: int) -> list[list[DepthMap]]:
        """The depth maps of every point of a lamp."""
        surface, box = self.caster, self._keep(("box",), lambda: box_of(self.caster.points))
        if isinstance(lamp, Sun):
            cameras = [[camera] for camera in distant_cameras(box, points, pixels)]
        else:
            cameras = [lamp_cameras(box, at, pixels) for at in points]
        maps = iter(depth_maps(surface, self.others, [camera for some in cameras for camera in some]))
        return [[next(maps) for _ in some] for some in cameras]

    @property
    def caster(self) -> Mesh:
        """The avatar as a mesh that casts its shadows."""
        return self._keep(("fine",), lambda: self.surface.proxy.fine.mesh(self.means))

    def _keep(self, key: tuple, make):
        """The kept result of `make`, made where there is none; the oldest of a kind is dropped for it."""
        if key not in self._kept:
            alike = [other for other in self._kept if other[0] == key[0]]
            if len(alike) >= KEPT:
                del self._kept[alike[0]]
            self._kept[key] = make()
        return self._kept[key]


BLACK = Environment(np.zeros((1, 1, 3), np.float32))


def _struct_of(lamp: Lamp, at, part: float, drawn: DepthMap, outside: bool) -> Struct:
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
    return Struct(KINDS.index(type(lamp)), values, *drawn.struct(outside).fields)


def _gathered(places, normals, emitters, sent) -> np.ndarray:
    """[n,3]: the mean of what emitters [E,7] send that places see of them; see kernels/light_bounce.c."""
    places, normals, sent = (np.ascontiguousarray(a, np.float32) for a in (places, normals, sent))
    out = np.empty_like(places)
    given = len(places), places, normals, len(emitters), emitters, sent, out
    share(_gather, -(-len(places) // CHUNK), default_threads(), *given)
    return out


def _shares_of(normals, mirrored, sharpness, directions, weights, luminance, seen) -> np.ndarray:
    """[n,4]: what of distant lights reaches a surface, over what would unhidden; see kernels/light_sky.c."""
    arrays = normals, mirrored, sharpness, directions, weights, luminance
    arrays = [None if a is None else np.ascontiguousarray(a, np.float32) for a in arrays]
    out = np.empty((len(normals), 4), np.float32)
    struct = Struct(len(normals), len(directions), *arrays, seen)
    share(_sky, -(-len(normals) // CHUNK), default_threads(), struct, out)
    return out


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


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", a, b)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a [n,k] times the transpose of b [m,k]; not by BLAS, which would wake its threads."""
    return np.einsum("nk,mk->nm", a, b)
