# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of synthetic people: as correlated, as heavy and as different as they should be."""

import numpy as np
import pytest
from lca_blender.backend.training.people import shape
from lca_blender.backend.training.people.sites import SKIN, load_sites

NAMES = load_sites().template.shape_names


def drawn(masculine, count):
    """Sizes [count, 4] (stature, mass and their scores) and coefficients [count, S] of people."""
    sizes, betas = [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        sizes.append(shape.sample_size(rng, masculine, 0.4))
        chosen = shape.sample_betas(rng, NAMES, masculine, 0.4, sizes[-1])
        betas.append(shape.fit_size(load_sites().template, chosen, *sizes[-1][:2]))
    return np.array(sizes), np.array(betas)


@pytest.fixture(scope="module", params=["woman", "man"])
def people(request):
    """The word for their sex, and 400 of them."""
    return request.param, *drawn(float(request.param == "man"), 400)


def test_other_shapes_follow_stature_and_mass(people):
    _, sizes, betas = people
    column = {"height": sizes[:, 0], "weight": np.log(sizes[:, 1])}
    checked = 0
    for (a, b), wanted in shape.CORRELATIONS.items():
        if {a, b} & column.keys():
            found = np.corrcoef(*(column.get(n, betas[:, NAMES.index(n)]) for n in (a, b)))[0, 1]
            assert found == pytest.approx(wanted, abs=0.12), (a, b)
            checked += 1
    assert checked == 7


def test_mass_has_the_published_mean_and_spread_and_a_body_for_each(people):
    sort, sizes, betas = people
    mean, spread = shape.MASS[sort]
    assert sizes[:, 1].mean() == pytest.approx(mean, rel=0.03)
    assert sizes[:, 1].std() == pytest.approx(spread, rel=0.12)
    assert np.corrcoef(sizes[:, 0], np.log(sizes[:, 1]))[0, 1] == pytest.approx(0.47, abs=0.12)
    low, high = shape.RANGES["weight"]
    weight = betas[:, NAMES.index("weight")]
    assert ((weight < low + 0.01) | (weight > high - 0.01)).mean() < 0.02


def test_women_have_a_bust():
    bust = [drawn(masculine, 60)[1][:, NAMES.index("bust")].mean() for masculine in (0.0, 1.0)]
    assert bust[0] > 0.6
    assert bust[1] < -0.4


def test_no_dents_in_skulls():
    sites = load_sites()
    local = sites.head_local(sites.template.vertices)
    skin = sites.template.part == SKIN
    crown = skin & (local[:, 1] > 9)
    cheeks = skin & (local[:, 1] > -8) & (local[:, 1] < 0) & (local[:, 2] > 4)
    for seed in range(5):
        moved = np.linalg.norm(shape.individuality(np.random.default_rng(seed), sites), axis=1)
        assert moved[crown].max() < 0.0005
        assert np.sqrt((moved[cheeks] ** 2).mean()) > 0.0008
