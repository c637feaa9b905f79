# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's parts: the performance does what its name says, the sheet and the film hold the pictures."""

import av
import bpy
import numpy as np
import pytest
from lca_blender.backend.relit.films import write_mp4
from PIL import Image

from lca_blender.demo import performance
from lca_blender.demo.sheet import contact_sheet


@pytest.fixture
def acted(avatar):
    """(avatar, rig) with the performance keyed."""
    rig = performance.generate_rig()
    performance.perform(rig, avatar)
    return avatar, rig


def bone(rig, name):
    """Head of a posed bone in the rig's space, as the current frame has it."""
    evaluated = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array(evaluated.pose.bones[name].head)


def test_the_performance_walks_waves_and_acts(acted):
    _, rig = acted
    scene = bpy.context.scene
    lead = []
    for frame in (7, 19):
        scene.frame_set(frame)
        lead.append(bone(rig, "DEF-foot.L")[1] - bone(rig, "DEF-foot.R")[1])
    assert lead[0] < -0.2 < 0.2 < lead[1], "the feet do not take turns in front (-Y)"
    scene.frame_set(34)
    assert bone(rig, "DEF-hand.R")[2] > bone(rig, "DEF-upper_arm.R")[2], "the right hand is not raised"
    assert bone(rig, "DEF-hand.L")[2] < bone(rig, "DEF-forearm.L")[2], "the left hand is not lowered"
    lengths = []
    for frame in (20, 34):
        scene.frame_set(frame)
        tip, knuckle = bone(rig, "DEF-f_index.03.L"), bone(rig, "DEF-f_index.01.L")
        lengths.append(np.linalg.norm(tip - knuckle))
    assert lengths[1] < 0.9 * lengths[0], "the left hand does not close"


def test_the_face_is_keyed_on_the_avatars_sliders(acted):
    avatar, _ = acted
    scene = bpy.context.scene
    read = lambda name: getattr(avatar.lca.expression, name)  # noqa: E731
    scene.frame_set(33)
    assert read("eyeBlinkLeft") == pytest.approx(1.0)
    scene.frame_set(36)
    assert read("eyeBlinkLeft") == pytest.approx(0.0)
    assert read("mouthSmileLeft") > 0.8
    scene.frame_set(42)
    assert avatar.lca.gaze[0] > 0.4
    scene.frame_set(1)
    assert read("mouthSmileLeft") == pytest.approx(0.0)
    assert avatar.lca.gaze[0] == pytest.approx(0.0)


def pictures(folder, count, size):
    paths = []
    for number in range(count):
        paths.append(folder / f"{number}.png")
        Image.new("RGB", size, (40 * number, 200 - 30 * number, 90)).save(paths[-1])
    return paths


def test_a_contact_sheet_crops_no_picture(tmp_path):
    paths = pictures(tmp_path, 6, (300, 400))
    contact_sheet([("Photos", paths), ("None", []), ("More", paths[:2])], tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    for number in range(6):
        colour = np.array((40 * number, 200 - 30 * number, 90))
        rows, columns = np.nonzero((np.abs(sheet.astype(int) - colour) <= 2).all(-1))
        assert len(rows), f"picture {number} is missing"
        first = rows < rows.min() + 300
        shape = np.ptp(columns[first]) / np.ptp(rows[first])
        assert shape == pytest.approx(0.75, abs=0.03)


def test_the_film_shows_every_frame_in_order(tmp_path):
    paths = pictures(tmp_path, 5, (64, 48))
    write_mp4(map(Image.open, paths), tmp_path / "film.mp4", 24)
    with av.open(str(tmp_path / "film.mp4")) as film:
        reds = [frame.to_ndarray(format="rgb24")[..., 0].mean() for frame in film.decode(video=0)]
        assert float(film.streams.video[0].average_rate) == 24
    assert len(reds) == 5
    assert np.allclose(reds, [0, 40, 80, 120, 160], atol=6)
