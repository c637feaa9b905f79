# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a photo behind the avatar, and keeps the pose that an artist gives it there for *Create Avatar*."""

from pathlib import Path

import bpy
import numpy as np

from ..backend.body.arkit import ARKIT_NAMES
from ..backend.errors import UserError
from ..scene.avatar_data import active_avatar, load_avatar, present_rig
from .common import Attempt, need_torch, needs_avatar
from .photo_report import active_photo

BY_HAND = "The rig's controls move its bones: pose it by hand."


def given_poses(scene: bpy.types.Scene) -> dict:
    """File name -> `PhotoPose`, for the photos in the list whose pose the artist has set."""
    from ..backend.imaging.fit.photo_pose import PhotoPose

    given = [photo for photo in scene.lca.photos if photo.given]
    return {Path(photo.path).name: PhotoPose.read(photo.given) for photo in given}


class PhotoOperator(Attempt):
    """Mixin: works on the photo that is selected in the list, and the active avatar, on its rig."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        photo = active_photo(context.scene)
        if photo is None or not photo.pose:
            cls.poll_message_set("Create an avatar first, and select a photo that was used")
            return False
        return needs_avatar(cls, context)

    def perform(self, context: bpy.types.Context) -> None:
        obj = active_avatar(context)
        if present_rig(obj, context.scene) is None:
            raise UserError(f"“{obj.name}” has no rig to pose.", "Bind it to an armature first.")
        need_torch()
        self.work(context, active_photo(context.scene), obj, load_avatar(obj))


class LCA_OT_show_photo(PhotoOperator, bpy.types.Operator):
    """Show the photo behind the avatar, by a camera that stands as the photo's, and pose the rig as in it"""

    bl_idname = "lca.show_photo"
    bl_label = "Show Photo"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, photo, obj: bpy.types.Object, avatar) -> None:
        from ..backend.imaging.fit.photo_pose import PhotoPose
        from ..scene import photo_camera

        pose = PhotoPose.read(photo.given or photo.pose)
        camera, new = photo.camera, photo.camera is None or photo.camera.name not in context.scene.objects
        if new:
            name = f"Photo {Path(photo.path).stem}"
            camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        try:
            image = photo_camera.show_picture(camera, Path(photo.upright))
        except UserError:
            if new:
                bpy.data.cameras.remove(camera.data)
            raise
        if new:
            context.collection.objects.link(camera)
            photo.camera = camera
        self._pose(context, obj, avatar, pose)
        joints = photo_camera.joints_in_world(obj, avatar, context.evaluated_depsgraph_get())
        photo_camera.place_camera(camera, pose, joints, avatar.joint_heads.numpy())
        photo_camera.set_lens(camera, pose.focal, tuple(image.size), context.scene.render)
        view = context.space_data
        if view is not None and view.type == "VIEW_3D":
            view.use_local_camera, view.camera = True, camera
            view.region_3d.view_perspective = "CAMERA"
        elif context.scene.camera is None:
            context.scene.camera = camera

    def _pose(self, context: bpy.types.Context, obj: bpy.types.Object, avatar, pose) -> None:
        """Rig, face and gaze as in the photo; the rig's pelvis stays where it is."""
        from ..scene.evaluate import bound_bones, pose_of, resting
        from ..scene.posing import can_be_posed, pose_rig
        from ..scene.rest_pose import applied

        rig, pairs, graph = obj.lca.armature, bound_bones(obj), context.evaluated_depsgraph_get()
        if can_be_posed(rig, pairs):
            turns = pose.fit((2, 2)).frames().turn
            now = pose_of(obj, avatar, graph)
            pose_rig(rig, graph, now.binding, resting(avatar, now, applied(obj.data)), pairs, turns)
        else:
            self.report({"WARNING"}, BY_HAND)
        for name, value in zip(ARKIT_NAMES, pose.expression, strict=True):
            setattr(obj.lca.expression, name, value)
        obj.lca.gaze = pose.gaze.mean(0)
        obj.lca.gaze_left, obj.lca.gaze_right = pose.gaze - pose.gaze.mean(0)
        context.view_layer.update()


class LCA_OT_use_pose(PhotoOperator, bpy.types.Operator):
    """Take the avatar's pose now, and the photo's camera as it stands, when the avatar is created again"""

    bl_idname = "lca.use_pose"
    bl_label = "Use This Pose for Photo"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, photo, obj: bpy.types.Object, avatar) -> None:
        from ..backend.imaging.fit.photo_pose import PhotoPose
        from ..scene import photo_camera
        from ..scene.gaze import own_gaze

        camera = photo.camera
        if camera is None or camera.name not in context.scene.objects:
            raise UserError(
                f"{Path(photo.path).name} has no camera in this scene.", "Press Show Photo first."
            )
        graph = context.evaluated_depsgraph_get()
        image, face = photo_camera.show_picture(camera, Path()), obj.evaluated_get(graph).lca
        pose = photo_camera.seen_pose(
            camera.evaluated_get(graph),
            photo_camera.joints_in_world(obj, avatar, graph),
            avatar.joint_heads.numpy(),
            focal=photo_camera.focal_of(camera, tuple(image.size), context.scene.render),
            expression=np.array([getattr(face.expression, name) for name in ARKIT_NAMES]),
            gaze=own_gaze(face),
            betas=PhotoPose.read(photo.given or photo.pose).betas,
        )
        photo.given = pose.text()
        self.report({"INFO"}, "The pose is used when the avatar is created again")


class LCA_OT_forget_pose(Attempt, bpy.types.Operator):
    """Let the pose in this photo be found again, as in the others"""

    bl_idname = "lca.forget_pose"
    bl_label = "Forget Pose"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        photo = active_photo(context.scene)
        return photo is not None and bool(photo.given)

    def perform(self, context: bpy.types.Context) -> None:
        active_photo(context.scene).given = ""


CLASSES = (LCA_OT_show_photo, LCA_OT_use_pose, LCA_OT_forget_pose)
