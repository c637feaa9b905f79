# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does: create, import, bind, edit the map, pose, export; and what goes wrong on the way."""

import os
from types import SimpleNamespace

import addon_utils
import bpy
import numpy as np
import pytest
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.bone_map import BoneMap
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from lca_blender.backend.ply import read_ply
from mathutils import Matrix
from models import write_estimator, write_model, write_photos
from refusals import fails, state

from lca_blender.scene.evaluate import evaluate


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="session")
def estimator_file(tmp_path_factory):
    return write_estimator(tmp_path_factory.mktemp("models") / "sees.safetensors", sees_people=True)


@pytest.fixture(scope="session")
def blind_estimator_file(tmp_path_factory):
    return write_estimator(tmp_path_factory.mktemp("models") / "blind.safetensors", sees_people=False)


@pytest.fixture
def metarig(scene):
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_human_metarig_add()
    return bpy.context.object


@pytest.fixture
def rigify(metarig):
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.rigify_generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    return next(obj for obj in bpy.data.objects if obj.type == "ARMATURE" and obj != metarig)


def add(file):
    bpy.ops.lca.import_avatar(filepath=str(file))
    return bpy.context.object


def bind(avatar, rig, **arguments):
    bpy.ops.object.select_all(action="DESELECT")
    avatar.select_set(True)
    rig.select_set(True)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.bind_to_armature(**arguments) == {"FINISHED"}
    bpy.context.view_layer.update()


def splats(avatar):
    bpy.context.view_layer.update()
    return evaluate(avatar, bpy.context.evaluated_depsgraph_get()).means.numpy()


def parts(file, *joints):
    """Which splats of an avatar file hang on these joints most."""
    avatar = Avatar.load(file)
    main = avatar.skin_indices.numpy()[np.arange(len(avatar)), avatar.skin_weights.numpy().argmax(1)]
    return np.isin(main, [INDEX[joint] for joint in joints])


def hand(file, side):
    fingers = [f"{finger}{i}.{side}" for finger in ("index", "middle", "ring") for i in (1, 2, 3)]
    return parts(file, f"hand.{side}", *fingers)


# Creating


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
    assert not scene.lca.job_running


