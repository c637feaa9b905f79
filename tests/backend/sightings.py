# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies whose every parameter is known, and what a perfect observer would say of a photo of them."""

import numpy as np
from lca_blender.backend.body.pose import rotation_matrices
from lca_blender.backend.body.skeleton import INDEX as JOINT
from lca_blender.backend.body.template import load_template
from lca_blender.backend.imaging.fit.evidence import JOINTS, feet_places
from lca_blender.backend.imaging.fit.model import EXPRESSIONS, BodyFit, fit_model
from lca_blender.backend.imaging.landmarks.face import Face
from lca_blender.backend.imaging.landmarks.pose import INDEX, NAMES, Pose
from lca_blender.backend.imaging.landmarks.regions import Region
from lca_blender.backend.imaging.sighting import Sighting
from lca_blender.backend.raster.mesh_faces import rasterize_mesh
from lca_blender.backend.training.people.poses import random_pose

HEIGHT, WIDTH = 480, 360
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # template axes -> camera axes, facing the camera


def shape(**values: float) -> np.ndarray:
    """[S] coefficients of the template's shapes, zero but for those given by name."""
    names = load_template().shape_names
    return np.array([values.get(name, 0.0) for name in names])


def known(number: int, yaw: float = 0.0, betas=None, expression=None, size=(HEIGHT, WIDTH)) -> BodyFit:
    """A body in a random pose, turned by `yaw` degrees, 3.2 m before a camera of about 40 degrees."""
    rng = np.random.default_rng(number)
    rotations = random_pose(rng).rotations.astype(np.float64)
    local = np.asarray(rotation_matrices(rotations), np.float64)
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    local[0] = UPRIGHT @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ local[0]
    local[[JOINT["jaw"], JOINT["eye.L"], JOINT["eye.R"]]] = np.eye(3)
    translation = np.array([0.05, -0.05, 3.2]) - load_template().joint_heads[0]
    return BodyFit(
        local,
        translation,
        1.4 * max(size),
        (size[1] / 2, size[0] / 2),
        shape() if betas is None else betas,
        np.zeros(EXPRESSIONS) if expression is None else expression,
    )


def drawn(fit: BodyFit, size=(HEIGHT, WIDTH)):
    """The z-buffer of a body in a photo of this size."""
    return rasterize_mesh(fit.vertices(), fit_model().faces, np.eye(4), fit.K, size[1], size[0])


def observed(fit: BodyFit, face: bool = True, noise: float = 0.0, size=(HEIGHT, WIDTH)) -> Sighting:
    """Landmarks, mask and face of a body, `noise` pixels off; the face where it looks at the camera."""
    rng = np.random.default_rng(1)
    points, joints, model = np.zeros((len(NAMES), 3)), fit.joints(), fit_model()
    for side, suffix in (("left", "L"), ("right", "R")):
        for joint, (landmark, _) in JOINTS.items():
            points[INDEX[f"{side}_{landmark}"]] = joints[JOINT[f"{joint}.{suffix}"]]
    for name, place in feet_places().items():
        points[INDEX[name]] = fit.posed(model.attached(place[None]))[0]
    known_rows = points.any(1)
    pixels = np.zeros_like(points)
    pixels[:, :2] = fit.project(points) - 0.5 + rng.normal(0, noise, (len(points), 2))
    seen = np.where(known_rows, 1.0, 0.0)
    hips = (points[INDEX["left_hip"]] + points[INDEX["right_hip"]]) / 2
    mask = (drawn(fit, size).face >= 0).astype(np.float32)
    pose = Pose(1.0, pixels, seen, seen, points - hips, mask, np.zeros((2, 2)), Region(0, 0, 1, 1))
    return Sighting(
        rgb=np.full((*size, 3), 0.5, np.float32),
        matte=mask,
        pose=pose,
        face=_face(fit, noise, rng) if face else None,
        hands={"left": None, "right": None},
    )


def _face(fit: BodyFit, noise: float, rng) -> Face | None:
    towards = -(fit.frames().turn[JOINT["head"]] @ (0, -1, 0))[2]
    if towards < 0.5:
        return None
    points = fit.posed(fit_model().face)
    pixels = np.concatenate([fit.project(points) - 0.5, points[:, 2:] * fit.focal / points[:, 2:].mean()], 1)
    pixels[:, :2] += rng.normal(0, noise, (len(pixels), 2))
    return Face(1.0, pixels, Region(0, 0, 1, 1))
