# SPDX-License-Identifier: GPL-3.0-or-later
"""Light told from a picture, and divided out of it."""

import numpy as np
import pytest
from lca_blender.backend.lighting.environment import Environment, uniform_directions
from lca_blender.backend.lighting.estimate import USUAL, estimated_light, light_of, shading
from lca_blender.backend.lighting.harmonics import basis
from lca_blender.backend.lighting.materials import CLOTH, EYE, HAIR, SKIN
from lca_blender.backend.likeness.albedo import _lifted_normals, _linear, _materials, _without
from lca_blender.backend.likeness.lifted import Lifted
from lca_blender.backend.likeness.places import load_places
from lca_blender.backend.srgb import encoded_of

OPEN = np.ones(1)


def surface(count=8000, seed=0):
    """Normals that a picture shows (towards -Y), and albedos: skin, a shirt of two colours, trousers."""
    normals = uniform_directions(2 * count)
    normals = normals[normals[:, 1] < -0.1]
    random = np.random.default_rng(seed)
    paints = np.array([[0.4, 0.25, 0.18], [0.7, 0.7, 0.65], [0.1, 0.15, 0.4], [0.05, 0.05, 0.06]])
    return normals, paints[random.integers(0, 4, len(normals))] * random.uniform(0.9, 1.1, (len(normals), 1))


def window_light(side):
    """A dim room with a window on one side (-1: -X)."""
    pixels = np.full((32, 64, 3), 0.3)
    middle = 32 if side > 0 else 0
    pixels[8:20, [(middle + i) % 64 for i in range(-6, 7)]] = (4.0, 4.2, 4.6)
    return light_of(Environment(pixels))


@pytest.mark.parametrize("side", [-1, 1])
def test_the_side_that_light_comes_from_is_found_and_divided_out(side):
    normals, paint = surface()
    truth = shading(window_light(side), normals, OPEN)
    picture = paint * truth / truth.mean()
    found = shading(estimated_light(picture, normals, np.ones(len(normals))), normals, OPEN)
    assert np.corrcoef(np.log(found.mean(1)), np.log(truth.mean(1)))[0, 1] > 0.95
    before, after = (spread(picture / light, paint) for light in (1, found))
    assert after < 0.4 * before


def spread(albedo, paint):
    """Standard deviation of the logarithm of an albedo over the true one."""
    return np.log(albedo / paint).mean(1).std()


def test_darkness_between_limbs_is_not_taken_for_light():
    normals, paint = surface()
    hidden = 0.3 + 0.7 * (np.arange(len(normals)) % 2)
    picture = paint * shading(window_light(1), normals, hidden)
    found = shading(estimated_light(picture, normals, hidden), normals, hidden)
    assert spread(picture / found, paint) < 0.4 * spread(picture, paint)


def test_a_picture_that_tells_nothing_has_the_usual_light():
    normals = uniform_directions(10)
    for picture in (np.zeros((10, 3)), np.ones((10, 3))):
        assert estimated_light(picture, normals, np.ones(10)) == pytest.approx(
            np.repeat(USUAL[:, None], 3, 1)
        )


def test_exposure_does_not_change_the_light():
    normals, paint = surface(2000)
    picture = paint * shading(window_light(1), normals, OPEN)
    bright, dark = (estimated_light(picture * e, normals, np.ones(len(normals))) for e in (0.4, 0.1))
    assert bright == pytest.approx(dark, abs=0.02)
    assert bright[0].mean() == pytest.approx(1)


def test_shading_of_an_even_light_is_one():
    assert shading(light_of(Environment(np.ones((1, 1, 3)))), uniform_directions(9), OPEN) == pytest.approx(
        np.ones((9, 3)), rel=0.01
    )
    assert basis(uniform_directions(9))[:, 0] == pytest.approx(0.28209479)


def test_what_would_be_too_bright_keeps_its_hue():
    color = np.array([[0.9, 0.5, 0.2], [0.2, 0.2, 0.2]])
    found = _without(color, np.array([[0.3], [0.3]]))
    assert found.max() == pytest.approx(0.9)
    linear = _linear(color)
    assert found[0] / found[0].max() == pytest.approx(linear[0] / linear[0].max())
    assert found[1] == pytest.approx(linear[1] / 0.3)
    assert encoded_of(_linear(color)) == pytest.approx(color)


def test_materials_are_where_a_person_has_them():
    """A face and hands of one colour, all else blue."""
    places = load_places()
    bare = (places.face > 0.3) | (sum(places.hands) > 0.5)
    albedo = np.where(bare[:, None], (0.5, 0.3, 0.2), (0.1, 0.2, 0.6))
    found = _materials(places, albedo, np.ones(len(places)))
    assert (found[(places.face > 0.6) & (places.part == 0)] == SKIN).all()
    assert (found[sum(places.hands) > 0.9] == SKIN).mean() > 0.98
    assert (found[places.part == 1] == EYE).all()
    assert (found[places.scalp > 0.8] == HAIR).all()
    trunk = (places.positions[:, 2] > 0.9) & (places.positions[:, 2] < 1.2)
    assert (found[trunk & ~bare] == CLOTH).mean() > 0.95


def test_gaussians_off_the_surface_have_the_normals_of_their_own_sheet():
    """A flat sheet 3 cm before places whose normals point aside, and the same on the surface."""
    count = 400
    x, z = np.meshgrid(np.arange(20) * 0.002, np.arange(20) * 0.002)
    means = np.stack([x.ravel(), np.full(count, -0.03), z.ravel()], 1).astype(np.float32)
    flat = np.tile(np.diag([1e-6, 1e-8, 1e-6]), (count, 1, 1))
    sheet = Lifted.none()
    fields = {
        "means": means,
        "covariances": flat,
        "place": np.zeros(count, np.int64),
        "off": np.full(count, 0.03, np.float32),
    }
    lifted = Lifted(**{**vars(sheet), **fields})
    found = _lifted_normals(np.array([[1.0, 0, 0]]), np.zeros((1, 3)), lifted)
    assert found == pytest.approx(np.tile([0, -1.0, 0], (count, 1)), abs=1e-5)
    on = Lifted(**{**vars(lifted), "off": np.zeros(count, np.float32)})
    assert _lifted_normals(np.array([[1.0, 0, 0]]), np.zeros((1, 3)), on) == pytest.approx(
        np.tile([1.0, 0, 0], (count, 1))
    )
