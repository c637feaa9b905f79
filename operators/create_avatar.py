# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates an avatar from photos and films: the file beside the .blend, the object at the 3D cursor."""

from pathlib import Path
from queue import Empty, SimpleQueue

import bpy
from bpy.props import BoolProperty, CollectionProperty, IntProperty, StringProperty

from ..backend.errors import UserError
from ..backend.from_photos import LEAST
from ..backend.imaging.accepted import KEEP
from ..backend.jobs import Target
from ..preferences import preferences, torch_device
from ..scene.avatar_data import avatar_path, is_avatar
from ..scene.avatar_object import change_avatar
from .added import add_avatar
from .common import SaveDialog, beside_blend, need_torch, writable
from .photo_pose import given_poses
from .photo_report import chosen_people, report_folder, show_report
from .photos import waiting_photos
from .running import LongWork
from .show_avatar import show_avatars

SUFFIX = ".lca"


class LCA_OT_create_avatar(LongWork, SaveDialog, bpy.types.Operator):
    """Create an animatable avatar of the person in the photos and films"""

    bl_idname = "lca.create_avatar"
    bl_label = "Create Avatar"
    bl_options = {"UNDO"}
    suffix = SUFFIX

    # Not named `files`: the file browser would fill it with the name of the avatar to write.
    photos: CollectionProperty(
        name="Photos",
        description="Paths of photos and films, instead of those in the scene's list",
        type=bpy.types.OperatorFileListElement,
        options={"HIDDEN", "SKIP_SAVE"},
    )
    model: StringProperty(
        name="Model",
        description="A trained model; empty: the one of the preferences, else the bundled one",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    frames: IntProperty(
        name="Frames",
        description="The most frames that are used of films, together; photos and frames are 16 at most",
        default=KEEP,
        min=1,
        max=KEEP,
    )
    refine: BoolProperty(
        name="Refine",
        description="Bring the avatar closer to the photos after it is first shown; takes up to some minutes",
        default=True,
    )
    budget: IntProperty(
        name="Budget",
        description="The most Gaussians for the photos' pixels; 0: as the panel says",
        default=0,
        min=0,
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(default=f"*{SUFFIX}", options={"HIDDEN"})
    _first: SimpleQueue | None = None
    _shown = ""  # name of the object that stands for the avatar while it is refined

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self.filepath and not bpy.data.filepath and not bpy.app.background:
            self.filepath = f"avatar{SUFFIX}"  # an unsaved .blend has no folder: ask
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        return self.execute(context)

    def prepare(self, context: bpy.types.Context) -> Target:
        given = [Path(bpy.path.abspath(photo.name)) for photo in self.photos if photo.name]
        photos = given or waiting_photos(context.scene)
        if not photos:
            raise UserError("There are no photos yet.", "Add photos of one person, or a film, to the list.")
        need_torch()
        path = self._path(photos)
        model = bpy.path.abspath(self.model or preferences().model) or "starter"
        device, people, folder = torch_device(), chosen_people(context.scene), report_folder()
        frames, poses, refine = self.frames, given_poses(context.scene), self.refine
        budget = self.budget or context.scene.lca.budget or None
        if budget is not None and budget < LEAST:
            raise UserError(f"A budget of {budget:,} Gaussians is too small.", f"Give {LEAST:,}, or 0.")
        self._first = SimpleQueue()
        first = self._first.put if self.in_background else None

        def work(progress, cancelled):
            from ..backend.from_photos import avatar_from_photos

            avatar = avatar_from_photos(
                photos, path, model, device, progress, cancelled, people=people, report_folder=folder,
                frames=frames, poses=poses, refine=refine, first=first, budget=budget,
            )  # fmt: skip
            return path, avatar, folder

        self._written = path
        return work

    def tick(self, context: bpy.types.Context) -> None:
        """Shows the avatar as soon as there is one; it is refined further."""
        try:
            avatar = self._first.get_nowait()
        except Empty:
            return
        self._shown = self._add(context, avatar, self._written).name
        self.changed = True

    def finish(self, context: bpy.types.Context, result) -> None:
        path, avatar, folder = result
        obj = bpy.data.objects.get(self._shown)
        if obj is not None and is_avatar(obj) and avatar_path(obj) == path:
            change_avatar(obj, avatar, path)
        else:
            obj = self._add(context, avatar, path)
        show_report(context.scene, folder)
        count = len(avatar.means)
        self.report({"INFO"}, f"{obj.name}: {count:,} Gaussians, written to {path.name}")
        for line in obj.lca.warnings.splitlines():
            self.report({"WARNING"}, line)

    def _add(self, context: bpy.types.Context, avatar, path: Path) -> bpy.types.Object:
        obj = add_avatar(context, avatar, path)
        if self.in_background and not bpy.data.filepath and preferences().show_new:
            show_avatars(context)
        return obj

    def _path(self, photos: list[Path]) -> Path:
        """The file to write; UserError before any work for a folder that cannot be written to."""
        path = self.path() if self.filepath else beside_blend(f"{photos[0].parent.name or 'avatar'}{SUFFIX}")
        return writable(path)


CLASSES = (LCA_OT_create_avatar,)
