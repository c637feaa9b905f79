# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving and opening: relative paths name the same files wherever the .blend goes, errors stay behind."""

from pathlib import Path

import bpy
import pytest
from models import write_photos
from refusals import fails

from lca_blender.scene.avatar_data import avatar_path, relative_if_saved


@pytest.fixture
def film(avatar, avatar_file, tmp_path):
    """A saved .blend whose avatar, and a photo in the lists of two scenes, have relative paths."""
    path = tmp_path / "a" / "film.blend"
    path.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    avatar.lca.filepath = relative_if_saved(avatar_file)
    photo = write_photos(tmp_path, 1)[0]
    for scene in (bpy.context.scene, bpy.data.scenes.new("Other")):
        scene.lca.photos.add().path = relative_if_saved(photo)
    return path


def kept_paths():
    """The avatar's path and those of all photos, as they are kept."""
    photos = [photo.path for scene in bpy.data.scenes for photo in scene.lca.photos]
    return [bpy.data.objects["Avatar"].lca.filepath, *photos]


def named_files():
    """The same, absolute; all of them relative to the open .blend."""
    assert len(kept_paths()) == 3
    assert all(path.startswith("//") for path in kept_paths())
    return [Path(bpy.path.abspath(path)).resolve() for path in kept_paths()]


def test_saving_elsewhere_keeps_relative_paths_right(film, avatar_file, tmp_path):
    meant = named_files()
    assert meant[0] == avatar_file.resolve()
    elsewhere = tmp_path / "b" / "c" / "film.blend"
    elsewhere.parent.mkdir(parents=True)
    for path in (elsewhere, film):
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
        assert named_files() == meant
        bpy.ops.wm.open_mainfile(filepath=str(path))
        assert named_files() == meant


def test_a_copy_saved_elsewhere_leaves_the_open_file_alone(film, tmp_path):
    kept, meant = kept_paths(), named_files()
    copy = tmp_path / "b" / "c" / "copy.blend"
    copy.parent.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    assert bpy.data.filepath == str(film)
    assert kept_paths() == kept
    bpy.ops.wm.open_mainfile(filepath=str(copy))
    assert named_files() == meant


def test_an_overridden_avatar_goes_on_starting_at_its_library(film, avatar_file, tmp_path):
    person = bpy.data.collections.new("Person")
    person.objects.link(bpy.data.objects["Avatar"])
    bpy.context.scene.collection.children.link(person)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    with bpy.data.libraries.load(str(film), link=True, relative=True) as (_, into):
        into.collections = ["Person"]
    scene = bpy.context.scene
    scene.collection.children.link(into.collections[0])
    into.collections[0].override_hierarchy_create(scene, bpy.context.view_layer)
    elsewhere = tmp_path / "b" / "c" / "shot.blend"
    elsewhere.parent.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(elsewhere))
    own = next(obj for obj in bpy.data.objects if obj.override_library and obj.type == "MESH")
    assert avatar_path(own).resolve() == avatar_file.resolve()


def test_saving_that_fails_leaves_the_paths(film, tmp_path):
    kept = kept_paths()
    with pytest.raises(RuntimeError):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "gone" / "film.blend"))
    assert kept_paths() == kept


def test_what_went_wrong_is_not_kept_in_the_file(scene, tmp_path):
    fails("no photos yet", bpy.ops.lca.create_avatar, filepath=str(tmp_path / "person.lca"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "film.blend"))
    properties = bpy.context.scene.lca
    assert (properties.message, properties.remedy, properties.remedy_operator) == ("", "", "")
