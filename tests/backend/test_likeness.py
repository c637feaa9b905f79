# SPDX-License-Identifier: GPL-3.0-or-later
"""From fitted photos to an avatar: places, surface, colours and what comes out of it all."""

import numpy as np
import pytest
import torch
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from lca_blender.backend.errors import UserError
from lca_blender.backend.imaging.fit.model import fit_model
from lca_blender.backend.likeness import colours, surface
from lca_blender.backend.likeness.assemble import assembled, moved_normals, place_scales
from lca_blender.backend.likeness.mirrored import mirror_remarks
from lca_blender.backend.likeness.photo import FittedPhoto, fitted_surface
from lca_blender.backend.likeness.places import SPACING, load_places
from lca_blender.backend.model.create import NetworkPerson, changes_at_rest, place_anchors, rest_signal
from lca_blender.backend.model.lca import LCA, CanonicalGaussians
from model_fixtures import SMALL
from scipy import ndimage
from scipy.spatial import cKDTree
from sightings import known, observed, shape

PLACES = load_places()
SIZE = (640, 480)
NOTHING = np.zeros(len(PLACES), np.float32)  # stands off usually


def photo_of(fit, **changes) -> FittedPhoto:
    seen = observed(fit, face=False, size=SIZE)
    for name, value in changes.items():
        object.__setattr__(seen, name, value)
    return FittedPhoto.of(seen, fit)


def standing(yaw=0.0, betas=None):
    fit = known(0, yaw, betas, size=SIZE)
    fit.local[1:] = np.eye(3)
    return fit


def test_places_are_even_and_finest_on_the_face():
    face, body = (
        (PLACES.face > 0.9) & (PLACES.part < 2),
        (PLACES.face < 0.01) & (PLACES.positions[:, 2] < 1.2),
    )
    body &= np.abs(PLACES.positions[:, 0]) < 0.5
    six, _ = PLACES.tree.query(PLACES.positions, k=7)
    for rows, wanted in ((face, SPACING["face"]), (body, SPACING["body"])):
        spacing = six[rows, 1:].mean(1)
        assert abs(np.median(spacing) / wanted - 1) < 0.1
        assert np.percentile(spacing, 95) < 1.35 * np.median(spacing)
        assert np.percentile(spacing, 5) > 0.7 * np.median(spacing)
    apart, _ = cKDTree(PLACES.positions).query(load_template().vertices[load_template().part == 0])
    assert apart.max() < 0.006  # no hole anywhere
    assert np.abs(PLACES.positions[PLACES.mirror] * (-1, 1, 1) - PLACES.positions).max() < 0.006


def test_missing_or_damaged_places_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="There is no file of places"):
        load_places(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="no file of places or is cut off"):
        load_places(tmp_path / "bad.safetensors")


def test_the_fitted_surface_poses_onto_the_fitted_body():
    """Places carried to the mean canonical space and back by an avatar's skinning lie on the body's mesh."""
    fit = known(3, 20, shape(body01=-1.0, body02=2.0, body03=1.0))
    photo = photo_of(fit)
    posed = photo.pose(PLACES, fitted_surface(PLACES, fit), PLACES.normals)
    vertices, model = fit.vertices(), fit_model()
    near, _ = cKDTree(vertices[model.faces].mean(1)).query(posed.points[::50])
    assert np.median(near) < 0.006
    assert np.percentile(near, 99) < 0.05  # joints bend a little differently in the two spaces


def test_a_surface_meets_the_outline_of_clothes():
    """The matte of a person in clothes that stand off by 3 cm: the trunk's rim moves out, the head stays."""
    fit = standing()
    body = photo_of(fit)
    pixels = round(0.03 * fit.focal / 3.2)
    wide = ndimage.binary_dilation(body.seen.matte > 0.5, iterations=pixels).astype(np.float32)
    bare = fitted_surface(PLACES, fit)
    moves = surface.outline_moves(PLACES, [photo_of(fit, matte=wide)], bare, NOTHING)
    trunk = (PLACES.positions[:, 2] > 0.95) & (PLACES.positions[:, 2] < 1.3)
    trunk &= (np.abs(PLACES.positions[:, 0]) < 0.2) & (np.abs(PLACES.normals[:, 0]) > 0.9)
    assert 0.016 < np.median(moves[trunk]) < 0.035
    assert np.abs(moves[PLACES.face > 0.9]).max() < 0.006
    assert np.abs(surface.outline_moves(PLACES, [body], bare, NOTHING)).max() < 0.008


