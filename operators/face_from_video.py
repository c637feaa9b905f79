# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys the face of the active avatar from a movie or a picture sequence."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, StringProperty

from ..backend.errors import UserError
from ..backend.jobs import Target
from ..scene.avatar_data import active_avatar
from ..scene.face import require_frames
from .common import StartsNow, need_torch, needs_avatar
from .photos import chosen_files
from .running import LongWork


class LCA_OT_face_from_video(StartsNow, LongWork, bpy.types.Operator):
    """Key the face sliders and the gaze from a movie of a face, at its speed, or from the pictures of a \
sequence, one a frame"""

    bl_idname = "lca.face_from_video"
    bl_label = "Face from Video"
    bl_options = {"UNDO"}  # REGISTER would offer a redo panel that reads the whole video again

    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    from_rest: BoolProperty(
        name="Starts Neutral",
        description="The first picture shows a neutral face that looks straight ahead: its values are "
        "subtracted from all others",
        default=True,
    )
    strength: FloatProperty(
        name="Strength",
        description="Factor on the slider values, which are read lower than they are",
        default=1.5,
        min=0.0,
        soft_max=4.0,
    )
    smoothing: FloatProperty(
        name="Smoothing",
        description="Temporal smoothing window, in seconds",
        default=0.05,
        min=0.0,
        soft_max=0.5,
        unit="TIME_ABSOLUTE",
    )

    _avatar = 0  # its session_uid: names and the shown scene may change while the video is read

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super().poll(context) and needs_avatar(cls, context)

    def prepare(self, context: bpy.types.Context) -> Target:
        pictures = sorted(chosen_files(self), key=_number_key)
        if not pictures:
            raise UserError("No movie and no picture was chosen.", "Choose a movie or a picture sequence.")
        need_torch()
        self.start_now(context)
        require_frames(active_avatar(context))
        self._avatar = active_avatar(context).session_uid
        rate = context.scene.render.fps / context.scene.render.fps_base
        from_rest, smoothing, strength = self.from_rest, self.smoothing, self.strength

        def work(progress, cancelled):
            from ..backend.face_from_video import face_from_video

            read = face_from_video(pictures, rate, progress=progress, cancelled=cancelled)
            even = read.at_rate(rate).smoothed(smoothing)
            return (even.from_rest() if from_rest else even).stronger(strength)

        return work

    def finish(self, context: bpy.types.Context, result) -> None:
        from ..scene.performance import key_performance

        named = (obj for obj in bpy.data.objects if obj.session_uid == self._avatar and obj.users_scene)
        avatar = next(named, None)
        if avatar is None:
            raise UserError("The avatar was deleted while the video was read; nothing was keyed.")
        require_frames(avatar)
        key_performance(avatar, result, self.start)
        avatar.update_tag(refresh={"TIME"})  # shows the current frame's face, not the last keyed one
        last = self.start + len(result.seconds) - 1
        self.report({"INFO"}, f"{avatar.name}: face keyed on frames {self.start} to {last}")
        for remark in result.remarks:
            self.report({"WARNING"}, remark)
        if result.missed:
            self.report({"WARNING"}, f"{result.missed} pictures show no face; their keys are interpolated.")


def _number_key(path: Path) -> tuple:
    """Sorts shot_2 before shot_10."""
    digits = "".join(letter if letter.isdecimal() else " " for letter in path.stem).split()
    return path.parent, [int(number) for number in digits], path.name


CLASSES = (LCA_OT_face_from_video,)
