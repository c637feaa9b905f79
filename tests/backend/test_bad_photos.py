# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos that are worth little still make an avatar: blurred by motion, or a mask that cuts the person."""

import numpy as np
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.cli import main
from lca_blender.backend.model.create import rest_signal
from lca_blender.backend.training.evaluation.holes import coverages, well_inside
from PIL import Image
from scipy import ndimage
from skimage import data


def test_a_blurred_photo_and_one_whose_mask_cuts_the_person(tmp_path):
    rgb = data.astronaut()
    moved = ndimage.uniform_filter1d(rgb.astype(np.float32), 21, axis=1)
    Image.fromarray(moved.astype(np.uint8)).save(tmp_path / "moved.png")
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[:, :250] = 255  # through the middle of the face
    Image.fromarray(np.dstack([rgb, mask])).save(tmp_path / "cut.png")
    photos = [str(tmp_path / name) for name in ("moved.png", "cut.png")]
    assert main(["create", *photos, "--draft", "--budget", "30000", "--out", str(tmp_path / "a.lca")]) == 0
    avatar = Avatar.load(tmp_path / "a.lca")
    assert len(avatar.header["photos"]) == 2
    assert avatar.header["warnings"]
    posed = avatar.drive(rest_signal()).means.numpy()
    assert (np.abs(posed) < (1.2, 0.5, 2.2)).all()
    front = coverages(avatar, rest_signal())[0]
    inside = well_inside(front)
    assert (front[inside] < 0.9).mean() < 0.05
