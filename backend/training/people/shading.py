# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on surfaces: matte, highlight, soft reflection; and the way between linear light and sRGB."""

from __future__ import annotations

import numba
import numpy as np

from ...srgb import encoded_of, linear_of
from .lights import Light

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


def lit_colour(albedo, roughness, specular, normals, to_eye, sky, key, light: Light):
    """Linear colours [p, 3] of points, of which the sum is seen: matte (environment times occlusion, wrapped
    key light) and shine (GGX highlight, reflections).

    albedo [p, 3] linear, roughness [p], specular [p] (reflectance 0.08 times that), unit normals and to_eye
    [p, 3]; sky, key [p] are the shares of environment and key light that reach a point. Occlusion is lifted
    on bright surfaces, whose creases light each other (Jimenez et al. 2016).
    """
    f = np.float32
    return _shade(
        np.ascontiguousarray(albedo, f), roughness, specular, np.ascontiguousarray(normals, f), to_eye, sky,
        key, light.matte, light.glossy, light.key_direction.astype(f), light.key.astype(f), f(light.wrap),
        f(light.shadow), f(light.exposure),
    )  # fmt: skip


@numba.njit(**_JIT)
def _harmonics(x, y, z, coefficients, out):
    for c in range(3):
        s = coefficients[:, c]
        value = 0.282095 * s[0] + 0.488603 * (y * s[1] + z * s[2] + x * s[3])
        value += 1.092548 * (x * y * s[4] + y * z * s[5] + x * z * s[7])
        value += 0.315392 * (3 * z * z - 1) * s[6] + 0.546274 * (x * x - y * y) * s[8]
        out[c] = max(value, 0.0)


@numba.njit(**_JIT)
def environment_reflectance(reflectance, roughness, cosine):
    """Share of an even environment that a rough mirror returns (Karis 2014, analytic fit of the split sum).

    What reflects less than 2 % head on is porous and does not mirror at grazing angles either.
    """
    if reflectance <= 0:
        return 0.0
    x, y = 1 - roughness, 0.0425 - 0.0275 * roughness
    a = min(x * x, 2.0 ** (-9.28 * cosine)) * x + y
    grazing = 1.04 * a + 0.022 * roughness - 0.04
    straight = reflectance * (1.04 - 0.572 * roughness - 1.04 * a)
    return max(straight + grazing * min(reflectance / 0.04, 1.0) ** 2, 0.0)


@numba.njit(**_JIT)
def _shade(
    albedo,
    roughness,
    specular,
    normals,
    to_eye,
    sky,
    key,
    matte,
    glossy,
    axis,
    strength,
    wrap,
    shadow,
    exposure,
):
    out, shine = np.empty_like(albedo), np.empty_like(albedo)
    around, mirrored = np.empty(3), np.empty(3)
    for i in range(len(albedo)):
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        vx, vy, vz = to_eye[i, 0], to_eye[i, 1], to_eye[i, 2]
        facing = nx * axis[0] + ny * axis[1] + nz * axis[2]
        reaching = 1 - shadow * (1 - key[i])
        wrapped = min(max((facing + wrap) / (1 + wrap), 0.0), 1.0) * reaching
        _harmonics(nx, ny, nz, matte, around)
        straight = nx * vx + ny * vy + nz * vz
        cosine = min(max(straight, 0.05), 1.0)
        reflectance = 0.08 * specular[i]
        gloss = environment_reflectance(reflectance, roughness[i], cosine) * sky[i]
        highlight = 0.0
        if gloss > 0:
            _harmonics(2 * cosine * nx - vx, 2 * cosine * ny - vy, 2 * cosine * nz - vz, glossy, mirrored)
            if facing > 0:
                hx, hy, hz = vx + axis[0], vy + axis[1], vz + axis[2]
                half = (nx * hx + ny * hy + nz * hz) / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
                a2 = max(roughness[i], 0.08) ** 4
                d = half * half * (a2 - 1) + 1
                highlight = min(reflectance * a2 / (d * d) * facing * reaching / 4, 4.0)
        for c in range(3):
            a, s = albedo[i, c], sky[i]
            lifted = ((2.0404 * a - 0.3324) * s + (-4.7951 * a + 0.6417)) * s + (2.7552 * a + 0.6903)
            out[i, c] = a * (around[c] * max(s, lifted * s) + wrapped * strength[c]) * exposure
            value = highlight * strength[c]
            if gloss > 0:
                value += gloss * mirrored[c]
            shine[i, c] = value * exposure
    return out, shine


def _encode(value):
    value = np.where(value > 0.7, 1 - 0.3 * np.exp((0.7 - value) / 0.3), value)
    return encoded_of(value)


_STEPS, _ENCODE_MOST = 8191, 4.0
_DECODED = linear_of(np.linspace(0, 1, _STEPS + 1)).astype(np.float32)
_ENCODED = (_encode(np.linspace(0, _ENCODE_MOST, 4 * _STEPS + 1)) * 255 + 0.5).astype(np.uint8)


def srgb_to_linear(value: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 decoding by table (8,192 steps), elementwise, float32."""
    return _DECODED[(np.clip(value, 0, 1) * _STEPS + 0.5).astype(np.int16)]


def linear_to_bytes(value: np.ndarray) -> np.ndarray:
    """Linear light -> sRGB bytes (IEC 61966-2-1), after a soft shoulder above 0.7 that keeps highlights'
    shape.
    """
    return _ENCODED[(np.clip(value, 0, _ENCODE_MOST) * _STEPS + 0.5).astype(np.int32)]
