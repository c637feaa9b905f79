# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of the sidebar: photos, and the bone map with unmapped joints first."""

import bpy

from ..backend.imaging.accepted import is_movie
from .previews import icon_of

STATES = {"NEW": "IMAGE_DATA", "USED": "CHECKMARK", "REFUSED": "CANCEL"}  # of a photo -> its icon


class LCA_UL_photos(bpy.types.UIList):
    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property, _index=0):
        name, film = bpy.path.basename(item.path), is_movie(item.path)
        if item.state == "NEW" and film:
            layout.label(text=name, icon="FILE_MOVIE")
            return
        thumbnail = 0 if film else icon_of(bpy.path.abspath(item.path))
        if not thumbnail:
            layout.label(text=name, icon=STATES[item.state])
            return
        layout.label(text=name, icon_value=thumbnail)
        if item.state != "NEW":
            layout.label(text="", icon=STATES[item.state])

    def filter_items(self, _context, data, property_name):
        photos = getattr(data, property_name)
        names = [bpy.path.basename(photo.path).lower() for photo in photos]
        shown = [self.bitflag_filter_item if self.filter_name.lower() in name else 0 for name in names]
        return shown, []


class LCA_UL_bone_map(bpy.types.UIList):
    def draw_item(self, _context, layout, data, item, _icon, _active_data, _active_property, _index=0):
        """Whole names at the sidebar's default width; the field below the list changes the bone."""
        row = layout.split(factor=0.48)
        row.label(text=joint_label(item.joint))
        bone = row.row()
        bone.active = bool(item.bone)
        bone.alert = bool(item.bone and data.armature and item.bone not in data.armature.data.bones)
        bone.label(text=item.bone or "none")

    def filter_items(self, _context, data, property_name):
        pairs = getattr(data, property_name)
        wanted = self.filter_name.lower()
        shown = [self.bitflag_filter_item if wanted in searched(pair) else 0 for pair in pairs]
        missing_first = sorted(range(len(pairs)), key=lambda i: (bool(pairs[i].bone), i))
        order = [0] * len(pairs)
        for place, index in enumerate(missing_first):
            order[index] = place
        return shown, order


def searched(pair) -> str:
    """The text that a search in the bone map is matched with."""
    side = {"L": "left", "R": "right"}.get(pair.joint.rpartition(".")[2], "")
    return f"{joint_label(pair.joint)} {pair.joint} {side} {pair.bone}".lower()


def joint_label(joint: str) -> str:
    """ "upper_arm.L" -> "L Upper Arm"; "index1.R" -> "R Index 1": a narrow row never cuts the side off"""
    base, _, side = joint.partition(".")
    words = base.replace("_", " ").rstrip("0123456789").title()
    number = base[len(base.rstrip("0123456789")) :]
    return " ".join(part for part in (side, words, number) if part)


CLASSES = (LCA_UL_photos, LCA_UL_bone_map)
