# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos' own pixels as Gaussians: on the surface, beyond its outline, and of several photos."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lca_blender.backend.body.expression import ARKIT_INDEX
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.imaging.matting import without_background_in_hair
from lca_blender.backend.likeness import choice, lifted
from lca_blender.backend.likeness.assemble import assembled, moved_normals, place_scales
from lca_blender.backend.likeness.colours import Look
from lca_blender.backend.likeness.cushion import depth_map
from lca_blender.backend.likeness.photo import fitted_surface
from lca_blender.backend.likeness.window import windows
from lca_blender.backend.model.create import rest_signal
from lca_blender.backend.raster import rasterize
from scipy import ndimage
from test_likeness import PLACES, SIZE, network_person, photo_of, standing

TONES = [np.zeros((len(PLACES), 3), np.float32)] * 2


def patterned(seed=0):
    """A picture of soft blots, about three pixels wide."""
    noise = np.random.default_rng(seed).random((*SIZE, 3))
    soft = ndimage.gaussian_filter(noise, (1.0, 1.0, 0))
    return np.clip(0.5 + 1.2 * (soft - 0.5), 0, 1).astype(np.float32)


def laid(photos, best=None, budget=None):
    """The lifted pixels of photos of one fitted body, and how the body lies in them."""
    surface = fitted_surface(PLACES, photos[0].fit)
    normals = moved_normals(PLACES, surface)
    sizes = place_scales(PLACES, surface)[:, 0] / 0.5
    posed = [photo.pose(PLACES, surface, normals) for photo in photos]
    best = np.zeros(len(PLACES), int) if best is None else best
    leading = np.zeros(len(PLACES), int)
    return lifted.lifted_pixels(PLACES, photos, posed, sizes, best, leading, TONES, budget), posed, sizes


def in_camera(made, photo):
    """The lifted pixels' points [n,3] in a photo's camera axes."""
    return lifted._posed(PLACES, made, photo)


def test_an_avatar_shows_its_photo_pixel_by_pixel():
    photo = photo_of(standing(), rgb=patterned())
    avatar = assembled([photo], network_person()).avatar
    drawn = avatar.drive(photo.signal())
    inner = ndimage.binary_erosion(photo.seen.matte > 0.99, iterations=3)

    def error(gaussians):
        shown = rasterize(gaussians, photo.camera)["combined"][..., :3].clamp(0, 1).numpy()
        return float(np.median(np.abs(shown - photo.seen.rgb)[inner]))

    part = slice(0, len(PLACES))
    places = Gaussians(drawn.means[part], drawn.covariances[part], drawn.opacities[part], drawn.colors[part])
    assert error(drawn) < 0.9 * error(places)


def test_an_avatar_knows_what_its_photo_showed():
    """The front, and not the back of the body nor of what stands off it."""
    photo = photo_of(standing())
    avatar = assembled([photo], network_person()).avatar
    places, lifted_ones = avatar.confidence[: len(PLACES)].float(), avatar.confidence[len(PLACES) :]
    torso = (np.abs(PLACES.positions[:, 0]) < 0.1) & (np.abs(PLACES.positions[:, 2] - 1.2) < 0.1)
    ahead = torch.from_numpy(torso & (PLACES.normals[:, 1] < -0.7))
    behind = torch.from_numpy(torso & (PLACES.normals[:, 1] > 0.3))
    assert places[ahead].median() == 255
    assert places[behind].max() == 0
    assert set(lifted_ones.unique().tolist()) == {0, 255}
    assert (lifted_ones == 255).float().mean() > 0.7
    assert avatar.take(avatar.confidence > 0).confidence.min() > 0


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_budget_is_kept_and_used(share):
    """The same picture, coarser: each Gaussian covers so much more."""
    photo = photo_of(standing())
    whole = laid([photo])[0]
    budget = round(share * len(whole))
    made = laid([photo], budget=budget)[0]
    assert 0.75 * budget < len(made) <= budget
    covered = [np.sqrt(np.linalg.det(one.covariances[:, :2, :2])).sum() for one in (made, whole)]
    assert covered[0] == pytest.approx(covered[1], rel=0.25)
    assert len(laid([photo], budget=10**6)[0]) >= len(whole)


