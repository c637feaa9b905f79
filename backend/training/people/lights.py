# SPDX-License-Identifier: GPL-3.0-or-later
"""Light for pictures of people: a soft environment as spherical harmonics and one key light."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

# Factors that turn radiance coefficients into irradiance, bands 0, 1, 2 (Ramamoorthi &
# Hanrahan 2001), over pi.
_COSINE = np.array([1.0] + [2 / 3] * 3 + [0.25] * 5, np.float32)
_GLOSS = np.array([1.0] + [0.85] * 3 + [0.55] * 5, np.float32)


@dataclass(frozen=True)
class Light:
    """Linear light. A white matte surface shows `diffuse(normal) + key` before `exposure`.

    sh [9, 3] radiance coefficients; key_direction [3] unit, towards the light; key [3] strength on a surface
    that faces it; wrap 0..1 softens the key's edge; shadow 0..1 is how dark its cast shadows are; exposure
    multiplies everything.
    """

    sh: np.ndarray
    key_direction: np.ndarray
    key: np.ndarray
    wrap: float = 0.2
    shadow: float = 0.8
    exposure: float = 1.0

    def diffuse(self, normals: np.ndarray) -> np.ndarray:
        """Unit normals [p, 3] -> irradiance / pi [p, 3] of the environment."""
        return np.maximum(sh_basis(np.asarray(normals, np.float32)) @ self.matte, 0)

    @property
    def matte(self) -> np.ndarray:
        """Coefficients [9, 3] that give irradiance / pi of a normal."""
        return (self.sh * _COSINE[:, None]).astype(np.float32)

    @property
    def glossy(self) -> np.ndarray:
        """Coefficients [9, 3] that give blurred radiance of a direction, for soft reflections."""
        return (self.sh * _GLOSS[:, None]).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def sh_basis(directions: np.ndarray) -> np.ndarray:
    """Real spherical harmonics up to degree 2 at unit directions [p, 3] float32 -> [p, 9] float32."""
    out = np.empty((len(directions), 9), np.float32)
    for i in range(len(directions)):
        x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
        out[i, 0] = 0.282095
        out[i, 1], out[i, 2], out[i, 3] = 0.488603 * y, 0.488603 * z, 0.488603 * x
        out[i, 4], out[i, 5] = 1.092548 * x * y, 1.092548 * y * z
        out[i, 6] = 0.315392 * (3 * z * z - 1)
        out[i, 7], out[i, 8] = 1.092548 * x * z, 0.546274 * (x * x - y * y)
    return out


def _sphere(count: int = 1024) -> np.ndarray:
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, i * np.pi * (3 - np.sqrt(5))
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], 1)


_SPHERE = _sphere()
_PROJECTION = sh_basis(_SPHERE.astype(np.float32)).T * (4 * np.pi / len(_SPHERE))


def project(radiance: np.ndarray) -> np.ndarray:
    """Radiance [1024, 3] on the module's sphere of directions -> coefficients [9, 3]."""
    return (_PROJECTION @ radiance).astype(np.float32)


def lobe(direction: np.ndarray, sharpness: float) -> np.ndarray:
    """A spherical Gaussian of peak 1 on the module's sphere of directions [1024]."""
    return np.exp(sharpness * (_SPHERE @ (direction / np.linalg.norm(direction)) - 1))


def direction(azimuth: float, elevation: float) -> np.ndarray:
    """Azimuth in degrees from the person's front (-Y) towards their left (+X), elevation in degrees -> unit
    vector.
    """
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])


def tint(kelvin: float) -> np.ndarray:
    """Colour [3] of a black body seen by a camera balanced for 6,500 K, luminance 1 (fit of Tanner Helland,
    linearised).
    """
    t = kelvin / 100
    red = 255 if t <= 66 else 329.7 * (t - 60) ** -0.1332
    green = 99.47 * np.log(t) - 161.12 if t <= 66 else 288.12 * (t - 60) ** -0.0755
    blue = 255 if t >= 66 else 138.52 * np.log(t - 10) - 305.04
    colour = (np.clip([red, green, blue], 1, 255) / 255) ** 2.2
    return colour / (colour @ [0.2126, 0.7152, 0.0722])


def _finish(radiance, key_direction, key, level, **rest):
    """Scales environment and key together so that a white upright surface shows `level` on average."""
    sh = project(radiance)
    around = np.stack([direction(a, 0) for a in range(0, 360, 15)])
    light = Light(sh, key_direction.astype(np.float32), np.asarray(key, np.float32), **rest)
    facing = np.clip((around @ key_direction + light.wrap) / (1 + light.wrap), 0, 1)[:, None]
    mean = float((light.diffuse(around) + facing * light.key).mean())
    scale = np.float32(level / mean)
    return Light(sh * scale, light.key_direction, light.key * scale, **rest)


def neutral_light() -> Light:
    """A white studio: bright from all sides, a soft key from the upper front left."""
    sky = 0.75 + 0.35 * _SPHERE[:, 2:] + 0.35 * lobe(direction(-35, 30), 2.0)[:, None]
    return _finish(sky * np.ones(3), direction(28, 40), np.full(3, 0.55), 0.80, wrap=0.35, shadow=0.55)


def studio_light(rng: np.random.Generator) -> Light:
    """A capture stage: white, even from all sides, a soft key from anywhere in front."""
    fill = rng.uniform(0.5, 1.0) + rng.uniform(0.1, 0.5) * _SPHERE[:, 2:]
    key_direction = direction(rng.uniform(-70, 70), rng.uniform(20, 60))
    sky = fill + rng.uniform(0.1, 0.5) * lobe(key_direction, 2.0)[:, None]
    key = np.full(3, rng.uniform(0.1, 0.7))
    return _finish(sky * np.ones(3), key_direction, key, rng.uniform(0.7, 0.85), wrap=0.35, shadow=0.5)


def random_light(rng: np.random.Generator) -> Light:
    """One of three sorts: overcast or diffuse room, studio with soft boxes, sun with sky."""
    sort = rng.choice(3, p=[0.45, 0.35, 0.20])
    warm, cool = tint(rng.uniform(4300, 6200)), tint(rng.uniform(6500, 9000))
    ground = rng.uniform(0.1, 0.5) * (0.6 + 0.4 * rng.random(3))
    up = _SPHERE[:, 2:]
    sky_colour = cool if rng.random() < 0.5 else np.ones(3)
    radiance = np.where(up > 0, (0.6 + 0.6 * up) * sky_colour, (1 + up) * 0.3 * sky_colour - up * ground)
    key_direction = direction(
        rng.uniform(-110, 110) if rng.random() < 0.8 else rng.uniform(0, 360), rng.uniform(12, 70)
    )
    for _ in range(rng.integers(1, 4)):
        colour = warm if rng.random() < 0.5 else sky_colour
        where = direction(rng.uniform(0, 360), rng.uniform(-10, 70))
        radiance = radiance + rng.uniform(0.2, 1.6) * lobe(where, rng.uniform(1.5, 6))[:, None] * colour
    strength = (rng.uniform(0.05, 0.35), rng.uniform(0.3, 0.9), rng.uniform(1.0, 2.2))[sort]
    rest = {
        "wrap": (0.5, rng.uniform(0.2, 0.4), 0.05)[sort],
        "shadow": (0.4, rng.uniform(0.4, 0.7), rng.uniform(0.75, 0.95))[sort],
        "exposure": float(2 ** rng.normal(0, 0.22)),
    }
    return _finish(radiance, key_direction, strength * (warm if sort else sky_colour), 0.72, **rest)
