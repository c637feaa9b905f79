# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours at the edge of a matte: the person's own."""

import numpy as np
from lca_blender.backend.training.dataset.foreground import own_colors
from lca_blender.backend.training.dataset.prepare import prepare_record
from lca_blender.backend.training.dataset.sites import make_sites
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.photograph import photograph
from lca_blender.backend.training.people.regimes import shots
from lca_blender.backend.training.people.render import render_posed
from model_fixtures import SMALL


def photographed(seed):
    """(the person alone, the photo with the same alpha, its covered pixels) of three wild views."""
    person, rng = sample_person(seed), np.random.default_rng([seed, 1])
    for shot in shots(person, rng, "wild", 128, 96, 2, 1):
        alone = render_posed(person, shot.posed, shot.camera, shot.light).rgba
        picture = photograph(rng, alone, "wild", seed)
        yield alone, np.dstack([picture.rgb, alone[..., 3]]), picture.covered


def test_edges_lose_the_background():
    before, after = [], []
    for seed in range(4):
        for alone, photo, hidden in photographed(seed):
            inside = (photo[..., 3] == 255) & ~hidden
            edge = (photo[..., 3] > 0) & (photo[..., 3] < 255) & ~hidden
            off = lambda rgba: rgba[..., :3].astype(float) - alone[..., :3]  # noqa: B023, E731
            camera = off(photo)[inside].mean(0)  # what the camera did to all colours
            mended = own_colors(photo, hidden)
            before.append(np.abs(off(photo)[edge] - camera).mean())
            after.append(np.abs(off(mended)[edge] - camera).mean())
            assert np.array_equal(mended[~edge], photo[~edge])
            assert np.array_equal(mended[..., 3], photo[..., 3])
    assert np.mean(after) < 0.7 * np.mean(before)


def test_only_near_what_is_opaque():
    rgba = np.zeros((1, 12, 4), np.uint8)
    rgba[0, :, 3] = 128
    rgba[0, 0] = (200, 100, 50, 255)
    rgba[0, 1] = (9, 9, 9, 255)
    hidden = np.zeros((1, 12), bool)
    hidden[0, 1] = True
    mended = own_colors(rgba, hidden)[0, :, :3]
    assert (mended[2:5] == (200, 100, 50)).all()  # not of the hidden pixel
    assert (mended[5:] == 0).all()
    nothing = np.full((2, 2, 4), 60, np.uint8)
    assert np.array_equal(own_colors(nothing, np.zeros((2, 2), bool)), nothing)


def test_photos_are_cleaned_and_renders_are_not():
    rgba = np.zeros((1, 64, 48, 4), np.uint8)
    rgba[:, 10:50, 10:30] = (200, 100, 50, 255)
    rgba[:, 10:50, 30] = (0, 255, 0, 128)
    record = {
        "rgba": rgba, "template_map": np.full((1, 64, 48, 3), 1.6, np.float32), "is_face": np.zeros(1, bool),
        "transforms": np.tile(np.eye(4, dtype=np.float32)[:3], (1, 58, 1, 1)),
        "expression": np.zeros((1, 52)), "gaze": np.zeros((1, 2, 2)),
        "viewmats": np.eye(4)[None], "Ks": np.eye(3)[None], "regime": "wild",
    }  # fmt: skip
    sites = make_sites(SMALL)
    wild = prepare_record(record, SMALL, sites)["views"]
    assert (wild[0, 10:50, 30, :3] == (200, 100, 50)).all()
    assert np.array_equal(prepare_record({**record, "regime": "studio"}, SMALL, sites)["views"], rgba)
