# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces by one click and from filmed ones."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.body.arkit import ARKIT_INDEX, ARKIT_NAMES
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.errors import UserError
from lca_blender.backend.face.performance import FacePerformance
from lca_blender.backend.face_from_video import face_from_video
from lca_blender.backend.raster.camera import Camera, look_at
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import render_person
from lca_blender.operators.face_from_video import LCA_OT_face_from_video
from PIL import Image
from refusals import fails

from lca_blender.scene.gaze import own_gaze


def curves(avatar):
    action, slot = avatar.animation_data.action, avatar.animation_data.action_slot
    return action.layers[0].strips[0].channelbag(slot).fcurves


@pytest.fixture(scope="module")
def acted(tmp_path_factory):
    """Three pictures of an opening mouth, the last numbered 10."""
    person, folder = sample_person(1_000_002), tmp_path_factory.mktemp("acting")
    height = float(person.joint_heads[INDEX["head"], 2]) + 0.08
    K = [[1000, 0, 150], [0, 1000, 200], [0, 0, 1]]
    camera = Camera(look_at((0, -1.4, height), (0, 0, height)), K, 300, 400)
    for name, opening in (("shot_1.png", 0.0), ("shot_2.png", 0.4), ("shot_10.png", 0.9)):
        expression = np.zeros(52)
        expression[ARKIT_INDEX["jawOpen"]] = opening
        rgba = render_person(person, np.zeros((len(INDEX), 3)), camera, expression).rgba.astype(np.float64)
        share = rgba[..., 3:] / 255
        Image.fromarray((rgba[..., :3] * share + 120 * (1 - share)).astype(np.uint8)).save(folder / name)
    return folder


def test_expressions_are_set_keyed_and_reset(avatar, scene):
    rest = splats(avatar)
    scene.tool_settings.use_keyframe_insert_auto = True
    bpy.ops.lca.set_expression(preset="SURPRISE", strength=0.5)
    assert avatar.lca.expression.jawOpen == pytest.approx(0.25)
    assert avatar.animation_data.action is not None
    scene.tool_settings.use_keyframe_insert_auto = False
    avatar.animation_data_clear()
    assert np.abs(splats(avatar) - rest).max() > 0.005
    avatar.lca.gaze = (0.3, 0.1)
    bpy.ops.lca.reset_expression()
    assert tuple(avatar.lca.gaze) == (0, 0)
    assert np.array_equal(splats(avatar), rest)


def test_every_preset_names_sliders():
    from lca_blender.backend.face.presets import EXPRESSIONS, VISEMES

    from lca_blender.ui.face import FACE_GROUPS

    assert all(set(values) <= set(ARKIT_NAMES) for _, values in [*EXPRESSIONS.values(), *VISEMES.values()])
    shown = {
        name for _, bases in FACE_GROUPS for base in bases for name in (base, f"{base}Left", f"{base}Right")
    }
    assert set(ARKIT_NAMES) <= shown


def test_a_filmed_face_keys_the_sliders(avatar, scene, acted):
    scene.render.fps = 24
    files = [{"name": path.name} for path in sorted(acted.iterdir())]  # 1, 10, 2
    arguments = {"files": files, "directory": str(acted), "start": 5, "smoothing": 0.0, "strength": 2.0}
    assert bpy.ops.lca.face_from_video(**arguments, from_rest=False) == {"FINISHED"}
    read = face_from_video([acted / f"shot_{n}.png" for n in (1, 2, 10)], 24)
    for number in range(3):
        scene.frame_set(5 + number)
        keyed = [getattr(avatar.lca.expression, name) for name in ARKIT_NAMES]
        np.testing.assert_allclose(keyed, np.clip(2 * read.arkit[number], 0, 1), atol=1e-5)
        np.testing.assert_allclose(own_gaze(avatar.lca), read.gaze[number], atol=1e-5)
    shown = splats(avatar)
    assert bpy.ops.lca.face_from_video(**arguments) == {"FINISHED"}
    scene.frame_set(5)
    assert not any(getattr(avatar.lca.expression, name) for name in ARKIT_NAMES)
    assert np.abs(splats(avatar) - shown).max() > 0.005


def test_pictures_without_a_face_key_nothing(avatar, scene, tmp_path):
    for name in ("empty.png", "empty².png"):
        Image.fromarray(np.full((400, 300, 3), 120, np.uint8)).save(tmp_path / name)
    fails(
        "No picture shows a face",
        bpy.ops.lca.face_from_video,
        files=[{"name": name} for name in ("empty.png", "empty².png")],
        directory=str(tmp_path),
    )
    fails("No movie and no picture", bpy.ops.lca.face_from_video)
    assert avatar.animation_data is None or avatar.animation_data.action is None
    avatar.select_set(False)
    bpy.context.view_layer.objects.active = None
    assert not bpy.ops.lca.face_from_video.poll()


def test_keys_begin_at_the_current_frame(avatar, scene, acted):
    scene.frame_set(30)
    chosen = {"files": [{"name": "shot_10.png"}], "directory": str(acted)}
    assert bpy.ops.lca.face_from_video(**chosen, from_rest=False) == {"FINISHED"}
    jaw = next(curve for curve in curves(avatar) if curve.data_path == "lca.expression.jawOpen")
    assert [tuple(key.co) for key in jaw.keyframe_points] == [(30, avatar.lca.expression.jawOpen)]
    assert avatar.lca.expression.jawOpen > 0.2


def jaw(*openings):
    """A performance of jawOpen alone, one picture a second."""
    arkit = np.zeros((len(openings), 52), np.float32)
    arkit[:, ARKIT_INDEX["jawOpen"]] = openings
    return FacePerformance(np.arange(len(openings), dtype=np.float32), arkit, np.zeros((len(openings), 2, 2)))


def reading(folder):
    """The operator while it reads a film, driven as a window would drive it; keys from frame 1."""
    operator = SimpleNamespace(directory=str(folder), files=[SimpleNamespace(name="shot_1.png")], start=1)
    operator.from_rest, operator.smoothing, operator.strength = True, 0.0, 1.0
    operator.start_now = operator.report = lambda *_: None
    LCA_OT_face_from_video.prepare(operator, bpy.context)
    return operator


def test_the_current_frame_shows_its_own_face(avatar, scene, tmp_path):
    scene.frame_set(2)
    avatar.location.x = 3
    LCA_OT_face_from_video.finish(reading(tmp_path), bpy.context, jaw(0.1, 0.2, 0.9))
    bpy.context.view_layer.update()
    assert avatar.lca.expression.jawOpen == pytest.approx(0.2)
    assert avatar.location.x == 3


def test_an_avatar_is_keyed_under_another_name_and_behind_another_scene(avatar, scene, tmp_path):
    operator = reading(tmp_path)
    avatar.name = "Ann"
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    LCA_OT_face_from_video.finish(operator, bpy.context, jaw(0.1, 0.2))
    assert len(curves(avatar)) == 52 + 6


def test_an_avatar_that_was_deleted_is_not_keyed(avatar, tmp_path):
    operator = reading(tmp_path)
    bpy.context.collection.objects.unlink(avatar)
    with pytest.raises(UserError, match="was deleted"):
        LCA_OT_face_from_video.finish(operator, bpy.context, jaw(0.1, 0.2))
