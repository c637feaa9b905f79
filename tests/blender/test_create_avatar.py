# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos become an avatar in the scene, or one sentence says why not."""

import json
import os
import re
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from avatars import splats, write_avatar
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.imaging import following, loading
from lca_blender.backend.likeness.places import load_places
from lca_blender.operators.create_avatar import LCA_OT_create_avatar
from lca_blender.operators.photo_report import nearest_person
from models import write_film, write_model, write_photos, write_walls
from PIL import Image
from refusals import fails
from skimage.data import astronaut, brick

from lca_blender.scene.avatar_data import is_avatar


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


def test_photos_become_an_avatar_in_the_scene(scene, tmp_path, model_file):
    photos = write_photos(tmp_path, 3)
    scene.cursor.location = (1, 2, 0)
    bpy.ops.lca.add_photos(files=[{"name": photo.name} for photo in photos], directory=str(tmp_path))
    assert len(scene.lca.photos) == 3
    result = bpy.ops.lca.create_avatar(
        filepath=str(tmp_path / "person.lca"), model=str(model_file), refine=False
    )
    assert result == {"FINISHED"}
    avatar = bpy.context.object
    assert tuple(avatar.location) == (1, 2, 0)
    assert "Not visible in any photo" in avatar.lca.warnings
    made = Avatar.load(tmp_path / "person.lca")
    assert len(made) > len(load_places()) + 10_000  # and the photos' pixels
    means = splats(avatar)
    assert means.shape == (len(made), 3)
    assert np.abs(means.mean(0) - (1, 2, 1.2)).max() < 0.5
    assert not scene.lca.message
    for photo in scene.lca.photos:
        assert photo.state == "USED"
        assert photo.shows.startswith("Seen from the front: the face")
        assert Path(photo.overlay).is_file()
        assert len(json.loads(photo.people)) == 1


def test_the_avatar_is_written_beside_the_blend(scene, tmp_path, model_file):
    photos = write_photos(tmp_path, 1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    for _ in range(2):
        bpy.ops.lca.create_avatar(photos=[{"name": str(photos[0])}], model=str(model_file), refine=False)
    written = sorted(path.name for path in tmp_path.glob("*.lca"))
    assert len(written) == 2
    assert bpy.context.object.lca.filepath.startswith("//")


def as_the_file_browser_fills(operator, path):
    """What Blender's file browser writes into an operator once a path was typed: all of these that it has."""
    name = {"name": path.name}
    written = {"filepath": str(path), "directory": f"{path.parent}/", "filename": path.name, "files": [name]}
    return {key: written[key] for key in written if key in operator.get_rna_type().properties}


def test_the_save_dialog_leaves_the_listed_photos(scene, tmp_path, model_file):
    photos = write_photos(tmp_path, 2)
    bpy.ops.lca.add_photos(files=[{"name": photo.name} for photo in photos], directory=str(tmp_path))
    answer = as_the_file_browser_fills(bpy.ops.lca.create_avatar, tmp_path / "ann.lca")
    assert "filepath" in answer
    bpy.ops.lca.create_avatar(**answer, model=str(model_file), refine=False)
    assert len(Avatar.load(tmp_path / "ann.lca").header["photos"]) == 2


def test_a_dot_in_the_name_replaces_no_other_avatar(scene, tmp_path, model_file):
    photos = write_photos(tmp_path, 1)
    (tmp_path / "ann.lca").write_bytes(b"somebody's work")
    bpy.ops.lca.create_avatar(
        photos=[{"name": str(photos[0])}],
        filepath=str(tmp_path / "ann.v2"),
        model=str(model_file),
        refine=False,
    )
    assert (tmp_path / "ann.lca").read_bytes() == b"somebody's work"
    assert Avatar.load(tmp_path / "ann.v2.lca")


def test_no_person_is_one_sentence_with_a_button(scene, tmp_path, model_file):
    photos = write_walls(tmp_path, 2)
    fails(
        "No photo shows a person",
        bpy.ops.lca.create_avatar,
        photos=[{"name": str(photo)} for photo in photos],
        filepath=str(tmp_path / "person.lca"),
        model=str(model_file),
        refine=False,
    )
    assert scene.lca.remedy_operator == "lca.add_photos"
    assert not (tmp_path / "person.lca").exists()


def test_creating_without_photos_is_one_sentence(scene):
    few = [{"name": "a.jpg"}]
    fails("is too small", bpy.ops.lca.create_avatar, photos=few, budget=10, filepath="/tmp/never_written.lca")
    fails("no photos yet", bpy.ops.lca.create_avatar, filepath="/tmp/never_written.lca")


def test_creating_in_an_unsaved_file_asks_for_a_place(scene, tmp_path):
    photos = write_photos(tmp_path, 1)
    fails("not saved yet", bpy.ops.lca.create_avatar, photos=[{"name": str(photos[0])}])
    assert scene.lca.remedy_operator == "wm.save_as_mainfile"


def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(scene, tmp_path, model_file):
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
        refine=False,
    )