def test_pixels_lie_where_the_photo_shows_them():
    photo = photo_of(standing(), rgb=patterned())
    made, _, _ = laid([photo])
    on_surface = made.off < 0.002
    assert on_surface.sum() > 0.1 * len(made)
    matte = photo.seen.matte
    column, row = np.floor(photo.fit.project(in_camera(made, photo))).astype(int).T
    assert (matte[row.clip(0, SIZE[0] - 1), column.clip(0, SIZE[1] - 1)] > 0.1).mean() > 0.99


def test_what_stands_off_the_body_is_a_cushion_with_a_front_and_a_back():
    """A matte with a hat as wide as a head beside it."""
    photo = photo_of(standing())
    points = photo.pose(PLACES, fitted_surface(PLACES, photo.fit), PLACES.normals)
    top = points.pixels[PLACES.head > 0.9].min(0).astype(int)
    matte = photo.seen.matte.copy()
    high = slice(max(0, top[1] - 25), top[1] + 12)
    matte[high, top[0] - 5 : top[0] + 45] = 1
    photo = photo_of(standing(), rgb=patterned(), matte=matte)
    made, posed, sizes = laid([photo])
    free = made.take(np.flatnonzero(made.off > 0.02))
    assert len(free) > 300
    depth = in_camera(free, photo)[:, 2]
    assert np.ptp(depth) > 0.03
    window = windows(PLACES, photo, posed[0])[0]
    shape = depth_map(PLACES, posed[0], sizes, window)
    assert (shape.back >= shape.front - 1e-6).all()
    assert (shape.back - shape.front)[~shape.beyond].max() < 1e-6
    assert (shape.back - shape.front)[shape.beyond & window.lifted].max() > 0.02
    np.testing.assert_allclose(free.skin_weights.sum(1), 1, atol=1e-4)


def test_what_another_photo_shows_the_background_behind_is_not_there():
    front, side = (photo_of(standing(yaw=yaw), rgb=patterned()) for yaw in (0.0, 1.2))
    matte = front.seen.matte.copy()
    rows = np.flatnonzero((matte > 0.5).any(1))
    columns = np.flatnonzero(matte[rows[0] + 30] > 0.5)
    matte[rows[0] + 20 : rows[0] + 50, columns[-1] : columns[-1] + 40] = 1  # stands off to one side
    wrong = photo_of(standing(), rgb=patterned(), matte=matte)
    alone, _, _ = laid([wrong])
    both, _, _ = laid([wrong, side])
    same, _, _ = laid([wrong, front])
    far = lambda made: int((made.off > 0.02).sum())  # noqa: E731
    assert far(alone) > 200
    assert far(same) < 0.1 * far(alone)
    assert far(both) <= far(alone)


def test_lifted_pixels_of_the_face_follow_the_jaw():
    photo = photo_of(standing(), rgb=patterned())
    avatar = assembled([photo], network_person()).avatar
    signal = rest_signal()
    opened = replace(signal, expression=torch.zeros(52))
    opened.expression[ARKIT_INDEX["jawOpen"]] = 1
    moved = (avatar.drive(opened).means - avatar.drive(signal).means).norm(dim=-1)
    made = avatar.means[len(PLACES) :] - avatar.offsets[len(PLACES) :].float()
    place = torch.from_numpy(PLACES.tree.query(made.numpy())[1])
    near = (avatar.means[len(PLACES) :] - avatar.means[place]).norm(dim=-1) < 0.006
    assert moved[place][near].max() > 0.01
    assert (moved[len(PLACES) :] - moved[place])[near].abs().quantile(0.99) < 0.003


def looked(*weights):
    """The best photos of looks with these weights [N]."""
    color = np.zeros((len(PLACES), 3), np.float32)
    looks = [Look(color, weight.astype(np.float32)) for weight in weights]
    return choice.best_photos(PLACES, [photo_of(standing())] * len(looks), looks)[0]


