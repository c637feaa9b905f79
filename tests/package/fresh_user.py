# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new user does, by script: install, enable, create, bind, render. Run by test_package.py.

python fresh_user.py ARCHIVE PHOTO OUT     with BLENDER_USER_RESOURCES naming an empty folder
"""

import json
import os
import sys
import traceback
from pathlib import Path

import bpy


def main(archive: str, photo: str, out: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    installed = bpy.ops.extensions.package_install_files(
        filepath=archive, repo="user_default", enable_on_install=True
    )
    assert installed == {"FINISHED"}, installed
    name = "bl_ext.user_default.lca_blender"
    assert name in bpy.context.preferences.addons, "not enabled"
    bpy.ops.lca.create_avatar(photos=[{"name": photo}], filepath=str(out / "person.lca"))
    avatar = bpy.context.object
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.object.armature_human_metarig_add()
    rig = bpy.context.object
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    render(rig, out / "render.png")
    import torch

    facts = {
        "bpy": bpy.app.version_string,
        "torch": torch.__file__,
        "backend": sys.modules[f"{name}.backend.avatar"].__file__,
        "joints": len(avatar.lca.bone_map),
        "avatar_megabytes": (out / "person.lca").stat().st_size / 1e6,
    }
    (out / "facts.json").write_text(json.dumps(facts))


def render(rig: bpy.types.Object, path: Path) -> None:
    scene = bpy.context.scene
    scene.render.engine = "LCA_GAUSSIANS"
    scene.render.resolution_x, scene.render.resolution_y = 192, 256
    scene.render.film_transparent = True
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0, -4.5, 0.95), (1.5708, 0, 0)
    scene.camera = camera
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    status = 1
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # bpy 4.5 hangs at exit while add-ons are registered
