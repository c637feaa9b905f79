# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos' pixels, refined: nearer to their photo, and nothing else changed."""

from dataclasses import replace

import numpy as np
import torch
from lca_blender.backend.likeness import refine
from lca_blender.backend.likeness.assemble import assembled
from lca_blender.backend.likeness.pictures import pictures
from lca_blender.backend.likeness.worse import is_worse
from lca_blender.backend.raster import rasterize
from scipy import ndimage
from test_lifted import patterned
from test_likeness import PLACES, network_person, photo_of, standing


def off(avatar, photo):
    """Root mean square distance from the photo, inside the person."""
    drawn = rasterize(avatar.drive(photo.signal()), photo.camera)["combined"][..., :3].numpy()
    inner = ndimage.binary_erosion(photo.seen.matte > 0.99, iterations=2)
    return float(np.sqrt(np.square(drawn - photo.seen.rgb)[inner].mean()))


def test_a_refined_avatar_is_nearer_to_its_photo_and_the_same_elsewhere(monkeypatch):
    monkeypatch.setattr(refine, "STEPS", 20)
    photo, person, said = photo_of(standing(), rgb=patterned()), network_person(), []
    draft = assembled([photo], person)
    before = draft.avatar
    after = refine.refined(*draft, [photo], said.append)
    assert off(after, photo) < 0.8 * off(before, photo)
    darker = after.colors.float() < before.colors.float() - 0.05
    assert (after.albedo.float() < before.albedo.float())[darker].float().mean() > 0.99
    part = slice(0, len(PLACES))
    for name in ("colors", "opacities", "albedo"):
        assert torch.equal(getattr(after, name)[part], getattr(before, name)[part])
    for name in ("means", "scales", "quats", "skin_weights", "normals", "material", "confidence"):
        assert torch.equal(getattr(after, name), getattr(before, name))
    hidden = (after.colors - before.colors).abs().amax(1)[len(PLACES) :] == 0
    assert hidden.any()  # backs of cushions, which no photo shows
    assert said == sorted(said)
    assert said[0] == 0
    assert said[-1] < 1
    assert not is_worse(before, after)


def test_what_is_worse_all_around_is_found():
    """Iridescence where no photo shows anything, a hole, other colours; and none of it in the same."""
    avatar = assembled([photo_of(standing(), rgb=patterned())], network_person()).avatar
    colors, unseen = avatar.colors.float(), (avatar.confidence < 128)[:, None]
    draw = torch.Generator().manual_seed(0)
    speckled = colors + 0.25 * unseen * torch.randn(colors.shape, generator=draw)
    hole = (avatar.means[:, [0, 2]] - torch.tensor([0, 1.2])).norm(dim=1) < 0.1
    torn = avatar.opacities * ~hole
    assert not is_worse(avatar, avatar)
    for changes in ({"colors": speckled.clamp(0, 1)}, {"opacities": torn}, {"colors": 0.7 * colors}):
        assert is_worse(avatar, replace(avatar, **changes)), changes.keys()


def test_two_photos_do_not_repaint_each_others_pixels(monkeypatch):
    """The second photo is of another colour: seen from the first, nothing turns to it."""
    monkeypatch.setattr(refine, "STEPS", 20)
    red, blue = np.full((640, 480, 3), (0.7, 0.3, 0.3)), np.full((640, 480, 3), (0.3, 0.3, 0.7))
    photos = [
        photo_of(standing(yaw=yaw), rgb=rgb.astype(np.float32)) for yaw, rgb in ((0.0, red), (2.6, blue))
    ]
    draft = assembled(photos, network_person())
    before = draft.avatar
    after = refine.refined(*draft, photos)
    assert (after.colors.float() - before.colors.float()).abs().quantile(0.99) < 0.1


def test_what_other_gaussians_show_says_nothing_about_a_photos_own():
    photo = photo_of(standing(), rgb=patterned())
    posed = assembled([photo], network_person()).avatar.drive(photo.signal())
    target = pictures(0, photo, 200, 100)[0]
    count, tone = len(posed.means), torch.zeros(len(posed.means), 3)
    alone = {own: refine._seen(posed, target, torch.full((count,), own), tone) for own in (True, False)}
    assert alone[True].alone.all()
    inner = ndimage.binary_erosion(target.matte.numpy() > 0.99, iterations=2)
    assert not alone[False].alone.numpy()[inner].any()
    assert alone[False].alone.numpy()[target.matte.numpy() == 0].mean() > 0.9
