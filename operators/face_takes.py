# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured faces: keys from CSV files of Live Link Face or JSON lines, and such files from keys."""

from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    StringProperty,
)

from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar, load_avatar
from ..scene.face import require_frames
from .common import Attempt, OnAvatar, SaveDialog, StartsNow, beside_blend, need_torch, writable

MOST_FRAMES = 100_000
SUFFIXES = {"CSV": ".csv", "LINES": ".jsonl"}


class LCA_OT_import_face(StartsNow, OnAvatar, Attempt, bpy.types.Operator):
    """Key the face, the gaze and the head from a CSV of Live Link Face, or from JSON lines"""

    bl_idname = "lca.import_face"
    bl_label = "Face from CSV"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.csv;*.jsonl;*.json;*.txt", options={"HIDDEN"})
    rate: FloatProperty(
        name="Frame Rate",
        description="Frames a second in the CSV's timecodes, which the file does not say; 0: the smallest "
        "usual rate that its frame numbers allow",
        default=0.0,
        min=0.0,
        max=1000.0,
    )
    gain: FloatProperty(name="Gain", description="Factor on the sliders", default=1.0, min=0.0, soft_max=4.0)
    offset: FloatProperty(
        name="Offset",
        description="Added to every slider before the gain: below 0 it takes out a constant",
        default=0.0,
        min=-1.0,
        max=1.0,
    )
    from_rest: BoolProperty(
        name="Starts Neutral",
        description="The first moment shows a neutral face that looks straight ahead: its values are "
        "subtracted from all others",
        default=False,
    )
    smoothing: FloatProperty(
        name="Smoothing",
        description="Temporal smoothing window, in seconds",
        default=0.0,
        min=0.0,
        soft_max=0.5,
        unit="TIME_ABSOLUTE",
    )
    head: FloatVectorProperty(
        name="Head",
        description="Factors on the head's yaw, pitch and roll, which are keyed on the rig's neck and head: "
        "0 leaves them out, below 0 they turn the other way",
        size=3,
        default=(1.0, 1.0, 1.0),
        soft_min=-1.0,
        soft_max=2.0,
    )

    def perform(self, context: bpy.types.Context) -> None:
        from ..backend.face.lines import read_face
        from ..scene.performance import key_performance

        avatar, scene = active_avatar(context), context.scene
        self.start_now(context)
        for obj in filter(None, (avatar, avatar.lca.armature)):
            require_frames(obj)
        rate = scene.render.fps / scene.render.fps_base
        read = read_face(bpy.path.abspath(self.filepath), self.rate)
        even = read.at_rate(rate).smoothed(self.smoothing)
        even = (even.from_rest() if self.from_rest else even).stronger(self.gain, self.offset)
        if even.head is not None and any(self.head):
            need_torch()
            load_avatar(avatar)  # it turns the head: a missing file stops here, before anything is keyed
        key_performance(avatar, even, self.start)
        if even.head is not None and any(self.head):
            self._key_head(context, avatar, even.head * self.head)
        avatar.update_tag(refresh={"TIME"})
        last = self.start + len(even.seconds) - 1
        self.report({"INFO"}, f"{avatar.name}: face keyed on frames {self.start} to {last}")
        for remark in read.remarks:
            self.report({"WARNING"}, remark)
        if read.missed:
            self.report({"WARNING"}, f"{read.missed} rows could not be used; their moments are interpolated.")

    def _key_head(self, context: bpy.types.Context, avatar: bpy.types.Object, head) -> None:
        from ..scene.performance import key_head

        if avatar.lca.armature is None:
            self.report({"WARNING"}, "The head's turns were left out: the avatar is bound to no armature.")
        elif not key_head(avatar, head, self.start, context.evaluated_depsgraph_get()):
            self.report(
                {"WARNING"},
                "The head's turns were left out: the rig's neck and head are moved by constraints.",
            )


class LCA_OT_export_face(OnAvatar, Attempt, SaveDialog, bpy.types.Operator):
    """Write the face's animation as Live Link Face does, or as JSON lines, from the scene's frames"""

    bl_idname = "lca.export_face"
    bl_label = "Export Face"
    bl_options = {"REGISTER"}

    kind: EnumProperty(
        name="Format",
        items=[
            ("CSV", "Live Link Face (.csv)", "For Unreal and other programs that read Live Link Face"),
            ("LINES", "JSON Lines (.jsonl)", "All angles in this project's axes; nothing is lost"),
        ],
    )
    filter_glob: StringProperty(default="*.csv;*.jsonl", options={"HIDDEN"})

    @property
    def suffix(self) -> str:
        return SUFFIXES[self.kind]

    def check(self, context) -> bool:
        """Changes the suffix with the format."""
        typed = self.filepath
        for suffix in set(SUFFIXES.values()) - {self.suffix}:
            self.filepath = self.filepath.removesuffix(suffix)
        super().check(context)
        return self.filepath != typed

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.filepath = bpy.path.clean_name(active_avatar(context).name)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def perform(self, context: bpy.types.Context) -> None:
        need_torch()
        from ..backend.face.lines import write_face_lines
        from ..backend.face.live_link import write_live_link
        from ..scene.performance import recorded

        avatar, scene = active_avatar(context), context.scene
        frames = range(scene.frame_start, scene.frame_end + 1)
        if len(frames) > MOST_FRAMES:
            raise UserError(f"The scene has more than {MOST_FRAMES} frames.", "Shorten its frame range.")
        path = writable(self.path() if self.filepath else beside_blend(avatar.name + self.suffix))
        rate = scene.render.fps / scene.render.fps_base
        performance = recorded(context, avatar, frames, rate)
        if self.kind == "CSV":
            write_live_link(path, performance, rate)
        else:
            write_face_lines(path, performance)
        self.report({"INFO"}, f"{Path(path).name}: {len(frames)} frames")


CLASSES = (LCA_OT_import_face, LCA_OT_export_face)
