# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured faces and visemes keyed on an avatar and its rig, and written back."""

import bpy
import numpy as np
import pytest
from lca_blender.backend.body.arkit import ARKIT_INDEX, ARKIT_NAMES
from lca_blender.backend.face.lines import face_lines, read_face
from lca_blender.backend.face.live_link import live_link_csv
from lca_blender.backend.face.performance import FacePerformance
from lca_blender.backend.face.presets import viseme
from refusals import fails
from scipy.spatial.transform import Rotation

from lca_blender.scene.face import face_of
from lca_blender.scene.gaze import own_gaze
from lca_blender.scene.performance import TURNING, turning_bones


@pytest.fixture
def take(tmp_path):
    """A performance of 12 frames at 24 a second and its CSV."""
    time = np.linspace(0, 1, 12)[:, None]
    arkit = np.zeros((12, 52))
    arkit[:, ARKIT_INDEX["jawOpen"]] = 0.2 + 0.6 * time[:, 0]
    arkit[:, ARKIT_INDEX["mouthSmileLeft"]] = 0.5
    gaze = np.stack([time * (0.3, 0.1), time * (0.2, 0.1)], 1)
    head = (time - 0.4) * (0.5, 0.3, -0.2)
    made = FacePerformance(np.arange(12) / 24, arkit, gaze, head)
    path = tmp_path / "take.csv"
    path.write_text(live_link_csv(made, 24))
    return made, path


@pytest.fixture
def film(scene):
    scene.render.fps = 24
    scene.frame_start, scene.frame_end = 5, 16
    return scene


def test_a_csv_keys_face_eyes_and_head(bound, film, take):
    avatar, rig = bound
    made, path = take
    assert bpy.ops.lca.import_face(filepath=str(path), start=5, rate=24) == {"FINISHED"}
    for number in (0, 7, 11):
        film.frame_set(5 + number)
        assert avatar.lca.expression.jawOpen == pytest.approx(
            made.arkit[number, ARKIT_INDEX["jawOpen"]], abs=1e-4
        )
        assert own_gaze(avatar.lca) == pytest.approx(made.gaze[number], abs=1e-4)
        turned = Rotation.from_matrix(np.array((rig.pose.bones["head"].matrix_channel).to_3x3()))
        yaw, pitch, roll = made.head[number]
        wanted = (
            Rotation.from_rotvec((0, 0, yaw))
            * Rotation.from_rotvec((-pitch, 0, 0))
            * Rotation.from_rotvec((0, roll, 0))
        )
        assert (turned * wanted.inv()).magnitude() < 2e-3
    assert rig.pose.bones["neck1"].rotation_quaternion.angle > 0.01  # the neck has its share
    assert rig.pose.bones["spine3"].rotation_quaternion.angle == 0


@pytest.mark.parametrize("kind", ["CSV", "LINES"])
@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "AXIS_ANGLE"])
def test_what_is_exported_is_what_was_imported(bound, film, take, tmp_path, kind, mode):
    avatar, rig = bound
    made, path = take
    for bone in rig.pose.bones:
        bone.rotation_mode = mode
    rig.rotation_euler.z = avatar.rotation_euler.z = 0.7
    bpy.ops.lca.import_face(filepath=str(path), start=5, rate=24)
    film.frame_set(9)
    out = tmp_path / ("out.csv" if kind == "CSV" else "out.jsonl")
    assert bpy.ops.lca.export_face(filepath=str(out), kind=kind) == {"FINISHED"}
    assert film.frame_current == 9
    found = read_face(out, 24)
    assert found.seconds == pytest.approx(made.seconds, abs=1e-4)
    assert found.gaze == pytest.approx(made.gaze, abs=1e-4)
    assert found.head == pytest.approx(made.head, abs=2e-3)
    plain = [i for name, i in ARKIT_INDEX.items() if not name.startswith("eyeLook")]
    assert found.arkit[:, plain] == pytest.approx(made.arkit[:, plain], abs=1e-4)


