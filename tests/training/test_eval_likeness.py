# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-likeness`: its measures on pictures whose numbers are known, a synthetic person, two photos of a
portrait that is in the public domain.
"""

import json

import numpy as np
import pytest
from lca_blender.backend.cli import main
from lca_blender.backend.imaging.correspondence import Estimator
from lca_blender.backend.likeness.photo import FittedPhoto
from lca_blender.backend.training.evaluation.holes import well_inside
from lca_blender.backend.training.evaluation.likeness import points_apart
from lca_blender.backend.training.evaluation.measures import box_measures, person_measures
from lca_blender.backend.training.evaluation.photo_sheets import over_grey
from PIL import Image
from scipy import ndimage
from skimage import data

KEYS = (
    "input_psnr", "psnr", "ssim", "perceptual", "sharpness_body", "sharpness_face", "identity_front",
    "identity_side", "identity_found", "same_person", "akd_percent", "holes", "seconds_first",
)  # fmt: skip


@pytest.fixture(scope="module")
def portrait():
    rgb = data.astronaut().astype(np.float32) / 255
    found = Estimator().estimate(rgb)
    return FittedPhoto.of(found.seen, found.fit)


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """Two photos of one person: the second smaller, darker and cut closer."""
    folder = tmp_path_factory.mktemp("portraits")
    Image.fromarray(data.astronaut()).save(folder / "first.png")
    second = Image.fromarray(data.astronaut()[:460, 40:440] // 10 * 9)
    second.resize((320, 368), Image.Resampling.LANCZOS).save(folder / "second.png")
    return folder


def test_a_picture_is_like_itself_and_less_so_moved_or_blurred(portrait):
    target, person = over_grey(portrait), portrait.seen.matte > 0.5
    same = box_measures(target, target, person) | person_measures(target, target, portrait)
    assert (same["perceptual"], same["psnr"], same["psnr_face"]) == (0, 100, 100)
    assert same["ssim"] == pytest.approx(1)
    assert same["sharpness_body"] == same["sharpness_face"] == pytest.approx(1)
    blurred = ndimage.gaussian_filter(target, (2, 2, 0))
    less = box_measures(blurred, target, person) | person_measures(blurred, target, portrait)
    assert less["perceptual"] > 0.05
    assert less["ssim"] < 0.95
    assert less["sharpness_face"] < 0.6


def test_the_face_is_found_where_it_was_moved_to(portrait):
    """By 5 percent of the distance of the eyes' corners, to the side."""
    target, face = over_grey(portrait), portrait.seen.face
    assert points_apart(target, portrait) < 1.5
    moved = 0.05 * np.linalg.norm(face.points[263] - face.points[33])
    shifted = ndimage.shift(target, (0, moved, 0), order=1, mode="nearest")
    assert points_apart(shifted, portrait) == pytest.approx(5, abs=1.5)
    assert np.isnan(points_apart(np.full_like(target, 0.5), portrait))


def test_holes_are_no_gaps_between_limbs():
    alpha = np.zeros((120, 120))
    alpha[10:110, 20:60] = 1  # a trunk, and an arm: first beside it, then on it
    alpha[10:110, 66:80] = 1
    alpha[10:30, 60:66] = 1
    gap = well_inside(alpha)
    assert not gap[:, 61:65][40:].any()
    alpha[60:64, 30:34] = 0  # a hole, and skin that shines through
    alpha[70:90, 30:50] = 0.7
    mask = well_inside(alpha)
    assert mask[60:64, 30:34].all()
    assert mask[70:90, 30:50].all()
    assert (mask & (alpha < 0.9)).sum() == 16 + 400
    assert not mask[:, 20].any()


def test_photos_are_left_out_one_by_one(portraits, tmp_path, capfd):
    asked = ["eval-likeness", "--photos", str(portraits), "--no-identity", "--json"]
    assert main([*asked, "--sheets", str(tmp_path)]) == 0
    scores = json.loads(capfd.readouterr().out)
    assert set(KEYS) <= set(scores)
    assert (scores["avatars"], scores["pictures"], scores["missed"]) == (2, 2, 0)
    assert scores["identity_front"] is scores["same_person"] is None
    assert scores["input_psnr"] > 17
    assert scores["psnr"] > 14  # the second photo is darker
    assert 0 < scores["perceptual"] < 0.5
    assert scores["akd_percent"] < 10
    assert scores["akd_found"] == 1
    assert scores["holes"] < 0.02
    assert {sheet.name for sheet in tmp_path.iterdir()} == {"without_first.png", "without_second.png"}


def test_one_photo_is_not_enough(portraits, capfd):
    asked = ["eval-likeness", "--photos", str(portraits / "first.png"), "--no-identity"]
    assert main(asked) == 1
    assert "Fewer than two photos show a person" in capfd.readouterr().err


def test_a_held_out_person_is_measured_and_not_worse_refined(tmp_path, capfd):
    asked = ["eval-likeness", "--people", "1", "--views", "2", "--data", str(tmp_path), "--no-identity"]
    assert main([*asked, "--json"]) == 0
    scores = json.loads(capfd.readouterr().out)
    assert set(KEYS) <= set(scores)
    assert (scores["split"], scores["views"], scores["avatars"]) == ("studio", 2, 1)
    assert scores["pictures"] + scores["missed"] >= 5
    assert 12 < scores["psnr"] < scores["input_psnr"] < 40
    assert scores["perceptual"] > 0.1
    before = scores["unrefined"]
    assert scores["psnr"] > before["psnr"] - 0.3
    assert scores["perceptual"] < before["perceptual"] + 0.01
    assert scores["holes"] < before["holes"] + 0.003
