# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the body that touch in a photo, told apart."""

import numpy as np
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.likeness.limbs import BODY, limb_of, limbs_seen
from lca_blender.backend.likeness.photo import fitted_surface
from scipy import ndimage
from test_lifted import laid
from test_likeness import PLACES, SIZE, photo_of, standing

LEFT, RIGHT = "L", "R"
RED, BLUE = np.float32([0.9, 0.1, 0.1]), np.float32([0.1, 0.1, 0.9])


def share(made, names):
    """[n] skinning weight of some joints."""
    return (made.skin_weights * np.isin(made.skin_indices, [INDEX[n] for n in names])).sum(1)


def test_every_place_is_of_one_limb():
    limb = limb_of(PLACES)
    assert (limb[PLACES.head > 0.9] == BODY).all()
    for side in (LEFT, RIGHT):
        arm, leg = (set(limb[PLACES.share((f"{n}.{side}",)) > 0.9]) for n in ("forearm", "shin"))
        assert len(arm) == len(leg) == 1
        assert arm != leg
    assert len(np.unique(limb)) == 5


def test_edges_tell_where_one_limb_ends():
    """An arm before the trunk, fitted three pixels too far to the right."""
    rgb = np.full((60, 80, 3), 0.8, np.float32)
    rgb[:, 30:45] = 0.2  # the arm
    drawn = np.zeros((60, 80), int)
    drawn[:, 33:48] = 1
    at = np.where(drawn[..., None] > 0, np.float32([0.5, 0, 1]), np.float32([0, 0, 1]))
    found = limbs_seen(rgb, drawn, at, np.ones((60, 80)), 0.003)
    assert (found[:, 32:43] == 1).all()
    assert (found[:, :28] == 0).all()
    assert (found[:, 47:] == 0).all()


def test_what_lies_between_limbs_is_halved_where_no_edge_tells():
    drawn = np.full((40, 61), -1)
    drawn[:, :20], drawn[:, 41:] = 2, 4
    at = np.zeros((40, 61, 3))
    found = limbs_seen(np.full((40, 61, 3), 0.5), drawn, at, np.ones((40, 61)), 0.003)
    assert (found[:, :28] == 2).all()
    assert (found[:, 33:] == 4).all()


def between_legs(photo):
    """The photo's matte with the gap between the shins filled."""
    matte = photo.seen.matte.copy()
    points = photo.pose(PLACES, fitted_surface(PLACES, photo.fit), PLACES.normals).pixels
    shins = points[PLACES.share(("shin.L", "shin.R")) > 0.9]
    low, high = np.percentile(shins[:, 1], [5, 90]).astype(int)
    for row in range(low, high):
        columns = np.flatnonzero(matte[row] > 0.5)
        matte[row, columns[0] : columns[-1]] = 1
    return matte, float(shins[:, 0].mean())


def test_legs_of_two_colours_that_touch_part_when_they_walk():
    photo = photo_of(standing())
    matte, middle = between_legs(photo)
    column = np.arange(SIZE[1])[None, :, None]
    rgb = np.where(column < middle, RED, BLUE) * np.ones((*SIZE, 1), np.float32)
    made, _, _ = laid([photo_of(standing(), matte=matte, rgb=rgb)])
    right, left = (share(made, (f"shin.{s}", f"foot.{s}")) for s in (RIGHT, LEFT))
    assert ((right > 0.5) & (made.off > 0.01)).sum() > 200  # the cushion between them
    assert np.minimum(right, left).max() < 0.05  # none hangs on both
    red = np.linalg.norm(made.colors - RED, axis=1) < np.linalg.norm(made.colors - BLUE, axis=1)
    shins = np.maximum(right, left) > 0.5
    assert (red == (right > left))[shins].mean() > 0.98


def test_what_shows_the_floor_between_legs_is_left_out():
    photo = photo_of(standing())
    matte, _ = between_legs(photo)
    person = ndimage.binary_dilation(photo.seen.matte > 0.5, iterations=2)[..., None]
    rgb = np.where(person, RED, np.float32(0.95)).astype(np.float32)
    made, _, _ = laid([photo_of(standing(), matte=matte, rgb=rgb)])
    floor = (made.off > 0.02) & (made.colors.min(1) > 0.6)
    assert floor.sum() < 130  # 1878 where all that the matte shows is kept