def test_a_surface_that_reaches_out_of_the_matte_comes_in():
    fit = standing()
    seen = photo_of(fit).seen
    pixels = round(0.02 * fit.focal / 3.2)
    slim = ndimage.binary_erosion(seen.matte > 0.5, iterations=pixels).astype(np.float32)
    bare = fitted_surface(PLACES, fit)
    moves = surface.outline_moves(PLACES, [photo_of(fit, matte=slim)], bare, NOTHING)
    thigh = PLACES.skin_weights * (PLACES.skin_indices == INDEX["thigh.L"])
    rim = (thigh.sum(1) > 0.9) & (np.abs(PLACES.normals[:, 0]) > 0.9)
    assert np.median(moves[rim]) < -0.008


def test_where_no_outline_tells_clothes_stand_off_as_usual():
    fit = standing()
    bare, usual = fitted_surface(PLACES, fit), np.full(len(PLACES), 0.015, np.float32)
    moves = surface.outline_moves(PLACES, [photo_of(fit)], bare, usual)
    belly = (PLACES.normals[:, 1] < -0.95) & (np.abs(PLACES.positions[:, 2] - 1.1) < 0.1)
    assert abs(np.median(moves[belly]) - 0.015) < 0.005
    assert np.abs(moves[PLACES.face > 0.9]).max() < 0.004


def test_feet_keep_their_form_beside_what_a_matte_has_added_to_them():
    fit = standing()
    photo = photo_of(fit)
    feet = np.flatnonzero((PLACES.ends > 0.9) & (PLACES.positions[:, 2] < 0.3))
    bare = fitted_surface(PLACES, fit)
    pixels = photo.pose(PLACES, bare, PLACES.normals, feet).pixels.astype(int)
    blot = np.zeros(SIZE, bool)
    blot[pixels[:, 1].clip(0, SIZE[0] - 1), pixels[:, 0].clip(0, SIZE[1] - 1)] = True
    blot = ndimage.binary_dilation(blot, iterations=16)
    wide = photo_of(fit, matte=np.maximum(photo.seen.matte, blot).astype(np.float32))
    moves = surface.outline_moves(PLACES, [wide], bare, NOTHING)
    assert np.abs(moves[feet]).max() < 0.03  # the blot is 6 cm wide


def test_colours_come_from_the_photo_that_shows_a_place_best():
    """Red from the front, blue from behind: front and back take theirs, without a hole."""
    photos = []
    for yaw, color in ((0.0, (0.8, 0.1, 0.1)), (180.0, (0.1, 0.1, 0.8))):
        fit = standing(yaw)
        photos.append(photo_of(fit, rgb=np.broadcast_to(np.float32(color), (*SIZE, 3)).copy()))
    bare = fitted_surface(PLACES, photos[0].fit)
    posed = [photo.pose(PLACES, bare, PLACES.normals) for photo in photos]
    looks = []
    for photo, pose in zip(photos, posed, strict=True):
        look = colours.look_at(PLACES, photo, pose, PLACES.spacing)
        alone = np.abs(PLACES.normals[:, 1]) > 0.3  # where both see, their exposures would be evened out
        looks.append(look._replace(weight=look.weight * alone))
    color, trust = colours.blended(PLACES, looks)
    front, back = PLACES.normals[:, 1] < -0.8, PLACES.normals[:, 1] > 0.8
    for rows, channel in ((front, 0), (back, 2)):
        seen = rows & (trust > 0.9)
        assert seen.sum() > 0.7 * rows.sum()
        assert np.median(color[seen, channel]) > 0.75


def test_what_lies_behind_an_arm_is_not_seen():
    """A hand before the trunk: the trunk behind it keeps no colour of the hand's photo."""
    fit = standing()
    photo = photo_of(fit)
    bare = fitted_surface(PLACES, fit)
    looks = colours.look_at(PLACES, photo, photo.pose(PLACES, bare, PLACES.normals), PLACES.spacing)
    back = PLACES.normals[:, 1] > 0.3
    assert not looks.weight[back].any()


def test_exposures_are_evened_out():
    """The same person twice, once a third darker: the join shows no step."""
    rng = np.random.default_rng(0)
    paint = ndimage.gaussian_filter(rng.uniform(0.2, 0.9, (*SIZE, 3)), (6, 6, 0)).astype(np.float32)
    paint = (paint - paint.mean()) * 3 + 0.5
    fit = standing()
    photos = [photo_of(fit, rgb=np.clip(paint * gain, 0, 1).astype(np.float32)) for gain in (1.0, 0.66)]
    bare = fitted_surface(PLACES, fit)
    looks = [colours.look_at(PLACES, p, p.pose(PLACES, bare, PLACES.normals), PLACES.spacing) for p in photos]
    gains = colours.exposures(
        np.stack([look.color for look in looks]), np.stack([look.weight for look in looks])
    )
    assert np.abs(gains[1] / gains[0] * 0.66 - 1).max() < 0.03


