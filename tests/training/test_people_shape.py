# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of synthetic people: of all ages, as tall, as heavy and as different as people are."""

import numpy as np
import pytest
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.training.people import rest_face, shape
from lca_blender.backend.training.people.landmarks import load_landmarks
from lca_blender.backend.training.people.sites import SKIN, TEETH, load_sites

SITES = load_sites()
TEMPLATE = SITES.template


def drawn(masculine, years, count, first=0):
    """Sizes [count, 2] (stature, mass) wanted and those of the bodies made, and coefficients [count, S]."""
    wanted, made, betas = [], [], []
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        size = shape.sample_size(rng, masculine, years)
        own, ancestry = shape.sample_betas(rng, masculine, years, size)
        assert ancestry.sum() == pytest.approx(1)
        vertices, _ = shape.apply_shape(TEMPLATE, own)
        wanted.append(size[:2])
        made.append((np.ptp(vertices[:, 2]), shape.body_mass(TEMPLATE, own)))
        betas.append(own)
    return np.array(wanted), np.array(made), np.array(betas)


@pytest.mark.parametrize(("masculine", "sort"), [(0.0, "woman"), (1.0, "man")])
def test_adults_have_the_published_stature_and_mass(masculine, sort):
    sizes = np.array([shape.sample_size(np.random.default_rng(s), masculine, 30)[:2] for s in range(2000)])
    for column, (mean, spread) in zip(sizes.T, (shape.STATURE[sort], shape.MASS[sort]), strict=True):
        assert column.mean() == pytest.approx(mean, rel=0.01)
        assert column.std() == pytest.approx(spread, rel=0.08)
    assert np.corrcoef(sizes[:, 0], np.log(sizes[:, 1]))[0, 1] == pytest.approx(0.47, abs=0.06)


@pytest.mark.parametrize(("masculine", "years"), [(0.0, 4), (1.0, 9), (0.0, 15), (1.0, 30), (0.0, 75)])
def test_bodies_have_the_size_that_was_drawn(masculine, years):
    wanted, made, _ = drawn(masculine, years, 24)
    assert np.abs(wanted[:, 0] - made[:, 0]).max() < 0.012
    error = np.abs(np.log(made[:, 1] / wanted[:, 1]))
    assert np.median(error) < 0.02
    assert error.max() < 0.3


def test_children_grow_as_the_who_has_it():
    """Medians at 10 years: girls 138.6 cm and BMI 16.6, boys 137.8 and 16.4 (WHO growth reference 2007)."""
    for masculine, stature, bmi in ((0.0, 1.386, 16.6), (1.0, 1.378, 16.4)):
        sizes = [shape.sample_size(np.random.default_rng(s), masculine, 10.0) for s in range(600)]
        assert np.median([s.stature for s in sizes]) == pytest.approx(stature, rel=0.01)
        assert np.median([s.mass / s.stature**2 for s in sizes]) == pytest.approx(bmi, rel=0.03)


def test_a_fifth_are_children_and_some_are_old():
    years = np.array([shape.sample_years(np.random.default_rng(s)) for s in range(3000)])
    assert years.min() >= 3
    assert years.max() <= 80
    assert (years < 18).mean() == pytest.approx(0.2, abs=0.02)
    assert (years > 60).mean() > 0.1


def test_men_are_broader_at_the_shoulders_for_their_stature():
    """Biacromial breadth over stature, ANSUR II: men 0.237, women 0.224."""
    ratios = []
    for masculine in (0.0, 1.0):
        rows = []
        for seed in range(16):
            rng = np.random.default_rng(seed)
            size = shape.sample_size(rng, masculine, 30)
            _, heads = shape.apply_shape(TEMPLATE, shape.sample_betas(rng, masculine, 30, size)[0])
            rows.append(heads[TEMPLATE.joint_names.index("upper_arm.L"), 0] / size.stature)
        ratios.append(np.mean(rows))
    assert ratios[1] / ratios[0] > 1.04


def test_bodies_stay_within_what_the_shapes_were_made_of():
    betas = np.concatenate([drawn(m, y, 12)[2] for m in (0.0, 1.0) for y in (5, 20, 60)])
    assert np.abs(betas).max() < 9
    assert np.quantile(np.abs(betas), 0.99) < 4
    assert (betas.std(0) > 0.3).all()


def test_no_dents_in_skulls():
    local = SITES.head_local(TEMPLATE.vertices)
    skin = TEMPLATE.part == SKIN
    crown = skin & (local[:, 1] > 9)
    cheeks = skin & (local[:, 1] > -8) & (local[:, 1] < 0) & (local[:, 2] > 4)
    for seed in range(5):
        moved = np.linalg.norm(shape.individuality(np.random.default_rng(seed), SITES), axis=1)
        assert moved[crown].max() < 0.0005
        assert np.sqrt((moved[cheeks] ** 2).mean()) > 0.0004


def test_landmarks_agree_with_the_templates_regions_and_joints():
    marks = load_landmarks()
    local = SITES.head_local(TEMPLATE.vertices)
    lips = local[TEMPLATE.region("lips") > 0.9]
    assert marks.lip_top.max() > np.quantile(lips[:, 1], 0.95) - 0.15
    assert marks.lip_bottom.min() < np.quantile(lips[:, 1], 0.05) + 0.15
    assert (marks.lip_top >= marks.lip_seam).all()
    assert (marks.lip_seam >= marks.lip_bottom).all()
    assert (marks.lid_upper > marks.lid_lower).all()
    assert np.allclose(marks.eye, SITES.head_local(SITES.joint("eye.L")), atol=1e-5)
    assert marks.ball * SITES.head_scale == pytest.approx(0.0158, abs=0.0004)
    middle = len(marks.brow_line) // 2
    assert 1.2 < marks.brow_line[middle] - marks.lid_upper[len(marks.lid_upper) // 2] < 2.6
    assert marks.lip_top[0] < marks.nostril[1] < marks.nose_tip[1] + 0.3


def test_opened_lids_still_close():
    rows = np.arange(len(TEMPLATE.vertices))
    share = 0.6
    opened = rest_face.open_lids(TEMPLATE.vertices, SITES, share)
    blinks = rest_face.close_opened_lids(TEMPLATE.expression_deltas, rows, SITES, share)
    left, right = ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]
    plain = TEMPLATE.vertices + TEMPLATE.expression_deltas[[left, right]].sum(0)
    assert np.abs(opened + blinks[[left, right]].sum(0) - plain).max() < 1e-6


def test_teeth_show_below_the_lip_and_the_upper_row_overlaps_the_lower():
    moved = rest_face.lower_teeth(TEMPLATE.vertices, SITES, 1.0)
    jaw = (TEMPLATE.skin_weights * (TEMPLATE.skin_indices == TEMPLATE.joint_names.index("jaw"))).sum(1)
    front = (TEMPLATE.part == TEETH) & (np.abs(TEMPLATE.vertices[:, 0]) < 0.006)
    upper, lower = moved[front & (jaw < 0.5)], moved[front & (jaw > 0.5)]
    marks = load_landmarks()
    seam = SITES.from_head_local(np.array([0, marks.lip_seam[0], 0]))[2]
    assert upper[:, 2].min() < seam
    assert 0 < lower[:, 2].max() - upper[:, 2].min() < 0.005  # an overbite of some millimetres
    assert upper[:, 1].min() < lower[:, 1].min() - 0.001  # the upper row stands in front
