# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca eval-photos`: on a portrait that is in the public domain, and on a held-out synthetic person."""

import json

import numpy as np
import pytest
from lca_blender.backend.cli import main
from lca_blender.backend.imaging.correspondence import Estimator
from lca_blender.backend.training.evaluation.photos import evaluate_synthetic
from PIL import Image
from skimage import data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(data.brick()).save(folder / "wall.png")
    (folder / "README.md").write_text("no photo")
    return folder


def test_photos_without_a_truth(folder, tmp_path, capfd):
    asked = ["eval-photos", "--photos", str(folder), "--no-identity", "--rows", "--json"]
    assert main([*asked, "--sheets", str(tmp_path)]) == 0
    printed, said = capfd.readouterr()
    scores = json.loads(printed)
    assert (scores["used"], scores["asked"]) == (1, 2)
    assert "wall.png" in said
    assert scores["own_pose_psnr_body"] > 17
    assert scores["own_pose_psnr_face"] > 17
    assert 0 < scores["own_pose_perceptual"] < 0.5
    assert 0.1 < scores["sharpness_face"] < 1.2
    assert scores["identity_front"] is None
    assert list(scores["rows"]) == [str(folder / "astronaut.png")]
    (sheet,) = tmp_path.glob("*.png")
    picture = np.asarray(Image.open(sheet))
    assert picture.shape[0] == 800
    hair, face = picture[520:540, 1280:1300], picture[620:660, 1280:1340]
    assert hair.mean() < face.mean()  # the head from the front


def test_a_synthetic_person_is_found_and_fitted():
    scores = evaluate_synthetic(1, Estimator(), say=lambda text: None)
    assert (scores["found"], scores["asked"]) == (3, 3)
    assert scores["joints_median_cm"] < 6
    assert scores["points_median_mm"] < 60
    assert scores["matte_iou_median"] > 0.9
