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
    scene.render.resolution_x, scene.render.resolution_y = 96, 128
    scene.view_settings.view_transform = "Raw"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location = (0.0, -4.0, 0.9)
    camera.rotation_euler = (1.5707963, 0.0, 0.0)
    scene.camera = camera
    return scene


def pytest_sessionfinish(session, exitstatus):
    session.config.lca_exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Blender 4.5 never returns from interpreter shutdown once classes were registered."""
    _user.cleanup()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(getattr(config, "lca_exit_status", 1))
