# SPDX-License-Identifier: GPL-3.0-or-later
"""What no photo shows: colours carried on around the body, clothes and skin that nobody saw."""

import numpy as np
import pytest
from lca_blender.backend.likeness.completion import MOUTH_COLORS, Seen, completed
from lca_blender.backend.likeness.places import load_places
from lca_blender.backend.likeness.unrolled import COLUMNS, unrolled

PLACES = load_places()
GREY = np.full((len(PLACES), 3), 0.5, np.float32)
SKIN, CLOTH, HAIR = (np.float32(c) for c in ((0.8, 0.6, 0.5), (0.2, 0.5, 0.3), (0.1, 0.05, 0.02)))
HEIGHT, FRONT = PLACES.positions[:, 2], PLACES.normals[:, 1] < -0.1
TRUNK = (PLACES.share(("spine1", "spine2", "pelvis")) > 0.9) & (HEIGHT > 0.95)
BACK = TRUNK & (PLACES.normals[:, 1] > 0.5)


def from_the_front(color, seen=None):
    """The colours of all places, where those in front were seen."""
    trust = (FRONT if seen is None else seen).astype(np.float32)
    return completed(PLACES, Seen(np.broadcast_to(color, GREY.shape).astype(np.float32), trust), GREY)


def off(made, rows, color):
    return np.abs(made[rows] - color).max(1)


def test_parts_are_unrolled_around_their_axes():
    for part in unrolled(PLACES):
        before = part.opposite[:, 1] < PLACES.positions[part.places, 1]
        if part.kind in ("trunk", "arm", "leg"):
            behind = np.abs(part.column - COLUMNS / 2) < COLUMNS / 4
            assert (before == behind).mean() > 0.98, part.name
        ones = part.at(np.ones((part.rows, COLUMNS, 1)))
        np.testing.assert_allclose(ones, 1)
        assert part.sums(np.ones(len(part.places))).sum() == len(part.places)
    total = np.zeros(len(PLACES))
    for part in unrolled(PLACES):
        total[part.places] += part.share
    body = (PLACES.part == 0) & (PLACES.face == 0) & (PLACES.ears == 0)
    np.testing.assert_allclose(total[body], 1, atol=0.1)


def test_stripes_go_on_around_the_back():
    """Horizontal stripes of 4 cm, seen from the front only."""
    stripe = np.floor(HEIGHT / 0.04) % 2 > 0
    made = from_the_front(np.where(stripe[:, None], np.float32([0.8, 0.1, 0.1]), np.float32(0.9)))
    inside = np.abs(HEIGHT / 0.04 % 1 - 0.5) < 0.25  # not at a stripe's border
    assert np.median(off(made, BACK & stripe & inside, (0.8, 0.1, 0.1))) < 0.12
    assert np.median(off(made, BACK & ~stripe & inside, 0.9)) < 0.12


def test_a_belt_stays_sharp_behind():
    upper = HEIGHT > 1.05
    made = from_the_front(np.where(upper[:, None], CLOTH, np.float32(0.1)))
    behind = PLACES.normals[:, 1] > 0.5
    for rows, color in ((TRUNK & upper & (HEIGHT > 1.07), CLOTH), (TRUNK & ~upper & (HEIGHT < 1.03), 0.1)):
        assert np.percentile(off(made, rows & behind, color), 95) < 0.06


