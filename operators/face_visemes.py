# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys the mouth of the active avatar from a time line of visemes."""

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty

from ..backend.face.channels import MOUTH
from ..backend.face.visemes import keyed, read_timeline
from ..scene.avatar_data import active_avatar
from ..scene.face import PLACES, key_frames, keyable, require_frames
from .common import Attempt, OnAvatar, StartsNow


class LCA_OT_key_visemes(StartsNow, OnAvatar, Attempt, bpy.types.Operator):
    """Key the mouth from a text or CSV file whose lines are a time and a viseme, as Rhubarb, Papagayo and \
Moho write them; eyes and brows stay"""

    bl_idname = "lca.key_visemes"
    bl_label = "Visemes from File"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.txt;*.csv;*.tsv;*.dat", options={"HIDDEN"})
    times: EnumProperty(
        name="Times",
        items=[
            ("SECONDS", "Seconds", "The file's times are seconds"),
            ("FRAMES", "Frames", "The file's times are frames of this scene"),
        ],
    )
    transition: FloatProperty(
        name="Transition",
        description="Time from one shape to the next",
        default=0.08,
        min=0.0,
        soft_max=0.5,
        unit="TIME_ABSOLUTE",
    )
    strength: FloatProperty(
        name="Strength",
        description="Factor on the mouth shapes",
        default=1.0,
        min=0.0,
        max=2.0,
    )

    def perform(self, context: bpy.types.Context) -> None:
        avatar, scene = active_avatar(context), context.scene
        self.start_now(context)
        rate = scene.render.fps / scene.render.fps_base
        require_frames(avatar)
        shapes = read_timeline(bpy.path.abspath(self.filepath), rate, self.times == "FRAMES")
        seconds, values = keyed(shapes, self.transition)
        own = [i for i, name in enumerate(MOUTH) if name in keyable(avatar)]
        frames = self.start + seconds * rate
        values = (values[:, own] * self.strength).clip(0, 1)
        key_frames(avatar, avatar, [PLACES[MOUTH[i]] for i in own], frames, values)
        avatar.update_tag(refresh={"TIME"})
        self.report({"INFO"}, f"{len(shapes)} visemes keyed on frames {frames[0]:.0f} to {frames[-1]:.0f}")


CLASSES = (LCA_OT_key_visemes,)
