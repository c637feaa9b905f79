# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of synthetic people in motion: skin under cloth, inner garments under outer ones, feet in shoes."""

import numpy as np
import pytest
from lca_blender.backend.raster.camera import look_at
from lca_blender.backend.raster.mesh_faces import rasterize_mesh
from lca_blender.backend.training.people import poses
from lca_blender.backend.training.people.figure import Figure
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.prints import Fabric
from lca_blender.backend.training.people.render import pose_person
from lca_blender.backend.training.people.shoes import ShoeMaterial
from lca_blender.backend.training.people.sites import SKIN

WIDTH, HEIGHT = 160, 240


def _pose(kind):
    figure = Figure()
    if kind == "walking":
        return poses.walk(0.1)
    for side in "LR":
        if kind == "sitting":
            figure.leg(side, flex=80, knee=80, abduct=8)
            figure.arm(side, (0.4, -0.3, -1), elbow=40)
        elif kind == "arms up":
            figure.arm(side, (0.5, -0.1, 1))
        else:
            figure.arm(side, (0.4, 0, -1))
    return figure.finish()


def _layer(person, posed, wanted, viewmat, K):
    """Depth [H, W] (infinite where nothing is), template points and whether each pixel faces the camera."""
    faces = person.faces[np.isin(person.face_material, wanted)]
    if not len(faces):
        return np.full((HEIGHT, WIDTH), np.inf), np.zeros((HEIGHT, WIDTH, 3)), np.zeros((HEIGHT, WIDTH), bool)
    seen = rasterize_mesh(posed.points, np.ascontiguousarray(faces), viewmat, K, WIDTH, HEIGHT)
    depth = np.where(seen.face >= 0, seen.depth, np.inf)
    at = seen.interpolate(person.template_points, faces)
    corners = posed.points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    eye = -viewmat[:3, :3].T @ viewmat[:3, 3]
    front = ((eye - corners.mean(1)) * normal).sum(1) > 0
    front &= normal[:, 2] < 0.7 * np.linalg.norm(normal, axis=1)  # not the rim that an ankle leaves a shoe by
    return depth, at, (seen.face >= 0) & front[np.maximum(seen.face, 0)]


def _through(inner, outer):
    """Pixels where the inner layer lies before the outer side of the cloth that covers it."""
    (depth, at, _), (cover, cover_at, front) = inner, outer
    both = np.isfinite(depth) & np.isfinite(cover)
    gap = np.where(both, cover, 0) - np.where(both, depth, 0)
    return front & (gap > 0.002) & (gap < 0.03) & (np.linalg.norm(at - cover_at, axis=-1) < 0.03)


def poking(person, kind, turns=(0.3, 1.9, 3.4, 5.0)):
    """Share of a person's pixels where skin comes through cloth or a shoe, from four sides."""
    pose = _pose(kind)
    posed = pose_person(person, pose.rotations, None, None, pose.root)
    low, high = posed.points.min(0), posed.points.max(0)
    middle, tall = 0.5 * (low + high), 1.1 * (high[2] - low[2])
    focal = HEIGHT / tall * 4
    K = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    cloth = [i for i, m in enumerate(person.materials) if isinstance(m, Fabric | ShoeMaterial)]
    through, covered = 0, 0
    for turn in turns:
        eye = middle + 4 * np.array([np.sin(turn), -np.cos(turn), 0.1])
        viewmat = np.asarray(look_at(tuple(eye), tuple(middle)))
        body, clothes = (_layer(person, posed, ids, viewmat, K) for ids in ([SKIN], cloth))
        through += _through(body, clothes).sum()
        covered += np.isfinite(clothes[0]).sum()
    return through / covered


@pytest.mark.parametrize("kind", ["standing", "walking", "sitting", "arms up"])
def test_no_skin_comes_through_clothes_or_shoes(kind):
    shares = np.array([poking(sample_person(seed), kind) for seed in range(24)])
    assert shares.mean() < 0.001
    assert shares.max() < 0.006