def test_scales_follow_a_surface_that_is_stretched():
    wide = place_scales(PLACES, (PLACES.positions * 1.5).astype(np.float32))
    plain = place_scales(PLACES, PLACES.positions)
    assert abs(np.median(wide[:, 0] / plain[:, 0]) - 1.5) < 0.02
    assert (plain[:, 2] <= 0.0025).all()
    assert torch.isfinite(torch.from_numpy(plain)).all()


def test_normals_are_those_of_the_moved_surface():
    """Stretched by a linear map, a surface's normals turn by the map's cofactors."""
    stretch = np.diag([1.0, 0.5, 2.0]).astype(np.float32)
    normals = moved_normals(PLACES, PLACES.positions @ stretch)
    expected = PLACES.normals / np.diag(stretch)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    cosine = (normals * expected).sum(1)
    assert np.median(cosine) > 0.99
    assert np.percentile(cosine, 2) > 0.9  # lids and lips are folded within a few places
    same = moved_normals(PLACES, PLACES.positions)
    np.testing.assert_allclose(same, PLACES.normals, atol=1e-4)


@pytest.mark.parametrize("flipped", [None, 1])
def test_a_mirror_image_among_the_photos_is_said(flipped):
    """Three looks at somebody whose sides differ, each with its own exposure and noise."""
    rng = np.random.default_rng(0)
    base = np.stack([0.5 + 2 * PLACES.positions[:, 0], 0.5 - PLACES.positions[:, 0]], 1)
    base = np.column_stack([base, np.full(len(PLACES), 0.4)]).clip(0, 1).astype(np.float32)
    looks = []
    for number in range(3):
        color = base[PLACES.mirror] if number == flipped else base
        noise = rng.normal(0, 0.02, color.shape).astype(np.float32)
        looks.append(colours.Look(color * (1 - 0.1 * number) + noise, np.ones(len(PLACES), np.float32)))
    remarks = mirror_remarks(PLACES, looks, ["a.jpg", "b.jpg", "c.jpg"])
    assert len(remarks) == (0 if flipped is None else 1)
    assert all("b.jpg looks like a mirror image" in remark for remark in remarks)
    assert mirror_remarks(PLACES, looks[:1], ["a.jpg"]) == []
    pair = mirror_remarks(PLACES, looks[:2], ["a.jpg", "b.jpg"])
    assert len(pair) == len(remarks)
    assert all("a.jpg and b.jpg" in remark for remark in pair)


def test_closed_lips_hide_teeth_and_mouth():
    photo = photo_of(standing(), rgb=np.full((*SIZE, 3), 0.3, np.float32))
    bare = fitted_surface(PLACES, photo.fit)
    look = colours.look_at(PLACES, photo, photo.pose(PLACES, bare, PLACES.normals), PLACES.spacing)
    inside = PLACES.part > 1
    assert inside.sum() > 2000
    assert (look.weight[inside] > 0).mean() < 0.05


def network_person(seed=0) -> NetworkPerson:
    """An untrained network's person, whose pose decoder changes something in every pose."""
    torch.manual_seed(seed)
    model = LCA(SMALL).eval()
    torch.nn.init.normal_(model.pose_head.last.weight, std=0.05)
    torch.nn.init.normal_(model.pose_head.last.bias, std=0.5)
    anchors, tokens = place_anchors(SMALL, attributes=False), torch.randn(1, SMALL.tokens, SMALL.width)
    count = anchors.children.flatten(0, 1).shape[0]
    grey, still = torch.full((1, count, 3), 0.5), torch.zeros(1, count, 3)
    quats, whole = torch.nn.functional.normalize(torch.ones(1, count, 4), dim=-1), torch.ones(1, count)
    canonical = CanonicalGaussians(anchors.children.reshape(1, -1, 3), quats, still - 4, whole, grey, still)
    decoder = {name: tensor.detach() for name, tensor in model.pose_head.fused(tokens[0]).items()}
    return NetworkPerson(canonical, decoder, changes_at_rest(model, tokens), anchors, {"warnings": []})


