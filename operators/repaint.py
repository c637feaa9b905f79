# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the avatar to paint on, and what was painted as the avatar's colours."""

from pathlib import Path

import bpy
import numpy as np
from bpy.props import IntProperty, StringProperty

from ..backend.errors import UserError
from ..backend.jobs import Target
from ..scene.avatar_data import active_avatar, avatar_path, is_packed, load_avatar
from ..scene.avatar_object import change_look
from ..scene.erased import erased
from .common import Attempt, OnAvatar, SaveDialog, beside_blend, need_torch, needs_avatar, unused, writable
from .create_avatar import SUFFIX
from .running import LongWork

MARK = "_repainted"


class LCA_OT_render_for_repaint(OnAvatar, Attempt, SaveDialog, bpy.types.Operator):
    """Write a picture of the avatar as this view shows it, to paint on here or in another program"""

    bl_idname = "lca.render_for_repaint"
    bl_label = "Render View for Repaint"
    bl_options = {"REGISTER", "UNDO"}
    suffix = ".png"

    size: IntProperty(
        name="Size",
        description="Pixels of the picture's longer side; of a camera's view, the render's own size is used",
        default=2048,
        min=64,
        max=8192,
    )
    filter_glob: StringProperty(default="*.png", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self.filepath and not bpy.data.filepath:
            self.filepath = self._name(context)  # an unsaved .blend has no folder: ask
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        return self.execute(context)

    def perform(self, context: bpy.types.Context) -> None:
        path = self.path() if self.filepath else beside_blend(self._name(context))
        obj, graph = active_avatar(context), context.evaluated_depsgraph_get()
        writable(path)
        need_torch()
        from PIL import Image

        from ..backend.files import replacing
        from ..scene.painted_view import painted_view

        view = painted_view(obj, graph, self._camera(context, graph))
        with replacing(path) as temporary:
            Image.fromarray(view.picture).save(temporary, "PNG")
        image = bpy.data.images.load(str(path), check_existing=True)
        image.reload()
        image.lca_view = view.text()
        obj.lca.painted = image
        for area in context.screen.areas if context.screen else ():
            if area.type == "IMAGE_EDITOR":
                area.spaces.active.image = image
        self.report({"INFO"}, f"Paint on {path.name}, then press Repaint")

    def _name(self, context: bpy.types.Context) -> str:
        return f"{bpy.path.clean_name(active_avatar(context).name)}_paint{self.suffix}"

    def _camera(self, context: bpy.types.Context, graph: bpy.types.Depsgraph):
        """The 3D view's own, or that of the camera that it looks through, or the scene's."""
        from ..scene.camera import render_camera, viewport_camera

        space, region = context.space_data, None
        if space is not None and space.type == "VIEW_3D":
            region = next(one for one in context.area.regions if one.type == "WINDOW")
        if region is None or space.region_3d.view_perspective == "CAMERA":
            camera = space.camera if region is not None else context.scene.camera
            if camera is None:
                raise UserError("This scene has no camera.", "Add one, or press the button in a 3D view.")
            return render_camera(camera.evaluated_get(graph), context.scene.render)
        view = space.region_3d
        scale = self.size / max(region.width, region.height)
        pixels = (max(1, round(scale * side)) for side in (region.width, region.height))
        return viewport_camera(np.array(view.view_matrix), np.array(view.window_matrix), *pixels)


class LCA_OT_repaint(LongWork, SaveDialog, bpy.types.Operator):
    """Make what was painted on the picture the avatar's colours; written as a new avatar file"""

    bl_idname = "lca.repaint"
    bl_label = "Repaint"
    bl_options = {"UNDO"}
    suffix = SUFFIX

    image: StringProperty(
        name="Picture",
        description="Name of the picture, made by Render View for Repaint; empty: the avatar's last one",
        options={"SKIP_SAVE"},
    )
    _uid = 0  # the avatar object's: it may be renamed meanwhile

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super().poll(context) and needs_avatar(cls, context)

    def prepare(self, context: bpy.types.Context) -> Target:
        obj = active_avatar(context)
        image = bpy.data.images.get(self.image) if self.image else obj.lca.painted
        if image is None or not image.lca_view:
            raise UserError("There is no picture to repaint from.", "Press Render View for Repaint first.")
        need_torch()
        from ..scene.erased import shown_avatar
        from ..scene.painted_view import PaintedView, pixels_of

        view, after = PaintedView.read(image.lca_view), pixels_of(image)
        height, width = after.shape[:2]
        if after.shape != view.picture.shape:
            raise UserError(
                f"“{image.name}” is {width} x {height} pixels, but was rendered as {view.camera.width} x "
                f"{view.camera.height}.",
                "Save it in its own size, or render it again.",
            )
        data, path = load_avatar(obj), self._path(obj)
        splats, rows = view.splats(obj, shown_avatar(obj)), np.flatnonzero(~erased(obj, data))
        before = view.picture / np.float32(255)
        self._uid = obj.session_uid

        def work(progress, _cancelled):
            from ..backend.avatar import Avatar
            from ..backend.likeness.repaint import repainted
            from ..backend.model.create import with_thumbnail

            progress(0.0, "Painting the avatar")
            part = lambda done: progress(0.9 * done)  # noqa: E731
            made, count = repainted(data, rows, splats, view.camera, before, after, part)
            progress(0.9, "Writing the avatar")
            with_thumbnail(made).save(path)
            return path, Avatar.load(path), count

        return work

    def finish(self, context: bpy.types.Context, result) -> None:
        path, avatar, count = result
        obj = next((o for o in context.scene.objects if o.session_uid == self._uid), None)
        if obj is None:
            raise UserError(f"The avatar was deleted meanwhile; its new file is {path.name}.")
        change_look(obj, avatar, path)
        self.report({"INFO"}, f"{count:,} Gaussians repainted, written to {path.name}")

    def _path(self, obj: bpy.types.Object) -> Path:
        """The file to write, beside the avatar's own, or beside the .blend that the avatar is packed in."""
        if self.filepath:
            path = self.path()
            if not is_packed(obj) and path.resolve() == avatar_path(obj).resolve():
                raise UserError(f"{path.name} is the avatar as it is now.", "Give another name.")
            return writable(path)
        if is_packed(obj):
            return writable(beside_blend(bpy.path.clean_name(obj.name) + MARK + SUFFIX))
        old = avatar_path(obj)
        return writable(unused(old.with_name(old.stem.split(MARK)[0] + MARK + SUFFIX)))


CLASSES = (LCA_OT_render_for_repaint, LCA_OT_repaint)