def test_a_model_that_is_none_is_one_sentence(scene, tmp_path):
    photos = write_photos(tmp_path, 1)
    (tmp_path / "bad.safetensors").write_bytes(b"not a model at all")
    fails(
        "no model file",
        bpy.ops.lca.create_avatar,
        photos=[{"name": str(photos[0])}],
        filepath=str(tmp_path / "person.lca"),
        model=str(tmp_path / "bad.safetensors"),
    )
    assert not (tmp_path / "person.lca").exists()


def test_too_many_photos_use_the_best_and_say_so(scene, tmp_path, model_file, monkeypatch):
    monkeypatch.setattr(loading, "KEEP", 3)  # 16 take half a minute
    photos = write_photos(tmp_path, 5)
    bpy.ops.lca.create_avatar(
        photos=[{"name": str(photo)} for photo in photos],
        filepath=str(tmp_path / "person.lca"),
        model=str(model_file),
        refine=False,
    )
    assert len(Avatar.load(tmp_path / "person.lca").header["photos"]) == 3
    assert "Of 5 photos" in bpy.context.object.lca.warnings


def test_who_is_meant_can_be_chosen(scene, tmp_path, model_file):
    """Two people in one photo: the more prominent one is used and said, the other can be chosen."""
    both = np.concatenate([astronaut(), astronaut()[:, ::-1]], 1)
    Image.fromarray(both).save(tmp_path / "two.png")
    bpy.ops.lca.add_photos(files=[{"name": "two.png"}], directory=str(tmp_path))
    assert not bpy.ops.lca.choose_person.poll()
    create = {"filepath": str(tmp_path / "person.lca"), "model": str(model_file), "refine": False}
    bpy.ops.lca.create_avatar(**create)
    photo = scene.lca.photos[0]
    assert "2 people" in bpy.context.object.lca.warnings
    (left, _), (right, _) = json.loads(photo.people)
    assert left < 0.5 < right
    for chosen in (1, 2):
        assert bpy.ops.lca.choose_person(person=chosen) == {"FINISHED"}
        assert photo.person == chosen
        bpy.ops.lca.create_avatar(**create)
        assert f"number {chosen} of 2" in bpy.context.object.lca.warnings
    fails("shows 2 people", bpy.ops.lca.choose_person, person=3)
    assert nearest_person([[0.2, 0.5], [0.8, 0.5]], 0.7, 0.1) == 2


def test_a_film_and_photos_become_one_avatar(scene, tmp_path, model_file):
    """The film is one line of the list, with the pictures of its frames; frames add to the photos."""
    photo, film = write_photos(tmp_path, 1)[0], write_film(tmp_path / "ann.mp4")
    bpy.ops.lca.add_photos(files=[{"name": photo.name}, {"name": film.name}], directory=str(tmp_path))
    bpy.ops.lca.create_avatar(
        filepath=str(tmp_path / "ann.lca"), model=str(model_file), frames=2, refine=False
    )
    listed = {Path(item.path).name: item for item in scene.lca.photos}
    assert {item.state for item in listed.values()} == {"USED"}
    used = len(Avatar.load(tmp_path / "ann.lca").header["photos"]) - 1
    assert 1 <= used <= 2
    assert re.match(rf"{used} frames? w.*: at \d\.\d s", listed["ann.mp4"].shows)
    with Image.open(listed["ann.mp4"].overlay) as picture:
        assert min(picture.size) > 200
    assert len(json.loads(listed["ann.mp4"].people)) == 1