def test_a_shirts_texture_is_on_its_back_and_its_print_and_its_neckline_are_not():
    """Fine noise all over, a black disc of 12 cm on the chest, skin in a V below the neck."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.04, (len(PLACES), 1)).astype(np.float32)
    disc = np.linalg.norm(PLACES.positions[:, [0, 2]] - (0, 1.15), axis=1) < 0.06
    v = (HEIGHT > 1.28) & (np.abs(PLACES.positions[:, 0]) < 0.5 * (HEIGHT - 1.28))
    color = np.where(disc[:, None], 0.02, np.where(v[:, None], SKIN, CLOTH + noise))
    made = from_the_front(color)
    plain = BACK & ~disc & ~v
    assert 0.5 < made[plain].std(0).mean() / 0.04 < 1.3
    assert off(made, BACK & disc, CLOTH).mean() < off(made, plain, CLOTH).mean() + 0.02
    upper = PLACES.normals[:, 1] > 0.5
    assert np.median(off(made, upper & v & (HEIGHT < 1.36), CLOTH)) < 0.08


def test_unseen_places_take_the_other_side():
    left = PLACES.positions[:, 0] > 0
    color = np.float32([0.7, 0.4, 0.2])
    made = from_the_front(color, left)
    right = (PLACES.positions[:, 0] < -0.02) & (PLACES.part < 2)
    assert np.median(off(made, right, color)) < 0.05


def test_unseen_hair_is_the_hairs_colour_and_not_the_skins_beside_it():
    made = from_the_front(np.where(PLACES.scalp[:, None] > 0.5, HAIR, SKIN))
    back = (PLACES.scalp > 0.99) & ~FRONT
    assert back.sum() > 500
    assert np.percentile(off(made, back, HAIR), 95) < 0.06


def test_hair_behind_has_strands_where_seen_hair_has():
    rng = np.random.default_rng(0)
    hair = 0.4 * (1 + rng.normal(0, 0.2, (len(PLACES), 1)))
    made = from_the_front(np.where(PLACES.scalp[:, None] > 0.5, hair, SKIN))
    back = (PLACES.scalp > 0.9) & (PLACES.normals[:, 1] > 0.5)
    assert made[back].std(0).mean() > 0.03
    assert abs(made[back].mean() - 0.4) < 0.05


def test_hands_that_nobody_saw_are_skin():
    hands = np.maximum(*PLACES.hands) > 0.9
    made = from_the_front(np.where(PLACES.head[:, None] > 0.5, SKIN, CLOTH), FRONT & ~hands)
    assert np.median(off(made, hands, SKIN)) < 0.06


def test_legs_that_nobody_saw_wear_trousers_up_to_a_hem_and_shoes():
    made = from_the_front(np.where(PLACES.head[:, None] > 0.5, SKIN, np.float32(0.9)), FRONT & (HEIGHT > 1.1))
    leg, foot = PLACES.share(("shin.L", "shin.R")) > 0.9, PLACES.share(("foot.L", "foot.R")) > 0.9
    assert made[leg].max() < 0.35
    assert made[foot].max() < 0.2
    belly, below = TRUNK & (HEIGHT > 0.97), (PLACES.share(("thigh.L", "thigh.R")) > 0.9) & (HEIGHT < 0.8)
    assert made[belly].min() > 0.8
    assert made[below].max() < 0.35


def test_soles_are_darker_than_their_shoes():
    made = from_the_front(np.float32(0.6), PLACES.normals[:, 2] > -0.3)
    feet = (PLACES.share(("foot.L", "foot.R")) > 0.9) & (HEIGHT < 0.03)
    assert np.median(made[feet & (PLACES.normals[:, 2] < -0.9)]) < 0.75 * 0.6


def test_what_is_not_certain_is_shown_and_not_carried_on():
    """A hand's breadth at the trunk's side in another colour, as of an arm that hangs before it."""
    side = TRUNK & (np.abs(PLACES.normals[:, 0]) > 0.9)
    color = np.where(side[:, None], np.float32([0.9, 0.1, 0.1]), CLOTH)
    seen = Seen(color.astype(np.float32), (FRONT | side).astype(np.float32))
    made = completed(PLACES, seen, GREY, np.where(side, 0.01, 1.0))
    assert np.median(off(made, side, (0.9, 0.1, 0.1))) < 0.01
    assert np.median(off(made, BACK, CLOTH)) < 0.06


def test_hair_that_hangs_beside_the_neck_is_behind_it_too():
    neck = PLACES.share(("neck1", "neck2")) > 0.6
    beside = neck & (np.abs(PLACES.normals[:, 0]) > 0.7)
    hanging = Seen(np.broadcast_to(HAIR, GREY.shape), beside.astype(np.float32))
    seen = Seen(np.broadcast_to(SKIN, GREY.shape).astype(np.float32), (FRONT & ~beside).astype(np.float32))
    made = completed(PLACES, seen, GREY, off=hanging)
    nape = neck & (PLACES.normals[:, 1] > 0.7) & (PLACES.scalp == 0)
    assert np.median(off(made, nape, HAIR)) < np.median(off(made, nape, SKIN))


@pytest.mark.parametrize("brightness", [0.3, 0.6])
def test_a_mouth_that_no_photo_shows_is_as_bright_as_the_face(brightness):
    made = from_the_front(np.float32(brightness), FRONT & (PLACES.part == 0))
    for part, color in MOUTH_COLORS.items():
        wanted = np.float32(color) * brightness / 0.6
        np.testing.assert_allclose(np.median(made[PLACES.part == part], axis=0), wanted, atol=0.01)


def test_what_is_far_from_all_that_was_seen_has_no_seam():
    """A portrait whose left half is in shadow: the back takes one smooth tone, not two halves."""
    shade = np.where(PLACES.positions[:, :1] > 0, np.float32(0.3), np.float32(0.7)) * np.ones(3, np.float32)
    made = from_the_front(shade, FRONT & (HEIGHT > 1.3))
    near = BACK & (np.abs(PLACES.positions[:, 0]) < 0.03)
    left = PLACES.positions[:, 0] > 0
    assert abs(made[near & left].mean() - made[near & ~left].mean()) < 0.03


def test_without_any_photo_the_face_is_the_networks_and_hands_are_like_it():
    made = completed(PLACES, Seen(0 * GREY, np.zeros(len(PLACES), np.float32)), GREY)
    np.testing.assert_allclose(made[(PLACES.face > 0.9) & (PLACES.part < 2)], 0.5, atol=1e-6)
    np.testing.assert_allclose(made[np.maximum(*PLACES.hands) > 0.95], 0.5, atol=0.02)
