# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo's camera in the scene, which shows the photo behind the avatar, and what it sees of the avatar."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.body.rotations import nearest_rotation
from ..backend.errors import UserError
from .camera import OPENCV_FROM_OPENGL, Frame, intrinsics, view_matrix
from .evaluate import joint_matrices, pose_of
from .rest_pose import applied


def joints_in_world(obj: bpy.types.Object, avatar, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Skinning matrices [J,4,4] of an avatar object, from the canonical pose to the world."""
    world = np.array(obj.evaluated_get(depsgraph).matrix_world, np.float64)
    return world @ joint_matrices(avatar, pose_of(obj, avatar, depsgraph), applied(obj.data))


def place_camera(camera: bpy.types.Object, pose, joints: np.ndarray, heads: np.ndarray) -> None:
    """Moves a camera to where it sees an avatar's pelvis as a `PhotoPose` says, in the photo's size.

    joints: `joints_in_world`; heads [J,3]: the avatar's joints in the canonical pose.
    """
    places = np.einsum("jab,jb->ja", joints[:, :3, :3], heads) + joints[:, :3, 3]
    own = nearest_rotation(joints[0, :3, :3])
    view = np.eye(4)
    view[:3, :3] = pose.fit((2, 2)).local[0] @ own.T
    view[:3, 3] = pose.scale(places) * pose.pelvis - view[:3, :3] @ places[0]
    camera.matrix_world = Matrix((np.linalg.inv(view) @ OPENCV_FROM_OPENGL).tolist())


def set_lens(camera: bpy.types.Object, focal: float, size: tuple[int, int], render) -> None:
    """The focal length, given over the longer side of a photo of size (width, height), which the frame holds
    whole."""
    data, frame = camera.data, Frame.of(render)
    wide = size[0] * frame.height * render.pixel_aspect_y >= size[1] * frame.width * render.pixel_aspect_x
    data.type, data.shift_x, data.shift_y = "PERSP", 0.0, 0.0
    data.sensor_fit = "HORIZONTAL" if wide else "VERTICAL"
    sensor, side = (data.sensor_width, size[0]) if wide else (data.sensor_height, size[1])
    data.lens = focal * max(size) / side * sensor


def focal_of(camera: bpy.types.Object, size: tuple[int, int], render) -> float:
    """What `set_lens` sets. UserError for a camera that is shifted or not in perspective."""
    data, frame = camera.data, Frame.of(render)
    if data.type != "PERSP" or data.shift_x or data.shift_y:
        raise UserError(
            f"“{camera.name}” must be a perspective camera without shift.", "Press Show Photo for a new one."
        )
    aspects = np.array([render.pixel_aspect_x, render.pixel_aspect_y])
    scale = (np.array([frame.width, frame.height]) * aspects / size).min()  # of the photo in the frame
    return float(intrinsics(camera, render)[0, 0] * aspects[0] / scale / max(size))


def show_picture(camera: bpy.types.Object, path: Path) -> bpy.types.Image:
    """Puts a picture behind what a camera shows, packed into the .blend; the one that is there already where
    the file is gone. UserError where there is none."""
    shown = camera.data.background_images
    if not path.is_file():
        old = next((one.image for one in shown if one.image), None)
        if old is None:
            raise UserError("The photo's picture no longer exists.", "Create the avatar again.")
        return old
    image = bpy.data.images.load(str(path), check_existing=True)
    image.pack()
    shown.clear()
    picture = shown.new()
    picture.image, picture.frame_method, picture.alpha, picture.display_depth = image, "FIT", 1.0, "BACK"
    camera.data.show_background_images = True
    return image


def seen_pose(camera: bpy.types.Object, joints: np.ndarray, heads: np.ndarray, **values):
    """The `PhotoPose` in which a camera sees an avatar; values: as `PhotoPose.of_transforms` takes them."""
    from ..backend.imaging.fit.photo_pose import PhotoPose

    seen = view_matrix(camera.matrix_world.normalized()) @ joints
    if not np.linalg.det(seen[0, :3, :3]) > 0:
        raise UserError(
            "The avatar is mirrored, or scaled to nothing.", "Give it and its rig positive scales."
        )
    pose = PhotoPose.of_transforms(seen, heads, **values)
    if pose.pelvis[2] <= 0:
        raise UserError(f"The avatar is behind “{camera.name}”.", "Move the camera, or press Show Photo.")
    return pose
