# SPDX-License-Identifier: GPL-3.0-or-later
"""The light that surfaces reflect, by adding up small pieces of every light: slow, short, and what the tiers
that run every frame are tested against."""

import numpy as np

from ..raster.mesh_depth import Mesh
from .environment import SUMMARY, Environment
from .lights import Lights, incoming, lamp_samples
from .materials import GLOSS, Gloss, highlight, reflected_share

SAMPLES = 256  # points of a lamp
BEGIN = 1e-4  # metres from a surface where a ray of light to it ends


def reference_colors(
    points: np.ndarray,
    normals: np.ndarray,
    albedo: np.ndarray,
    material: np.ndarray,
    lights: Lights,
    eye: np.ndarray,
    occluder: Mesh | None = None,
    samples: int = SAMPLES,
    rows: int = SUMMARY[0],
    gloss: Gloss = GLOSS,
) -> np.ndarray:
    """Scene-linear radiance [n,3] towards the eye [3] of points, unit normals and albedo [n,3], material [n]
    numbers of classes. occluder: a mesh whose triangles stop light, both sides (Moller & Trumbore 1997).
    samples: points of a lamp; rows: of the directions of the world. What surfaces reflect lights nothing."""
    to_eye = eye - points
    to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
    matte = albedo * (1 - reflected_share((normals * to_eye).sum(1), material, gloss))[:, None]
    out = np.zeros((len(points), 3))
    for towards, power, reach in _pieces(points, lights, samples, rows):
        towards = np.broadcast_to(towards, points.shape)
        half = towards + to_eye
        half = half / np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-9)
        cosine = (normals * towards).sum(1)
        pairs = (normals, to_eye), (normals, half), (to_eye, half)
        glint = np.pi * highlight(cosine, *((a * b).sum(1) for a, b in pairs), material, gloss)
        reflected = matte * np.maximum(cosine, 0)[:, None] + glint[:, None]
        if occluder is not None:
            reflected *= ~_blocked(points, towards, reach, occluder)[:, None]
        out += reflected * power
    return out


def _pieces(points: np.ndarray, lights: Lights, samples: int, rows: int):
    """Every small piece of light: directions towards it [n,3] or [1,3], irradiance over pi of a facing
    surface [n,3] or [1,3], and its distance [n] or infinity."""
    if any(lights.world):
        environment = lights.environment or Environment(np.ones((1, 1, 3)))
        directions, _, weights = environment.directional((rows, 2 * rows))
        for towards, weight in zip(directions @ environment.rotation, weights, strict=True):
            if weight.any():
                yield towards[None], (weight * lights.world / np.pi)[None], np.inf
    for lamp in lights.lamps:
        positions = lamp_samples(lamp, samples)
        for at in positions:
            towards, power = incoming(lamp, at, points, 1 / len(positions))
            reach = np.inf if len(towards) == 1 else np.linalg.norm(at - points, axis=1)
            yield towards, power[:, None] * np.array(lamp.color), reach


def _blocked(points: np.ndarray, towards: np.ndarray, reach, mesh: Mesh) -> np.ndarray:
    """[n] bool: a triangle lies on the way from a point along a direction, nearer than `reach` [n]."""
    corner, *others = np.moveaxis(mesh.points[mesh.triangles].astype(np.float64), 1, 0)
    first, second = (other - corner for other in others)
    across = np.cross(towards[:, None], second)
    size = (first * across).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / size
        away = points[:, None] - corner
        u = (away * across).sum(-1) * inverse
        turned = np.cross(away, first)
        v = (towards[:, None] * turned).sum(-1) * inverse
        distance = (second * turned).sum(-1) * inverse
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > BEGIN)
        return (hit & (distance < np.broadcast_to(reach, len(points))[:, None])).any(1)