def test_one_photo_shows_a_whole_face():
    """Another one that shows half of the face a little better takes nothing."""
    left = PLACES.positions[:, 0] > 0
    best = looked(np.ones(len(PLACES)), np.where(left, 1.05, 0.9))
    assert (best[PLACES.face > 0.2] == 0).all()


def test_one_photo_shows_a_whole_garment_where_all_show_it_alike():
    rng = np.random.default_rng(0)
    alike = [1 + 0.3 * rng.random(len(PLACES)) for _ in range(3)]
    best = looked(*alike)
    body = (PLACES.head < 0.1) & (PLACES.face < 0.1)
    assert len(np.unique(best[body])) == 1
    hidden = PLACES.positions[:, 0] > 0.05  # of the first photo, what others show
    best = looked(np.where(hidden, 0, 1.2), np.ones(len(PLACES)))
    assert (best[body & hidden] == 1).all()


def test_what_stands_off_is_taken_of_the_photo_that_shows_most_of_the_part():
    photo = photo_of(standing())
    matte = ndimage.binary_dilation(photo.seen.matte > 0.5, iterations=8).astype(np.float32)
    wide = photo_of(standing(), matte=matte)
    made, _, _ = laid([wide, wide])
    assert (made.source[made.off > 0.02] == 0).all()


def test_small_pieces_are_taken_from_the_photo_around():
    """A spot of two centimetres on the chest that a second photo shows much better."""
    chest = PLACES.tree.query([0.05, -0.15, 1.25])[1]
    spot = np.linalg.norm(PLACES.positions - PLACES.positions[chest], axis=1) < 0.02
    best = looked(np.ones(len(PLACES)), np.where(spot, 9.0, 0.5))
    assert spot.sum() > 20
    assert (best == 0).all()


def test_a_single_photo_shows_what_it_can():
    """Also where a pixel's nearest place is hidden."""
    assert (looked(np.zeros(len(PLACES))) == 0).all()


@pytest.mark.parametrize("recognised", [True, False])
def test_hands_that_were_not_recognised_are_not_lifted(recognised):
    hand = object() if recognised else None
    photo = photo_of(standing(), rgb=patterned(), hands={"left": hand, "right": hand})
    made, _, _ = laid([photo])
    on_hands = np.maximum(*PLACES.hands)[made.place] > 0.9
    assert (on_hands.sum() > 50) == recognised


def test_a_photo_with_an_empty_matte_gives_no_pixels():
    photo = photo_of(standing(), matte=np.zeros(SIZE, np.float32))
    made, _, _ = laid([photo])
    assert len(made) == 0


def test_photos_come_to_one_tone():
    color = np.full((len(PLACES), 3), 0.4, np.float32)
    weight = np.ones(len(PLACES), np.float32)
    looks = [Look(color, weight), Look(color + 0.2, weight)]
    tones = choice.tones(PLACES, looks, color + 0.1)
    np.testing.assert_allclose(looks[0].color + tones[0], looks[1].color + tones[1], atol=1e-5)


def test_the_background_between_strands_is_no_hair():
    """Dark strands before a bright wall: the matte keeps them and loses the wall; a shirt of the wall's
    colour, which is no hair, stays."""
    rgb = np.full((200, 160, 3), 0.9, np.float32)
    strands = np.zeros((200, 160), bool)
    strands[20:120, 40:120] = np.arange(40, 120)[None] % 8 < 5
    rgb[strands] = 0.1
    matte = np.zeros((200, 160), np.float32)
    matte[20:180, 40:120] = 1
    hair = np.zeros((200, 160), bool)
    hair[10:120, 20:140] = True
    made = without_background_in_hair(rgb, matte, hair)
    gaps = (matte > 0) & ~strands & hair
    assert made[strands].min() > 0.9
    assert made[gaps].mean() < 0.2
    np.testing.assert_array_equal(made[120:], matte[120:])


def test_hair_of_the_backgrounds_colour_stays():
    rgb = np.full((100, 80, 3), 0.3, np.float32)
    matte = np.zeros((100, 80), np.float32)
    matte[20:80, 20:60] = 1
    np.testing.assert_array_equal(without_background_in_hair(rgb, matte, matte > 0), matte)
