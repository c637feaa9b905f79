# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats of other programs in a scene, and avatars in files for other programs."""

import bpy
import numpy as np
import pytest
import torch
from avatars import splats
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.ply import read_ply, write_ply
from pictures import render, rgba
from refusals import fails


@pytest.fixture
def scan(tmp_path):
    """A column of red balls, two metres tall, in a file whose Y points down."""
    heights = torch.linspace(0, 2, 40)
    means = torch.stack([0 * heights, -heights, 0 * heights], 1)
    red = torch.tensor([1.0, 0.1, 0.1]).repeat(40, 1)
    made = Gaussians(means, torch.eye(3).repeat(40, 1, 1) * 0.05**2, torch.full((40,), 0.99), red)
    write_ply(tmp_path / "scan.ply", made)
    return tmp_path / "scan.ply"


def test_a_scan_stands_upright_and_renders(scene, scan, tmp_path):
    assert bpy.ops.lca.import_splats(filepath=str(scan)) == {"FINISHED"}
    obj = bpy.context.object
    means = splats(obj)
    assert np.ptp(means[:, 2]) == pytest.approx(2, abs=1e-3)
    assert means[:, 2].min() == pytest.approx(0, abs=1e-3)
    scene.render.film_transparent = True
    picture = rgba(render(scene, tmp_path / "a.exr"))
    middle = picture[64, 48]
    assert middle[3] > 0.9
    assert middle[0] > 5 * middle[1]
    obj.scale = (0.5, 0.5, 0.5)
    bpy.ops.object.transform_apply()
    assert splats(obj) == pytest.approx(means / 2, abs=1e-4)
    assert not obj.data.polygons
    bpy.ops.lca.import_splats(filepath=str(scan), up_axis="Z", global_scale=0.1)
    assert np.ptp(splats(bpy.context.object)[:, 1]) == pytest.approx(0.2, abs=1e-3)
    assert {path.name for path in tmp_path.glob("*.lca")} == {"scan.lca", "scan_2.lca"}


def test_what_is_no_splat_file_changes_nothing(scene, tmp_path):
    (tmp_path / "a.ply").write_text("ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n")
    fails("holds no Gaussian", bpy.ops.lca.import_splats, filepath=str(tmp_path / "a.ply"))
    fails("cannot be read", bpy.ops.lca.import_splats, filepath=str(tmp_path / "gone.ply"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]


def test_an_avatar_for_splat_viewers(avatar, tmp_path):
    before = splats(avatar)
    bpy.ops.lca.export_ply(filepath=str(tmp_path / "a.ply"), up_axis="-Y", global_scale=2.0, sh_degree="3")
    assert b"f_rest_44" in (tmp_path / "a.ply").read_bytes()[:3000]
    means = read_ply(tmp_path / "a.ply").means.numpy()
    assert means == pytest.approx(2 * before[:, [0, 2, 1]] * (1, -1, 1), abs=1e-4)


def test_an_animation_is_a_file_for_every_frame(scene, avatar, tmp_path):
    scene.frame_start, scene.frame_end, scene.frame_step = 2, 6, 2
    for frame, x in ((2, 0), (6, 4)):
        avatar.location.x = x
        avatar.keyframe_insert("location", frame=frame)
    scene.frame_set(3)
    bpy.ops.lca.export_ply(filepath=str(tmp_path / "ann.ply"), animation=True)
    files = sorted(tmp_path.glob("*.ply"))
    assert [path.name for path in files] == [f"ann_{frame:04d}.ply" for frame in (2, 4, 6)]
    middles = [read_ply(path).means[:, 0].mean().item() for path in files]
    assert np.diff(middles) == pytest.approx([2, 2], abs=1e-3)
    assert scene.frame_current == 3