def test_a_person_of_a_film_can_be_chosen(scene, tmp_path, model_file):
    both = np.concatenate([astronaut(), astronaut()[:, ::-1]], 1)
    film = write_film(tmp_path / "two.mp4", 2, both)
    bpy.ops.lca.add_photos(files=[{"name": film.name}], directory=str(tmp_path))
    create = {
        "filepath": str(tmp_path / "person.lca"),
        "model": str(model_file),
        "frames": 1,
        "refine": False,
    }
    bpy.ops.lca.create_avatar(**create)
    (item,) = scene.lca.photos
    (left, _), (right, _) = json.loads(item.people)
    assert left < 0.5 < right
    for chosen in (1, 2):
        assert bpy.ops.lca.choose_person(person=chosen) == {"FINISHED"}
        bpy.ops.lca.create_avatar(**create)
        assert f"two.mp4 shows 2 people; number {chosen} of 2" in bpy.context.object.lca.warnings


def test_a_film_of_nobody_is_one_sentence(scene, tmp_path, model_file, monkeypatch):
    monkeypatch.setattr(following, "LOOKS", (1,))  # a wall is searched in every way
    film = write_film(tmp_path / "wall.mp4", 2, np.repeat(brick()[:240, :320, None], 3, -1))
    create = {"filepath": str(tmp_path / "person.lca"), "model": str(model_file), "refine": False}
    fails("wall.mp4 shows no person", bpy.ops.lca.create_avatar, photos=[{"name": str(film)}], **create)
    (tmp_path / "text.mov").write_text("a film by nobody")
    broken = [{"name": str(tmp_path / "text.mov")}]
    fails("text.mov cannot be read as a movie", bpy.ops.lca.create_avatar, photos=broken, **create)
    assert scene.lca.remedy_operator == "lca.add_photos"
    assert not (tmp_path / "person.lca").exists()
    assert not [obj for obj in bpy.data.objects if obj.lca.filepath]


@pytest.mark.parametrize("deleted", [False, True])
def test_the_first_avatar_is_shown_and_the_refined_one_takes_its_place(scene, tmp_path, deleted):
    """The parts of the operator that a window calls while it works; what it adds may be gone by the end."""
    path, said = tmp_path / "ann.lca", []
    first = Avatar.load(write_avatar(path, detail=1.0))
    operator = SimpleNamespace(
        _first=SimpleQueue(),
        _shown="",
        _written=path,
        changed=False,
        report=lambda kind, text: said.append(text),
        in_background=False,
    )
    operator._add = LCA_OT_create_avatar._add.__get__(operator)
    LCA_OT_create_avatar.tick(operator, bpy.context)
    assert not operator.changed
    operator._first.put(first)
    LCA_OT_create_avatar.tick(operator, bpy.context)
    shown = bpy.context.object
    assert operator.changed
    assert shown.lca.hash == first.hash
    shown.location = (1, 2, 3)
    if deleted:
        bpy.data.objects.remove(shown)
    refined = Avatar.load(write_avatar(path, detail=0.0))
    (tmp_path / "report.json").write_text('{"photos": []}')
    LCA_OT_create_avatar.finish(operator, bpy.context, (path, refined, tmp_path))
    avatars = [obj for obj in bpy.data.objects if is_avatar(obj)]
    assert [obj.lca.hash for obj in avatars] == [refined.hash]
    assert tuple(avatars[0].location) == ((0, 0, 0) if deleted else (1, 2, 3))
    assert "Gaussians, written to ann.lca" in said[0]
