# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo behind the posed avatar: its camera, its pose on the rig, and the artist's own for the next fit."""

import bpy
import numpy as np
import pytest
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from lca_blender.backend.imaging.fit.photo_pose import PhotoPose
from lca_blender.operators.photo_pose import given_poses
from mathutils import Euler, Matrix
from PIL import Image
from refusals import fails

from lca_blender.scene.avatar_data import load_avatar
from lca_blender.scene.camera import render_camera
from lca_blender.scene.photo_camera import joints_in_world

SIZE = (300, 400)
TURNED = ("spine2", "head", "upper_arm.L", "forearm.L", "hand.R", "thigh.R", "shin.R", "index2.L")


def photo_pose(seed=0):
    """Somebody of the mean shape, 3 m before a camera, turned and bent at random."""
    rng = np.random.default_rng(seed)
    rotations = np.zeros((len(INDEX), 3))
    rotations[0] = (np.pi / 2 + 0.2, 0.1, -0.3)
    rotations[[INDEX[name] for name in TURNED]] = rng.normal(0, 0.4, (len(TURNED), 3))
    face, betas = rng.uniform(0, 0.5, 52), np.zeros(len(load_template().shape_names))
    return PhotoPose(rotations, np.array([0.1, -0.05, 3.0]), 1.4, face, np.full((2, 2), 0.1), betas)


@pytest.fixture
def listed(bound, tmp_path):
    """(avatar, rig, photo): a photo in the list, whose pose was found."""
    avatar, rig = bound
    Image.new("RGB", SIZE, (90, 120, 40)).save(tmp_path / "a.png")
    photo = bpy.context.scene.lca.photos.add()
    photo.path, photo.upright = str(tmp_path / "a.png"), str(tmp_path / "a.png")
    photo.pose = photo_pose().text()
    bpy.context.view_layer.objects.active = avatar
    return avatar, rig, photo


def in_photo(avatar, camera):
    """Where a camera that holds the whole photo sees the avatar's joints: pixels [J,2] of the photo."""
    graph, loaded = bpy.context.evaluated_depsgraph_get(), load_avatar(avatar)
    joints, heads = joints_in_world(avatar, loaded, graph), loaded.joint_heads.numpy()
    places = np.einsum("jab,jb->ja", joints[:, :3, :3], heads) + joints[:, :3, 3]
    seen = render_camera(camera.evaluated_get(graph), bpy.context.scene.render)
    points = places @ seen.viewmat[:3, :3].T + seen.viewmat[:3, 3]
    pixels = (points @ seen.K.T)[:, :2] / points[:, 2:]
    scale = min(seen.width / SIZE[0], seen.height / SIZE[1])
    return (pixels - (seen.width / 2, seen.height / 2)) / scale + np.array(SIZE) / 2


def alike(pose, other, tolerance=2e-3):
    for name in ("rotations", "pelvis", "focal", "expression", "gaze"):
        assert getattr(pose, name) == pytest.approx(getattr(other, name), abs=tolerance), name


@pytest.mark.parametrize(("frame", "scale"), [((96, 128), 1), ((160, 90), 1), ((90, 160), 20)])
def test_the_avatar_stands_as_in_the_photo_and_is_read_so(listed, frame, scale):
    """Frames of other forms than the photo's, and a rig that is turned and large."""
    avatar, rig, photo = listed
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = frame
    rig.matrix_world = Matrix.LocRotScale((3, 1, 0.5), Euler((0.1, 0.2, 1.0)), (scale,) * 3)
    bpy.context.view_layer.update()
    pelvis = (rig.matrix_world @ rig.pose.bones["pelvis"].matrix).copy()
    assert bpy.ops.lca.show_photo() == {"FINISHED"}
    assert rig.matrix_world @ rig.pose.bones["pelvis"].matrix == pelvis
    fit = photo_pose().fit(SIZE[::-1])
    assert in_photo(avatar, photo.camera) == pytest.approx(fit.project(fit.joints()), abs=0.5)
    shown = photo.camera.data.background_images[0]
    assert (tuple(shown.image.size), shown.frame_method) == (SIZE, "FIT")
    assert shown.image.packed_file
    sliders = [getattr(avatar.lca.expression, name) for name in ARKIT_NAMES]
    assert sliders == pytest.approx(photo_pose().expression, abs=1e-5)
    assert bpy.ops.lca.use_pose() == {"FINISHED"}
    alike(PhotoPose.read(photo.given), photo_pose())


