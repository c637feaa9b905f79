# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's cameras and viewports as pinhole (or parallel) cameras in OpenCV's axes."""

from typing import NamedTuple

import bpy
import numpy as np

from ..backend.errors import UserError
from ..backend.raster.camera import Camera

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


class Frame(NamedTuple):
    """The picture's size in pixels and the rendered part of it, counted from the bottom left corner."""

    width: int
    height: int
    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def of(cls, render: bpy.types.RenderSettings) -> "Frame":
        """The picture of these render settings; sizes and borders are truncated as Blender truncates them."""
        width = int(render.resolution_x * render.resolution_percentage / 100)
        height = int(render.resolution_y * render.resolution_percentage / 100)
        if not render.use_border:
            return cls(width, height, 0, 0, width, height)
        frame = cls(
            width,
            height,
            int(render.border_min_x * width),
            int(render.border_min_y * height),
            int(render.border_max_x * width),
            int(render.border_max_y * height),
        )
        if frame.x1 <= frame.x0 or frame.y1 <= frame.y0:
            raise UserError("The render region contains no pixel.", "Draw a larger region, or clear it.")
        return frame


def intrinsics(
    camera: bpy.types.Object, render: bpy.types.RenderSettings, shift_x: float | None = None
) -> np.ndarray:
    """K [3,3] float64 of the whole picture: pixels, y down, pixel centres at +0.5.

    For an orthographic camera fx and fy are pixels per metre. `shift_x` replaces the camera's own.
    The formulas are those of Blender's `BKE_camera_params`: the fitted side of the sensor maps to the
    fitted side of the picture.
    """
    data, frame = camera.data, Frame.of(render)
    ax, ay = render.pixel_aspect_x, render.pixel_aspect_y
    if data.type not in {"PERSP", "ORTHO"}:
        raise UserError(
            f"The camera \u201c{camera.name}\u201d is of a type that LCA Gaussians does not render.",
            "Set the camera to Perspective or Orthographic.",
        )
    fit = data.sensor_fit
    horizontal = frame.width * ax >= frame.height * ay if fit == "AUTO" else fit == "HORIZONTAL"
    sensor = data.sensor_width if fit == "AUTO" or horizontal else data.sensor_height
    view = frame.width * ax if horizontal else frame.height * ay
    scale = view / data.ortho_scale if data.type == "ORTHO" else view * data.lens / sensor
    cx = frame.width / 2 - (data.shift_x if shift_x is None else shift_x) * view / ax
    cy = frame.height / 2 + data.shift_y * view / ay
    return np.array([[scale / ax, 0, cx], [0, scale / ay, cy], [0, 0, 1]])


def view_matrix(world) -> np.ndarray:
    """World to camera [4,4] float64 in OpenCV's axes, of a camera's world matrix without scale."""
    return OPENCV_FROM_OPENGL @ np.linalg.inv(np.array(world, dtype=np.float64))


def render_camera(
    camera: bpy.types.Object, render: bpy.types.RenderSettings, matrix=None, shift_x: float | None = None
) -> Camera:
    """The rendered part of a camera object's view; `camera` is evaluated.

    `matrix` (to the world, without scale) and `shift_x` of a stereo view replace the camera's own. Scale
    is ignored, as in Blender.
    """
    frame = Frame.of(render)
    data = camera.data
    whole = Camera(
        view_matrix(camera.matrix_world.normalized() if matrix is None else matrix),
        intrinsics(camera, render, shift_x),
        frame.width,
        frame.height,
        orthographic=data.type == "ORTHO",
        near=data.clip_start,
    )
    return whole.crop(frame.x0, frame.height - frame.y1, frame.x1 - frame.x0, frame.y1 - frame.y0)


def lens_of(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> tuple[float, float] | None:
    """Radius of the aperture and distance along the view to the plane in focus, metres, of an evaluated
    camera; None without depth of field. Formulas of `BKE_camera_object_dof_distance` and of Cycles."""
    data = camera.data
    dof = data.dof
    if not dof.use_dof or dof.aperture_fstop <= 0:
        return None
    focus = dof.focus_distance
    if dof.focus_object is not None:
        target = dof.focus_object.evaluated_get(depsgraph).matrix_world
        bone = dof.focus_object.pose and dof.focus_object.pose.bones.get(dof.focus_subtarget)
        place = (target @ bone.matrix if bone else target).translation
        matrix = camera.matrix_world.normalized()
        focus = abs((place - matrix.translation).dot(matrix.col[2].to_3d()))
    length = 1.0 if data.type == "ORTHO" else data.lens / 1000
    return length / (2 * dof.aperture_fstop), max(focus, 1e-4)


def viewport_camera(view: np.ndarray, projection: np.ndarray, width: int, height: int) -> Camera:
    """The camera of a 3D view, in any of its projections.

    `view` and `projection` [4,4] are the region's OpenGL matrices; the projection shows whether it is
    orthographic. width, height: pixels of the wanted picture, which may be smaller than the region.
    """
    P = np.asarray(projection, dtype=np.float64)
    parallel = P[3, 3] == 1.0
    fx, fy = P[0, 0] * width / 2, P[1, 1] * height / 2
    right, up = (P[0, 3], P[1, 3]) if parallel else (-P[0, 2], -P[1, 2])
    K = np.array([[fx, 0, width / 2 * (1 + right)], [0, fy, height / 2 * (1 - up)], [0, 0, 1]])
    near = (P[2, 3] + 1) / P[2, 2] if parallel else P[2, 3] / (P[2, 2] - 1)
    viewmat = OPENCV_FROM_OPENGL @ np.asarray(view, dtype=np.float64)
    return Camera(viewmat, K, width, height, orthographic=bool(parallel), near=float(near))