def test_gain_offset_rest_and_smoothing_act(bound, film, take):
    avatar, rig = bound
    _, path = take
    bpy.ops.lca.import_face(
        filepath=str(path), start=5, rate=24, gain=2.0, offset=-0.1, from_rest=True, head=(0, 0, 0)
    )
    film.frame_set(5)
    assert not any(face_of(avatar).values())
    film.frame_set(16)
    assert avatar.lca.expression.jawOpen == pytest.approx(1.0, abs=1e-4)
    assert avatar.lca.expression.mouthSmileLeft == 0
    assert rig.animation_data is None


def test_keys_outside_the_take_stay_and_those_inside_go(avatar, film, take):
    expression = avatar.lca.expression
    for frame, value in ((1, 0.9), (8, 0.9), (30, 0.8)):
        expression.jawOpen = value
        expression.keyframe_insert("jawOpen", frame=frame)
    made, path = take
    bpy.ops.lca.import_face(filepath=str(path), start=5, rate=24)
    for frame, value in ((1, 0.9), (8, made.arkit[3, ARKIT_INDEX["jawOpen"]]), (30, 0.8)):
        film.frame_set(frame)
        assert expression.jawOpen == pytest.approx(value, abs=1e-4)


def test_the_controls_of_a_generated_rig_are_keyed(metarig, avatar, film, take):
    bpy.context.view_layer.objects.active = metarig
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.rigify_generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    rig = bpy.context.view_layer.objects["rig"]
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    assert {bone.name for _, bone in turning_bones(avatar)} == {"neck", "head"}
    bpy.ops.lca.import_face(filepath=str(take[1]), start=5, rate=24)
    film.frame_set(5)
    one = rig.pose.bones["head"].matrix.to_quaternion()
    film.frame_set(16)
    turn = one.rotation_difference(rig.pose.bones["head"].matrix.to_quaternion())
    assert turn.angle > 0.3


def test_a_head_that_constraints_move_is_said(bound, film, take):
    avatar, rig = bound
    for joint in TURNING:
        rig.pose.bones[joint].constraints.new("COPY_ROTATION")
    assert turning_bones(avatar) == []
    assert bpy.ops.lca.import_face(filepath=str(take[1]), start=5, rate=24) == {"FINISHED"}
    assert rig.animation_data is None or rig.animation_data.action is None


def test_files_that_are_no_take_key_nothing(avatar, film, tmp_path):
    path = tmp_path / "take.csv"
    path.write_text("a,b\n1,2\n")
    fails("no column named after", bpy.ops.lca.import_face, filepath=str(path))
    fails("cannot be read", bpy.ops.lca.import_face, filepath=str(tmp_path / "none.csv"))
    path.write_text("0.1 aa\n0.2 quux\n")
    fails("Line 2", bpy.ops.lca.key_visemes, filepath=str(path))
    assert avatar.animation_data is None


def test_json_lines_are_imported_too(avatar, film, take, tmp_path):
    made, _ = take
    path = tmp_path / "take.jsonl"
    path.write_text(face_lines(made))
    bpy.ops.lca.import_face(filepath=str(path), start=5)
    film.frame_set(16)
    assert [*face_of(avatar, ARKIT_NAMES).values()] == pytest.approx(made.arkit[-1].tolist(), abs=1e-4)


def test_a_time_line_keys_the_mouth_and_leaves_the_brows(avatar, film, tmp_path):
    expression = avatar.lca.expression
    expression.browInnerUp = 0.4
    path = tmp_path / "speech.tsv"
    path.write_text("0.0\tX\n0.5\tD\n1.0\tA\n1.5\tX\n")
    assert bpy.ops.lca.key_visemes(filepath=str(path), start=10, transition=0.1) == {"FINISHED"}
    for frame, name in ((10, "sil"), (28, "aa"), (40, "PP"), (50, "sil")):
        film.frame_set(frame)
        shown = face_of(avatar, viseme(name))
        assert shown == pytest.approx(viseme(name), abs=1e-4), name
    assert expression.browInnerUp == pytest.approx(0.4)
    film.frame_set(34)  # half way from one to the next
    assert 0.1 < expression.jawOpen < 0.5