def test_the_network_changes_an_avatar_in_poses_and_not_at_rest():
    """Its changes of the rest pose are taken off where it is asked, and silent where a photo shows the
    place."""
    person = network_person()
    assert person.at_rest[..., 3:6].abs().mean() > 0.002
    photo = photo_of(standing(), rgb=np.full((*SIZE, 3), 0.4, np.float32))
    avatar = assembled([photo], person).avatar
    count = len(PLACES)  # after them come the photo's pixels
    silent = avatar.slot == SMALL.gaussians_per_token
    assert silent[count:].all()
    silent = silent[:count]
    assert 0.1 < silent.float().mean() < 0.9
    rest = avatar.drive(rest_signal())
    meant = torch.from_numpy(PLACES.positions) + avatar.offsets.float()[:count]
    assert (rest.means[:count] - meant).norm(dim=-1).max() < 0.002  # half precision
    raised = rest_signal()
    raised.transforms[INDEX["hand.L"], :3, :3] = torch.from_numpy(
        np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    )
    moved = avatar.drive(raised)
    feet = torch.from_numpy(PLACES.positions[:, 2] < 0.2)  # the hand's turn reaches them by the decoder alone
    apart = (moved.means - rest.means).norm(dim=-1)[:count]
    assert apart[feet & ~silent].mean() > 10 * apart[feet & silent].mean() + 1e-5
    avatar.verify()
    front = photo.pose(PLACES, PLACES.positions, PLACES.normals).facing > 0.5
    assert (avatar.normals[:count][front, 1] < 0).float().mean() > 0.95
    seen = front & (PLACES.part == 0)
    before, after = (a[:count][seen].float().mean().item() for a in (avatar.colors, avatar.albedo))
    assert after == pytest.approx(before, abs=0.05)  # the photo is grey all over


def test_hands_that_were_not_recognised_hardly_count():
    bare, looks = fitted_surface(PLACES, standing()), []
    for hand in (object(), None):
        photo = photo_of(standing(), hands={"left": hand, "right": hand})
        looks.append(colours.look_at(PLACES, photo, photo.pose(PLACES, bare, PLACES.normals), PLACES.spacing))
    hand = np.maximum(*PLACES.hands)
    sure, body = (looks[0].weight > 0) & (hand > 0.99), (looks[0].weight > 0) & (hand == 0)
    assert sure.sum() > 100
    assert looks[1].weight[sure].max() < 0.05 * looks[0].weight[sure].max()
    np.testing.assert_array_equal(looks[0].weight[body], looks[1].weight[body])


def test_some_rows_are_posed_as_all_are():
    photo, rows = photo_of(known(2, 30)), np.arange(5, len(PLACES), 997)
    bare = fitted_surface(PLACES, photo.fit)
    for whole, part in zip(
        photo.pose(PLACES, bare, PLACES.normals), photo.pose(PLACES, bare, PLACES.normals, rows), strict=True
    ):
        np.testing.assert_allclose(part, whole[rows], atol=1e-6)


def test_the_mouth_moves_with_the_lips_before_it():
    """Cheeks and lips that photos push in by a centimetre take the inside of the mouth along."""
    fitted = PLACES.positions
    pushed = fitted + np.where(PLACES.part[:, None] == 0, np.float32([0, 0.01, 0]), 0)
    made = surface._with_mouth_inside(PLACES, fitted, pushed)
    inner = PLACES.part > 1
    moves = made[inner] - fitted[inner]
    np.testing.assert_allclose(moves.mean(0), [0, 0.01, 0], atol=0.003)
    np.testing.assert_array_equal(made[~inner], pushed[~inner])


def test_an_outline_does_not_move_what_landmarks_hold():
    """A matte that cuts off the front of the face moves no lips."""
    photo = photo_of(standing(yaw=1.4))
    bare = fitted_surface(PLACES, photo.fit)
    posed = photo.pose(PLACES, bare, PLACES.normals)
    lips = posed.pixels[(PLACES.face > 0.8) & (np.abs(PLACES.positions[:, 0]) < 0.01)]
    matte = photo.seen.matte.copy()
    top, bottom = lips[:, 1].min().astype(int), lips[:, 1].max().astype(int)
    front = np.sign(np.median(lips[:, 0]) - np.median(posed.pixels[PLACES.scalp > 0.5, 0]))
    columns = np.arange(SIZE[1])
    matte[top:bottom, (columns - np.median(lips[:, 0])) * front > -4] = 0
    moves = surface.outline_moves(PLACES, [photo_of(standing(yaw=1.4), matte=matte)], bare, NOTHING)
    assert np.abs(moves[PLACES.face > 0.9]).max() < 0.002