def test_the_avatar_is_written_beside_the_blend(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    for _ in range(2):
        bpy.ops.lca.create_avatar(
            files=[{"name": str(photos[0])}], model=str(model_file), estimator=str(estimator_file)
        )
    written = sorted(path.name for path in tmp_path.glob("*.lca"))
    assert len(written) == 2
    assert bpy.context.object.lca.filepath.startswith("//")


def test_no_person_is_one_sentence_with_a_button(scene, tmp_path, model_file, blind_estimator_file):
    photos = write_photos(tmp_path, 2)
    fails(
        "No photo shows a person",
        bpy.ops.lca.create_avatar,
        files=[{"name": str(photo)} for photo in photos],
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
    fails("not saved yet", bpy.ops.lca.create_avatar, files=[{"name": str(photos[0])}])
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
        files=[{"name": str(photos[0])}],
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
        files=[{"name": str(photos[0])}],
        filepath=str(tmp_path / "person.lca"),
        model=str(tmp_path / "bad.safetensors"),
        estimator=str(estimator_file),
    )
    assert not (tmp_path / "person.lca").exists()


def test_two_hundred_photos_use_the_best_and_say_so(scene, tmp_path, model_file, estimator_file):
    photos = write_photos(tmp_path, 200)
    bpy.ops.lca.create_avatar(
        files=[{"name": str(photo)} for photo in photos],
        filepath=str(tmp_path / "person.lca"),
        model=str(model_file),
        estimator=str(estimator_file),
    )
    assert len(Avatar.load(tmp_path / "person.lca").header["photos"]) <= 16
    assert "200" in bpy.context.object.lca.warnings


def test_escape_stops_the_work_and_changes_nothing(scene, tmp_path, model_file, estimator_file):
    """The modal part, driven as a window would drive it."""
    from lca_blender.backend import jobs
    from lca_blender.operators.running import LongWork

    said = []
    operator = SimpleNamespace(
        bl_label="Create Avatar", report=lambda kind, text: said.append(text), _timer=None
    )
    for name in ("_show", "_clear", "_end"):
        setattr(operator, name, getattr(LongWork, name).__get__(operator))
    forever = jobs.start(lambda progress, cancelled: wait_until(cancelled))
    operator._job = forever
    before = state()
    assert LongWork.modal(operator, bpy.context, SimpleNamespace(type="TIMER")) == {"PASS_THROUGH"}
    assert scene.lca.job_running
    assert LongWork.modal(operator, bpy.context, SimpleNamespace(type="ESC")) == {"CANCELLED"}
    assert state() == before
    assert not scene.lca.job_running
    assert "stopped" in said[0]


def wait_until(cancelled):
    import time

    while not cancelled():
        time.sleep(0.01)


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


# Binding


def test_the_metarig_moves_the_avatar(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig, armature=metarig.name)
    assert avatar.parent == metarig
    missing = {pair.joint for pair in avatar.lca.bone_map if not pair.bone}
    assert missing == {"forearm_twist.L", "forearm_twist.R"}
    follows_the_hand(avatar, metarig, rigid_avatar_file, "upper_arm.L", "hand.L")


def test_the_generated_rig_moves_the_avatar(rigify, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, rigify, armature=rigify.name)
    bones = {pair.joint: pair.bone for pair in avatar.lca.bone_map}
    assert all(bones.values())
    assert bones["upper_arm.L"] == "DEF-upper_arm.L"
    rigify.pose.bones["upper_arm_parent.L"]["IK_FK"] = 1.0
    follows_the_hand(avatar, rigify, rigid_avatar_file, "upper_arm_fk.L", "DEF-hand.L")


def follows_the_hand(avatar, rig, file, control, bone):
    """Raise an arm: the avatar's hand is where the rig's is, and the other hand has not moved."""
    before = splats(avatar)
    left, right = hand(file, "L"), hand(file, "R")
    assert distance(before[left], rig, bone) < 0.13
    pose = rig.pose.bones[control]
    pose.matrix = rig.matrix_world.inverted() @ Matrix.Rotation(-1.2, 4, "Y") @ rig.matrix_world @ pose.matrix
    bpy.context.view_layer.update()
    after = splats(avatar)
    assert np.linalg.norm(after[left].mean(0) - before[left].mean(0)) > 0.3
    assert distance(after[left], rig, bone) < 0.13
    assert np.abs(after[right] - before[right]).max() < 1e-4


def distance(points, rig, bone):
    """From the middle of the points to the bone's middle, metres."""
    pose = rig.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones[bone]
    return np.linalg.norm(points.mean(0) - np.array(rig.matrix_world @ pose.tail))


def test_binding_to_a_posed_rig_takes_its_pose_at_once(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    metarig.pose.bones["upper_arm.L"].rotation_mode = "XYZ"
    metarig.pose.bones["upper_arm.L"].rotation_euler = (0.6, 0, 0)
    bind(avatar, metarig)
    assert distance(splats(avatar)[hand(rigid_avatar_file, "L")], metarig, "hand.L") < 0.13


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_rigs_of_any_size(metarig, rigid_avatar_file, scale):
    """Bones in centimetres or in hectometres, as importers leave them, brought to metres by the object."""
    for bone in edit(metarig):
        bone.head, bone.tail = bone.head / scale, bone.tail / scale
    bpy.ops.object.mode_set(mode="OBJECT")
    metarig.scale = (scale,) * 3
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    means = splats(avatar)
    assert 1.7 < np.ptp(means[:, 2]) < 2.2
    assert distance(means[hand(rigid_avatar_file, "L")], metarig, "hand.L") < 0.13


def edit(rig):
    bpy.ops.object.select_all(action="DESELECT")
    rig.select_set(True)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bones = rig.data.edit_bones
    for bone in bones:
        bone.use_connect = False
    return bones


def test_an_armature_without_legs(metarig, rigid_avatar_file):
    bones = edit(metarig)
    for name in [
        bone.name for bone in bones if bone.name.startswith(("thigh", "shin", "foot", "toe", "heel"))
    ]:
        bones.remove(bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    means = splats(avatar)
    feet = means[parts(rigid_avatar_file, "foot.L", "foot.R")]
    assert feet[:, 2].max() < means[:, 2].min() + 0.25
    metarig.location.z = 1
    assert splats(avatar)[:, 2] == pytest.approx(means[:, 2] + 1, abs=1e-4)


def test_a_prop_is_no_rig(scene, avatar_file):
    rig = bpy.data.objects.new("Door", bpy.data.armatures.new("Door"))
    scene.collection.objects.link(rig)
    avatar = add(avatar_file)
    fails("has no bones", bpy.ops.lca.bind_to_armature, armature="Door")
    edit(rig).new("hinge").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.objects.active = avatar
    fails("no spine and no head", bpy.ops.lca.bind_to_armature, armature="Door")
    assert avatar.lca.armature is None
    assert scene.lca.remedy_operator == "lca.load_bone_map"


def test_which_armature_is_meant(metarig, avatar_file):
    other = metarig.copy()
    bpy.context.collection.objects.link(other)
    avatar = add(avatar_file)
    fails("not clear which armature", bpy.ops.lca.bind_to_armature)
    fails("no armature called", bpy.ops.lca.bind_to_armature, armature="Nobody")
    bind(avatar, other)
    assert avatar.lca.armature == other


def test_unbinding_brings_the_canonical_pose_back(metarig, avatar_file):
    avatar = add(avatar_file)
    at_first = splats(avatar)
    bind(avatar, metarig)
    assert bpy.ops.lca.unbind() == {"FINISHED"}
    assert splats(avatar) == pytest.approx(at_first, abs=1e-5)
    assert not bpy.ops.lca.unbind.poll()


def test_the_map_is_edited_saved_and_loaded(metarig, rigid_avatar_file, tmp_path):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    assert bpy.ops.lca.set_bone(joint="toe.L", bone="") == {"FINISHED"}
    assert next(pair.bone for pair in avatar.lca.bone_map if pair.joint == "toe.L") == ""
    fails("no bone called", bpy.ops.lca.set_bone, joint="toe.L", bone="nothing")
    bpy.ops.lca.save_bone_map(filepath=str(tmp_path / "map.json"))
    assert "toe.L" not in BoneMap.load(tmp_path / "map.json").bones
    before = splats(avatar)
    bpy.ops.lca.unbind()
    bpy.ops.lca.load_bone_map(filepath=str(tmp_path / "map.json"), armature=metarig.name)
    assert splats(avatar) == pytest.approx(before, abs=1e-6)
    (tmp_path / "map.json").write_text("{")
    fails("not valid JSON", bpy.ops.lca.load_bone_map, filepath=str(tmp_path / "map.json"))


def test_a_bone_changed_in_the_list_is_applied(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    next(pair for pair in avatar.lca.bone_map if pair.joint == "toe.R").bone = ""
    assert bpy.ops.lca.apply_bone_map() == {"FINISHED"}
    assert "toe.R" not in avatar.vertex_groups


def test_the_proxy_lies_under_the_splats(metarig, rigid_avatar_file):
    avatar = add(rigid_avatar_file)
    bind(avatar, metarig)
    metarig.pose.bones["forearm.R"].rotation_mode = "XYZ"
    metarig.pose.bones["forearm.R"].rotation_euler = (0.9, 0, 0)
    means = splats(avatar)
    proxy = avatar.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.array([avatar.matrix_world @ vertex.co for vertex in proxy.data.vertices])
    apart = np.linalg.norm(means[::10, None] - points[None], axis=2).min(1)
    assert np.median(apart) < 0.03
    assert apart.max() < 0.12


# Export


def test_the_current_frame_is_exported(bound, tmp_path):
    avatar, rig = bound
    rig.pose.bones["head"].rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (5, 1.0)):
        rig.pose.bones["head"].rotation_euler = (0, angle, 0)
        rig.pose.bones["head"].keyframe_insert("rotation_euler", frame=frame)
    bpy.context.scene.frame_set(5)
    bpy.context.view_layer.objects.active = avatar
    assert bpy.ops.lca.export_ply(filepath=str(tmp_path / "frame.ply")) == {"FINISHED"}
    assert read_ply(tmp_path / "frame.ply").means.numpy() == pytest.approx(splats(avatar), abs=1e-5)
    fails("does not exist", bpy.ops.lca.export_ply, filepath=str(tmp_path / "gone" / "frame.ply"))


def test_torch_is_only_installed_online(scene):
    assert not bpy.app.online_access
    assert not bpy.ops.lca.install_torch.poll()


def test_the_template_has_the_joints_of_the_bone_map(bound):
    avatar, _ = bound
    assert [pair.joint for pair in avatar.lca.bone_map] == list(load_template().joint_names)
