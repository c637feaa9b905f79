# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own rules for a test run: a user folder of its own, and an exit without teardown."""

import os
import sys
import tempfile

_user = tempfile.TemporaryDirectory(prefix="lca_blender_user_")
os.environ["BLENDER_USER_RESOURCES"] = _user.name  # read when bpy is imported

import bpy  # noqa: E402
import pytest  # noqa: E402

import lca_blender  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _registered():
    lca_blender.register()
    yield
    lca_blender.unregister()


@pytest.fixture
def scene():
    """A new empty file with our engine, a camera 4 m in front and small pictures without a view transform."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    lca_blender.register()
    scene = bpy.context.scene
    scene.render.engine = "LCA_GAUSSIANS"
    scene.lca.meshes = "HIDDEN"
    scene.render.resolution_x, scene.render.resolution_y = 96, 128
    scene.view_settings.view_transform = "Raw"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location = (0.0, -4.0, 0.9)
    camera.rotation_euler = (1.5707963, 0.0, 0.0)
    scene.camera = camera
    return scene


@pytest.fixture(scope="session")
def avatar_file(tmp_path_factory):
    """A small avatar whose pose decoder has random weights, so every part of the signal shows."""
    from avatars import write_avatar

    return write_avatar(tmp_path_factory.mktemp("avatars") / "person.lca")


@pytest.fixture(scope="session")
def rigid_avatar_file(tmp_path_factory):
    """The same avatar without pose detail: linear blend skinning is all that moves it."""
    from avatars import write_avatar

    return write_avatar(tmp_path_factory.mktemp("avatars") / "rigid.lca", detail=0.0)


@pytest.fixture
def avatar(scene, avatar_file):
    """An unbound avatar object, 4 m in front of the camera."""
    from lca_blender.backend.avatar import Avatar

    from lca_blender.scene.avatar_object import create_avatar_object

    return create_avatar_object(bpy.context, Avatar.load(avatar_file), avatar_file)


@pytest.fixture
def bound(avatar):
    """An avatar on an armature whose bones are the template's joints: (avatar object, armature object)."""
    from lca_blender.backend.body.binding import bind
    from lca_blender.backend.body.bone_map import BoneMap
    from lca_blender.backend.body.template import load_template

    from lca_blender.scene.armature import rig_of
    from lca_blender.scene.avatar_object import bind_proxy

    template = load_template()
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, head, tail in zip(
        template.joint_names, template.joint_heads, template.joint_tails, strict=True
    ):
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = head.tolist(), tail.tolist()
    for name, parent in zip(template.joint_names, template.joint_parents, strict=True):
        if parent >= 0:
            rig.data.edit_bones[name].parent = rig.data.edit_bones[template.joint_names[parent]]
    bpy.ops.object.mode_set(mode="OBJECT")
    bone_map = BoneMap({name: name for name in template.joint_names})
    bind_proxy(avatar, rig, bind(template, rig_of(rig), bone_map), bone_map.bones)
    bpy.context.view_layer.update()
    return avatar, rig


@pytest.fixture
def performance(scene, avatar, tmp_path):
    """As `relit_jobs.write_performance` has it."""
    from relit_jobs import write_performance

    return write_performance(scene, avatar, tmp_path)


@pytest.fixture
def metarig(scene):
    """Rigify's human, active."""
    import addon_utils  # Blender's own: there once bpy is imported

    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_human_metarig_add()
    return bpy.context.object


def pytest_sessionfinish(session, exitstatus):
    session.config.lca_exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Blender 4.5 never returns from interpreter shutdown once classes were registered."""
    _user.cleanup()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(getattr(config, "lca_exit_status", 1))
