# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's file is a dependency as Blender's own are: listed, moved, found, packed, appended."""

import shutil

import bpy
import pytest
from avatars import splats

from lca_blender.scene.avatar_data import avatar_path, avatar_problem, is_packed, load_avatar


@pytest.fixture
def film(scene, avatar_file, tmp_path):
    """(avatar object, its file) in a .blend that is saved beside the file, after importing it."""
    file = tmp_path / "film" / "ann.lca"
    file.parent.mkdir()
    shutil.copy(avatar_file, file)
    bpy.ops.lca.import_avatar(filepath=str(file))
    bpy.ops.wm.save_as_mainfile(filepath=str(file.with_name("film.blend")))
    return bpy.context.object, file


def test_the_first_save_makes_the_path_relative(film):
    avatar, file = film
    assert avatar.lca.filepath == "//ann.lca"
    assert "//ann.lca" in bpy.utils.blend_paths()
    bpy.ops.file.make_paths_absolute()
    assert avatar.lca.filepath == str(file)
    bpy.ops.file.make_paths_relative()
    assert avatar.lca.filepath == "//ann.lca"


def test_a_moved_file_is_found_by_find_missing_files(film, tmp_path):
    avatar, file = film
    (tmp_path / "moved").mkdir()
    shutil.move(file, tmp_path / "moved" / "ann.lca")
    assert avatar_problem(avatar) is not None
    bpy.ops.file.find_missing_files(directory=str(tmp_path / "moved"))
    assert avatar_problem(avatar) is None
    assert avatar_path(avatar).resolve() == (tmp_path / "moved" / "ann.lca").resolve()


@pytest.mark.parametrize("by", ["resources", "button"])
def test_packed_unpacked_and_opened_elsewhere(film, avatar_file, tmp_path, by):
    avatar, file = film
    before = splats(avatar)
    (bpy.ops.file.pack_all if by == "resources" else bpy.ops.lca.pack_avatar)()
    assert is_packed(avatar)
    bpy.ops.wm.save_mainfile()
    (tmp_path / "colleague").mkdir()
    shutil.move(file.with_name("film.blend"), tmp_path / "colleague" / "film.blend")
    shutil.rmtree(file.parent)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "colleague" / "film.blend"))
    avatar = bpy.data.objects["Ann"]
    assert (splats(avatar) == before).all()
    assert bpy.ops.lca.unpack_avatar() == {"FINISHED"}
    written = tmp_path / "colleague" / "ann.lca"
    assert written.read_bytes() == avatar_file.read_bytes()
    assert not is_packed(avatar)
    assert avatar_path(avatar).resolve() == written.resolve()
    assert not bpy.ops.lca.unpack_avatar.poll()


def test_unpacking_overwrites_nothing(film):
    avatar, file = film
    bpy.ops.lca.pack_avatar()
    file.write_bytes(b"somebody else's")
    bpy.ops.lca.unpack_avatar()
    assert file.read_bytes() == b"somebody else's"
    assert avatar_path(avatar).name == "ann_2.lca"
    assert load_avatar(avatar)


def test_appending_from_another_folder(film, tmp_path):
    _, file = film
    bpy.ops.wm.save_mainfile()
    shot = tmp_path / "shots" / "s01" / "shot.blend"
    shot.parent.mkdir(parents=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(shot))
    objects = f"{file.with_name('film.blend')}/Object/"
    bpy.ops.wm.append(filepath=f"{objects}Ann", directory=objects, filename="Ann")
    (avatar,) = (obj for obj in bpy.data.objects if obj.type == "MESH")
    assert avatar_problem(avatar) is None
    assert avatar_path(avatar).resolve() == file.resolve()


def test_a_copy_that_names_another_file_leaves_the_first_alone(film, rigid_avatar_file):
    avatar, file = film
    other = avatar.copy()
    other.lca.filepath = str(rigid_avatar_file)
    assert avatar_path(avatar).resolve() == file.resolve()
    assert load_avatar(other).hash != load_avatar(avatar).hash


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="raw properties are read otherwise")
def test_files_of_old_kept_the_path_as_a_text(film):
    avatar, file = film
    avatar.lca.file = None
    avatar.lca.bl_system_properties_get(do_create=True)["filepath"] = "//ann.lca"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert avatar_path(bpy.data.objects["Ann"]).resolve() == file.resolve()
