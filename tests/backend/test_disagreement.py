# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of somebody else and in other clothes are noticed; light is not taken for either."""

import numpy as np
import pytest
from lca_blender.backend.likeness.colours import Look
from lca_blender.backend.likeness.disagreement import disagreement_remarks, without_covered_parts
from test_likeness import PLACES

HEAD = PLACES.head > 0.5
NAMES = [f"photo {n}" for n in range(4)]


def look(head=(0.7, 0.5, 0.4), body=(0.2, 0.3, 0.6), gain=1.0, seen=1.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.03, (len(PLACES), 3))
    color = np.where(HEAD[:, None], head, body) * gain + noise
    return Look(np.clip(color, 0, 1).astype(np.float32), np.full(len(PLACES), seen, np.float32))


def remarks(*looks):
    return disagreement_remarks(PLACES, looks, NAMES[: len(looks)])


def test_photos_of_one_person_in_another_exposure_are_not_remarked_on():
    assert remarks(*(look(gain=gain, seed=n) for n, gain in enumerate((1.0, 0.8, 1.2, 0.9)))) == []


def test_somebody_else_is_noticed():
    (said,) = remarks(look(), look(seed=1), look(head=(0.3, 0.2, 0.15), body=(0.8, 0.1, 0.1)), look(seed=2))
    assert said.startswith("photo 2 may show somebody else")


def test_other_clothes_are_noticed():
    (said,) = remarks(look(), look(body=(0.9, 0.8, 0.2), seed=1), look(seed=2))
    assert said.startswith("photo 1 may show other clothes")


def test_of_two_photos_neither_is_the_odd_one():
    (said,) = remarks(look(), look(body=(0.9, 0.8, 0.2)))
    assert said.startswith("photo 0 and photo 1 may not belong together")


@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_what_cannot_be_compared_or_differs_everywhere_says_nothing(seen):
    colors = ((0.9, 0.1, 0.1), (0.1, 0.9, 0.1), (0.1, 0.1, 0.9))
    assert remarks(*(look(head=color, body=color, seen=seen) for color in colors)) == []


def test_what_stands_before_a_leg_is_not_taken_for_it_and_the_rest_of_the_photo_stays():
    covered = look(seed=1)
    leg = PLACES.share(("shin.L",)) > 0.5
    covered.color[leg] = (0.9, 0.2, 0.8)
    looks = without_covered_parts(PLACES, [look(), covered, look(seed=2)])
    assert not looks[1].weight[leg].any()
    assert looks[1].weight[HEAD].all()
    assert all(looks[n].weight.all() for n in (0, 2))


def test_of_two_photos_that_differ_both_parts_stay():
    covered = look(seed=1)
    covered.color[PLACES.share(("shin.L",)) > 0.5] = (0.9, 0.2, 0.8)
    assert all(one.weight.all() for one in without_covered_parts(PLACES, [look(), covered]))
