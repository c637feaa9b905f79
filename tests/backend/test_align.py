# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of one person, brought into agreement by what they show."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.jobs import Cancelled
from lca_blender.backend.likeness import align
from lca_blender.backend.likeness.assemble import moved_normals, place_scales
from lca_blender.backend.likeness.photo import FittedPhoto, fitted_surface
from lca_blender.backend.raster import rasterize
from scipy.spatial.transform import Rotation
from test_likeness import PLACES, photo_of, standing

WAVES = np.array([[90, 20, 0], [0, 70, 40], [30, 0, 80]])
COLOR = (0.5 + 0.4 * np.sin(PLACES.positions @ WAVES.T)).astype(np.float32)


def sizes_of(surface):
    return place_scales(PLACES, surface)[:, 0] / 0.5


def taken(fit, surface) -> FittedPhoto:
    """The photo that a fit shows of a surface in `COLOR`, before grey."""
    photo = photo_of(fit)
    balls = photo.pose(PLACES, surface, moved_normals(PLACES, surface)).balls(sizes_of(surface))
    drawn = rasterize(replace(balls, colors=torch.from_numpy(COLOR)), photo.camera)["combined"].numpy()
    rgb = drawn[..., :3] + 0.5 * (1 - drawn[..., 3:])
    return photo_of(fit, rgb=rgb.astype(np.float32), matte=drawn[..., 3].copy())


def moved(fit, **turns):
    local = fit.local.copy()
    for joint, degrees in turns.items():
        local[INDEX[joint]] = (
            local[INDEX[joint]] @ Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        )
    return replace(fit, local=local)


def test_poses_that_are_off_are_found(monkeypatch):
    """An arm by six degrees and the body by a centimetre in one of two photos."""
    monkeypatch.setattr(align, "STEPS", 40)
    fits = [standing(), standing(yaw=0.6)]
    surface = fitted_surface(PLACES, fits[0])
    photos = [taken(fit, surface) for fit in fits]
    off = moved(fits[1], **{"upper_arm.L": (0, 6, 0)})
    off.translation = fits[1].translation + np.array([0.01, 0, 0])
    wrong = [photos[0], FittedPhoto.of(photos[1].seen, off)]
    better, shape = align.aligned(PLACES, wrong, surface, sizes_of(surface), COLOR)
    apart = lambda fit: np.linalg.norm((fit.joints() - fits[1].joints())[:22], axis=1)  # noqa: E731
    assert np.median(apart(better[1].fit)) < 0.6 * np.median(apart(off))
    assert apart(better[1].fit).max() < 0.5 * apart(off).max()
    assert np.median(np.linalg.norm(shape - surface, axis=1)) < 0.002


def test_hair_that_photos_show_moves_the_surface_and_not_the_face(monkeypatch):
    monkeypatch.setattr(align, "STEPS", 40)
    fits = [standing(), standing(yaw=1.3), standing(yaw=2.9)]
    bare = fitted_surface(PLACES, fits[0])
    thick = bare + 0.02 * (PLACES.scalp[:, None] * PLACES.normals)
    photos = [taken(fit, thick) for fit in fits]
    _, shape = align.aligned(PLACES, photos, bare, sizes_of(bare), COLOR)
    out = ((shape - bare) * PLACES.normals).sum(1)
    assert np.median(out[PLACES.scalp > 0.9]) > 0.002
    assert np.percentile(out[PLACES.scalp > 0.9], 80) > 0.006
    assert np.abs(shape - bare)[PLACES.face > 0.5].max() < 1e-6


def test_a_given_pose_stays(monkeypatch):
    monkeypatch.setattr(align, "STEPS", 3)
    fits = [standing(), standing(yaw=0.5)]
    surface = fitted_surface(PLACES, fits[0])
    photos = [taken(fit, surface) for fit in fits]
    given = replace(moved(fits[1], **{"upper_arm.L": (0, 6, 0)}), held=True)
    photos[1] = FittedPhoto.of(photos[1].seen, given)
    (free, held), _ = align.aligned(PLACES, photos, surface, sizes_of(surface), COLOR)
    np.testing.assert_allclose(held.fit.local, given.local, atol=1e-6)
    np.testing.assert_allclose(held.fit.K, given.K)
    assert np.abs(free.fit.local - fits[0].local).max() > 1e-4


def test_the_same_photos_give_the_same_bits_and_a_report_may_end_it(monkeypatch):
    monkeypatch.setattr(align, "STEPS", 3)
    fits = [standing(), standing(yaw=0.5)]
    surface = fitted_surface(PLACES, fits[0])
    photos = [taken(fit, surface) for fit in fits]
    given = PLACES, photos, surface, sizes_of(surface), COLOR
    first, second = align.aligned(*given), align.aligned(*given)
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(first[0][1].fit.local, second[0][1].fit.local)

    def stop(fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        align.aligned(*given, stop)
