# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual that the extension carries: a page for each operator and property, opened in the web browser."""

from pathlib import Path

import bpy

FOLDER = Path(__file__).parents[1] / "manual"  # `build.py package` puts it there
PAGES = {  # page -> what Blender's Online Manual (F1 over a button) opens it for
    "first_avatar": ("create_avatar", "add_photos", "show_photo", "use_pose", "choose_person"),
    "bind_and_pose": ("bind_to_armature", "add_rig", "fit_rig", "apply_bone_map", "use_character_shape"),
    "act_a_face": (
        *("set_expression", "set_viseme", "set_own_face", "save_own_face", "reset_expression", "key_face"),
        *("key_changed", "swap_face", "mirror_face", "key_visemes", "save_face_asset", "apply_face_asset"),
        *("face_from_video", "import_face", "export_face"),
    ),
    "edit_by_hand": (
        *("show_seen", "erase_splats", "restore_erased", "paint_to_erase", "erase_painted"),
        *("render_for_repaint", "repaint"),
    ),
    "light_and_render": ("show_avatar", "bake_world"),
    "relit_sequences": (
        "render_relit",
        "add_relit_maps",
        "add_studio_maps",
        "add_relit_rigs",
        "relit_preset",
    ),
    "farm": ("write_relit_job",),
    "export": ("export_avatar", "export_ply", "textured_mesh", "import_avatar", "import_splats"),
}


class LCA_OT_open_manual(bpy.types.Operator):
    """Open the manual of this extension in the web browser; it is on this machine"""

    bl_idname = "lca.open_manual"
    bl_label = "Manual"

    @classmethod
    def poll(cls, _context) -> bool:
        if not FOLDER.is_dir():
            cls.poll_message_set("This copy runs from its source: the manual is in docs/manual there")
            return False
        return True

    def execute(self, _context) -> set[str]:
        return bpy.ops.wm.url_open(url=(FOLDER / "index.html").as_uri())


def manual_map() -> tuple[str, tuple[tuple[str, str], ...]]:
    """URL prefix, and (pattern of an RNA name, page) pairs: what Blender asks for (`register_manual_map`)."""
    operators = tuple(
        (f"bpy.ops.lca.{name}", f"{page}.html") for page, names in PAGES.items() for name in names
    )
    return f"{FOLDER.as_uri()}/", (*operators, ("bpy.ops.lca*", "index.html"))


def register() -> None:
    bpy.utils.register_manual_map(manual_map)


def unregister() -> None:
    bpy.utils.unregister_manual_map(manual_map)


CLASSES = (LCA_OT_open_manual,)