def test_the_artists_pose_and_camera_are_kept_and_forgotten(listed):
    _, rig, photo = listed
    bpy.ops.lca.show_photo()
    bone, before = rig.pose.bones["forearm.R"], photo_pose()
    bone.matrix_basis = bone.matrix_basis @ Euler((0.0, 0.0, 0.5)).to_matrix().to_4x4()
    photo.camera.matrix_world = photo.camera.matrix_world @ Matrix.Translation((0.2, 0, 0))
    photo.camera.data.lens *= 1.5
    bpy.context.view_layer.update()
    bpy.ops.lca.use_pose()
    given = PhotoPose.read(photo.given)
    assert given.pelvis == pytest.approx(before.pelvis - (0.2, 0, 0), abs=1e-3)
    assert given.focal == pytest.approx(1.5 * before.focal, rel=1e-3)
    turned = np.linalg.norm(given.rotations - before.rotations, axis=1)
    assert turned[INDEX["forearm.R"]] == pytest.approx(0.5, abs=1e-3)
    assert np.sort(turned)[-2] < 2e-3
    bone.matrix_basis.identity()
    bpy.ops.lca.show_photo()  # the artist's own, from now on
    bpy.ops.lca.use_pose()
    alike(PhotoPose.read(photo.given), given)
    alike(given_poses(bpy.context.scene)["a.png"], given)  # what Create Avatar uses
    assert bpy.ops.lca.forget_pose() == {"FINISHED"}
    assert not photo.given
    assert not bpy.ops.lca.forget_pose.poll()


def test_bones_that_controls_move_are_left_to_the_artist(listed):
    _, rig, photo = listed
    rig.pose.bones["shin.L"].constraints.new("COPY_ROTATION").target = rig
    before = [bone.matrix_basis.copy() for bone in rig.pose.bones]
    assert bpy.ops.lca.show_photo() == {"FINISHED"}
    assert [bone.matrix_basis for bone in rig.pose.bones] == before
    assert photo.camera


def test_what_cannot_be_shown_is_one_sentence(listed):
    avatar, _, photo = listed
    fails("has no camera in this scene", bpy.ops.lca.use_pose)
    path, photo.upright = photo.upright, "/gone.jpg"
    fails("picture no longer exists", bpy.ops.lca.show_photo)
    assert not bpy.data.cameras.get("Photo a")
    photo.upright = path
    bpy.ops.lca.show_photo()
    photo.upright = "/gone.jpg"
    bpy.ops.lca.show_photo()  # its camera has the picture
    photo.camera.data.shift_x = 0.1
    fails("without shift", bpy.ops.lca.use_pose)
    photo.camera.data.shift_x = 0
    photo.camera.matrix_world = photo.camera.matrix_world @ Matrix.Translation((0, 0, -50))
    bpy.context.view_layer.update()
    fails("is behind", bpy.ops.lca.use_pose)
    photo.given = "{}"
    fails("damaged", bpy.ops.lca.show_photo)
    avatar.lca.armature = None
    fails("has no rig", bpy.ops.lca.show_photo)
    photo.pose = ""
    assert not bpy.ops.lca.show_photo.poll()


def test_a_rig_of_other_bones_and_proportions_takes_the_pose(metarig, avatar, tmp_path):
    """Rigify's: limbs turn as in the photo; its spine has fewer bones, and the feet rest otherwise."""
    bpy.ops.lca.bind_to_armature(armature=metarig.name)
    Image.new("RGB", SIZE).save(tmp_path / "a.png")
    photo = bpy.context.scene.lca.photos.add()
    photo.path = photo.upright = str(tmp_path / "a.png")
    photo.pose = photo_pose().text()
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.show_photo()
    bpy.ops.lca.use_pose()
    turns, read = (pose.fit(SIZE).frames().turn for pose in (photo_pose(), PhotoPose.read(photo.given)))
    limbs = [INDEX[name] for name in ("pelvis", *TURNED[2:])]
    assert turns[limbs] == pytest.approx(read[limbs], abs=1e-3)
