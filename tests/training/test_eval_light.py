# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-light`: its measure, its lights, and its way to a number, with pictures in Cycles' place that are
known."""

import numpy as np
import pytest
from lca_blender.backend.lighting.environment import Environment
from lca_blender.backend.lighting.lights import Lights
from lca_blender.backend.training.evaluation import light
from lca_blender.backend.training.evaluation.light import INTERACTIVE, LIGHTS, SIZE, psnr

LAMPS = [name for name in LIGHTS if "hdri" not in LIGHTS[name]]


def test_the_measure_counts_the_person_alone_at_one_exposure():
    truth = np.full((4, 4, 4), 0.2)
    truth[:2, :, 3], truth[2:, :, 3] = 1, 0.5
    darker = 0.9 * truth[..., :3]
    assert psnr(3 * darker, 3 * truth) == pytest.approx(psnr(darker, truth))
    off = np.array(truth[..., :3])
    off[2:] = 9
    off[:2] *= 0.9  # the rest does not count
    encoded = lambda x: 1.055 * x ** (1 / 2.4) - 0.055  # noqa: E731
    assert psnr(off, truth) == pytest.approx(-20 * np.log10(encoded(0.8) - encoded(0.72)), abs=0.01)


@pytest.mark.parametrize("name", LAMPS)
def test_lamps_shine_at_what_cycles_is_told(name):
    (lamp,) = light._lights(LIGHTS[name]).lamps
    given = LIGHTS[name]
    assert lamp.color == (given["settings"]["energy"],) * 3
    ahead = np.subtract(given["aim"], given["at"])
    shines = getattr(lamp, "direction", ahead / np.linalg.norm(ahead))
    towards = -1 if given["type"] == "SUN" else 1
    assert np.dot(shines, ahead) * towards == pytest.approx(np.linalg.norm(ahead))


def test_a_person_in_an_even_world_shows_its_albedo():
    """Where nothing is near, irradiance over pi is the world's radiance; then the reference is our own."""
    scene = light._scene(*light.PEOPLE[0])
    lit = light._lit(scene)
    picture = light._picture(scene, lit, Lights((1, 1, 1), Environment(np.ones((1, 1, 3)))), INTERACTIVE)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    samples = np.zeros((SIZE[0] * SIZE[1] * 4, 3), np.float32)
    samples[lit[2]] = lit[1][-len(lit[2]) :]
    albedo = samples.reshape(SIZE[1], 2, SIZE[0], 2, 3).mean((1, 3))
    person = albedo.max(-1) > 0.02
    assert 0.05 < person.mean() < 0.5
    ratio = picture[person].mean(-1) / albedo[person].mean(-1)
    assert np.median(ratio) == pytest.approx(1, abs=0.12)
