# SPDX-License-Identifier: GPL-3.0-or-later
"""Random scenes and cameras of every kind, for hypothesis."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at

CAMERAS = ("pinhole", "orthographic", "off centre", "crop", "inside")


def gaussians_of(seed, count, size, stretch, opacity, degree=None, spread=0.4):
    """A cloud around the origin: scales about `size` metres, log-normal with sigma `stretch`; opacities
    between the two given; colours in 0..1, or spherical harmonics of a degree."""
    rng = np.random.default_rng(seed)
    colors = rng.uniform(size=(count, 3))
    if degree is not None:
        colors = rng.normal(scale=0.4, size=(count, (degree + 1) ** 2, 3))
    arrays = (
        spread * rng.normal(size=(count, 3)),
        rng.normal(size=(count, 4)),
        size * np.exp(stretch * rng.normal(size=(count, 3))),
        rng.uniform(*opacity, size=count),
        colors,
    )
    return Gaussians.from_quats_scales(*(torch.tensor(a, dtype=torch.float32) for a in arrays))


def camera_of(kind, seed, width, height):
    """A camera of one of CAMERAS that sees the cloud of `gaussians_of`."""
    rng = np.random.default_rng(seed + 1)
    direction = rng.normal(size=3)
    eye = rng.uniform(2.0, 5.0) * direction / np.linalg.norm(direction)
    if kind == "inside":  # Gaussians before, behind and around it
        eye *= 0.1
    viewmat = look_at(eye, rng.normal(scale=0.05, size=3))
    if kind == "orthographic":
        return Camera.from_ortho(viewmat, rng.uniform(1.0, 3.0), width, height)
    camera = Camera.from_fov(viewmat, rng.uniform(0.3, 1.2), width, height, near=0.05)
    if kind == "off centre":
        K = camera.K.copy()
        K[:2, 2] += rng.uniform(-0.5, 0.5, size=2) * (width, height)
        K[1, 1] *= rng.uniform(0.7, 1.4)
        return Camera(viewmat, K, width, height, near=0.05)
    if kind == "crop":
        corner = (int(rng.integers(width)), int(rng.integers(height)))
        return camera.scaled(2.0).crop(*corner, width, height)
    return camera


@dataclass
class Scene:
    gaussians: Gaussians
    camera: Camera
    antialiased: bool
    seed: int


@st.composite
def scenes(draw, most=150, sides=(64, 160), opacity=((0.0, 1.0), (0.9, 1.0), (0.02, 0.3))):
    """Scenes with Gaussians of every size, shape and opacity before cameras of every kind."""
    count, width, height = draw(st.integers(1, most)), draw(st.integers(*sides)), draw(st.integers(*sides))
    # Hypothesis likes to change one number at a time: another count is to be another cloud.
    entropy = np.random.SeedSequence([draw(st.integers(0, 2**31)), count, width, height])
    seed = int(entropy.generate_state(1)[0])
    gaussians = gaussians_of(
        seed,
        count,
        draw(st.sampled_from([0.003, 0.02, 0.06, 0.2])),
        draw(st.sampled_from([0.0, 0.5, 1.0])),
        draw(st.sampled_from(opacity)),
        draw(st.sampled_from([None, None, 0, 1, 2, 3])),
    )
    camera = camera_of(draw(st.sampled_from(CAMERAS)), seed, width, height)
    return Scene(gaussians, camera, draw(st.booleans()), seed)
