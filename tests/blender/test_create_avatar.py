# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos become an avatar in the scene, or one sentence says why not."""

import os

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.backend.avatar import Avatar
from models import write_estimator, write_model, write_photos
from refusals import fails


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="session")
def estimator_file(tmp_path_factory):
    return write_estimator(tmp_path_factory.mktemp("models") / "sees.safetensors", sees_people=True)


@pytest.fixture(scope="session")
def blind_estimator_file(tmp_path_factory):
    return write_estimator(tmp_path_factory.mktemp("models") / "blind.safetensors", sees_people=False)


def test_photos_become_an_avatar_in_the_scene(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 3)
    scene.cursor.location = (1, 2, 0)
    bpy.ops.lca.add_photos(files=[{"name": photo.name} for photo in photos], directory=str(tmp_path))
    assert len(scene.lca.photos) == 3
    result = bpy.ops.lca.create_avatar(
        filepath=str(tmp_path / "person.lca"), model=str(model_file), estimator=str(estimator_file)
    )
    assert result == {"FINISHED"}
    avatar = bpy.context.object
    assert tuple(avatar.location) == (1, 2, 0)
    assert "not seen" in avatar.lca.warnings
    assert len(Avatar.load(tmp_path / "person.lca")) == 192 * 16
    means = splats(avatar)
    assert means.shape == (192 * 16, 3)
    assert np.abs(means.mean(0) - (1, 2, 1)).max() < 0.5
    assert not scene.lca.message


def test_the_avatar_is_written_beside_the_blend(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    for _ in range(2):
        bpy.ops.lca.create_avatar(
            photos=[{"name": str(photos[0])}], model=str(model_file), estimator=str(estimator_file)
        )
    written = sorted(path.name for path in tmp_path.glob("*.lca"))
    assert len(written) == 2
    assert bpy.context.object.lca.filepath.startswith("//")


def as_the_file_browser_fills(operator, path):
    """What Blender's file browser writes into an operator once a path was typed: all of these that it has."""
    name = {"name": path.name}
    written = {"filepath": str(path), "directory": f"{path.parent}/", "filename": path.name, "files": [name]}
    return {key: written[key] for key in written if key in operator.get_rna_type().properties}


def test_the_save_dialog_leaves_the_listed_photos(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 2)
    bpy.ops.lca.add_photos(files=[{"name": photo.name} for photo in photos], directory=str(tmp_path))
    answer = as_the_file_browser_fills(bpy.ops.lca.create_avatar, tmp_path / "ann.lca")
    assert "filepath" in answer
    bpy.ops.lca.create_avatar(**answer, model=str(model_file), estimator=str(estimator_file))
    assert len(Avatar.load(tmp_path / "ann.lca").header["photos"]) == 2


def test_a_dot_in_the_name_replaces_no_other_avatar(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 1)
    (tmp_path / "ann.lca").write_bytes(b"somebody's work")
    bpy.ops.lca.create_avatar(
        photos=[{"name": str(photos[0])}],
        filepath=str(tmp_path / "ann.v2"),
        model=str(model_file),
        estimator=str(estimator_file),
    )
    assert (tmp_path / "ann.lca").read_bytes() == b"somebody's work"
    assert Avatar.load(tmp_path / "ann.v2.lca")


def test_no_person_is_one_sentence_with_a_button(scene, tmp_path, model_file, blind_estimator_file):
    photos = write_photos(tmp_path, 2)
    fails(
        "No photo shows a person",
        bpy.ops.lca.create_avatar,
        photos=[{"name": str(photo)} for photo in photos],
        filepath=str(tmp_path / "person.lca"),
        model=str(model_file),
        estimator=str(blind_estimator_file),
    )
    assert scene.lca.remedy_operator == "lca.add_photos"
    assert not (tmp_path / "person.lca").exists()


def test_creating_without_photos_is_one_sentence(scene):
    fails("no photos yet", bpy.ops.lca.create_avatar, filepath="/tmp/never_written.lca")


def test_creating_in_an_unsaved_file_asks_for_a_place(scene, tmp_path):
    photos = write_photos(tmp_path, 1)
    fails("not saved yet", bpy.ops.lca.create_avatar, photos=[{"name": str(photos[0])}])
    assert scene.lca.remedy_operator == "wm.save_as_mainfile"


def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(
    scene, tmp_path, model_file, estimator_file
):
    photos = write_photos(tmp_path, 1)
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):  # an administrator may write everywhere: take a folder that is not there
        folder = tmp_path / "gone"
    fails(
        r"cannot be written to|does not exist",
        bpy.ops.lca.create_avatar,
        photos=[{"name": str(photos[0])}],
        filepath=str(folder / "person.lca"),
        model=str(model_file),
        estimator=str(estimator_file),
    )


def test_a_model_that_is_none_is_one_sentence(scene, tmp_path, estimator_file):
    photos = write_photos(tmp_path, 1)
    (tmp_path / "bad.safetensors").write_bytes(b"not a model at all")
    fails(
        "damaged",
        bpy.ops.lca.create_avatar,
        photos=[{"name": str(photos[0])}],
        filepath=str(tmp_path / "person.lca"),
        model=str(tmp_path / "bad.safetensors"),
        estimator=str(estimator_file),
    )
    assert not (tmp_path / "person.lca").exists()


def test_two_hundred_photos_use_the_best_and_say_so(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 200)
    bpy.ops.lca.create_avatar(
        photos=[{"name": str(photo)} for photo in photos],
        filepath=str(tmp_path / "person.lca"),
        model=str(model_file),
        estimator=str(estimator_file),
    )
    assert len(Avatar.load(tmp_path / "person.lca").header["photos"]) <= 16
    assert "200" in bpy.context.object.lca.warnings
