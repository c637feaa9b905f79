# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of photos, importing avatars and exporting splats; and what goes wrong on the way."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from avatars import splats
from lca_blender.operators.common import SaveDialog
from models import write_photos
from refusals import fails

# Photos


def test_the_photo_list_holds_each_file_once(scene, tmp_path):
    photos = write_photos(tmp_path, 3)
    for _ in range(2):
        bpy.ops.lca.add_photos(files=[{"name": photo.name} for photo in photos], directory=str(tmp_path))
    assert len(scene.lca.photos) == 3
    scene.lca.active_photo = 1
    bpy.ops.lca.remove_photo()
    assert [bpy.path.basename(photo.path) for photo in scene.lca.photos] == ["photo_000.png", "photo_002.png"]
    bpy.ops.lca.clear_photos()
    assert not bpy.ops.lca.clear_photos.poll()
    fails("were not found", bpy.ops.lca.add_photos, files=[{"name": "gone.png"}], directory=str(tmp_path))


# Importing


def test_files_that_are_no_avatars_are_one_sentence(scene, tmp_path, avatar_file):
    content = avatar_file.read_bytes()
    bad = tmp_path / "bad.lca"
    for broken in (b"", b"hello", content[: len(content) // 2], b"\xff" * 64 + content[64:]):
        bad.write_bytes(broken)
        fails(r"bad\.lca", bpy.ops.lca.import_avatar, filepath=str(bad))
        assert scene.lca.remedy_operator == "lca.import_avatar"


def test_one_bad_file_of_several_imports_none(scene, tmp_path, avatar_file):
    (tmp_path / "bad.lca").write_bytes(b"no")
    fails(
        r"bad\.lca",
        bpy.ops.lca.import_avatar,
        files=[{"name": str(avatar_file)}, {"name": str(tmp_path / "bad.lca")}],
    )


# Export


def ply_means(path):
    """x, y, z [N,3] of a PLY file whose properties are floats and begin with them."""
    header, _, data = path.read_bytes().partition(b"end_header\n")
    count = int(header.split(b"element vertex ")[1].split()[0])
    return np.frombuffer(data, "<f4").reshape(count, -1)[:, :3]


def test_the_current_frame_is_exported(bound, tmp_path):
    avatar, rig = bound
    rig.pose.bones["head"].rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (5, 1.0)):
        rig.pose.bones["head"].rotation_euler = (0, angle, 0)
        rig.pose.bones["head"].keyframe_insert("rotation_euler", frame=frame)
    bpy.context.scene.frame_set(5)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.export_ply(filepath=str(tmp_path / "frame.ply")) == {"FINISHED"}
    assert ply_means(tmp_path / "frame.ply") == pytest.approx(splats(avatar), abs=1e-5)
    fails("does not exist", bpy.ops.lca.export_ply, filepath=str(tmp_path / "gone" / "frame.ply"))


def test_a_dot_in_the_name_replaces_no_other_file(bound, tmp_path):
    bpy.context.view_layer.objects.active = bound[0]
    (tmp_path / "ann.ply").write_text("somebody's work")
    (tmp_path / "ann.v2").write_text("somebody's work")
    bpy.ops.lca.export_ply(filepath=str(tmp_path / "ann.v2"))
    bpy.ops.lca.save_bone_map(filepath=str(tmp_path / "ann.v2"))
    assert {path.name for path in tmp_path.iterdir()} == {"ann.ply", "ann.v2", "ann.v2.ply", "ann.v2.json"}
    assert (tmp_path / "ann.ply").read_text() == (tmp_path / "ann.v2").read_text() == "somebody's work"


def test_the_save_dialog_shows_the_name_that_will_be_written():
    dialog = SimpleNamespace(filepath="/avatars/ann.v2", suffix=".lca")
    assert SaveDialog.check(dialog, bpy.context)
    assert dialog.filepath == "/avatars/ann.v2.lca"
    assert not SaveDialog.check(dialog, bpy.context)
    dialog.filepath = "/avatars/"
    assert not SaveDialog.check(dialog, bpy.context)
