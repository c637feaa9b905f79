# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's pose in a photo and the photo's camera, as a text: found by the fit, or set by an artist."""

import json
from dataclasses import dataclass, fields, replace

import numpy as np

from ...body.pose import axis_angles, rotation_matrices
from ...body.rotations import nearest_rotation
from ...body.skeleton import INDEX
from ...body.template import load_template
from ...errors import UserError
from .model import EXPRESSIONS, BodyFit, fit_model

FOCAL_RANGE = (0.1, 100.0)  # of the photo's longer side
BY_EXPRESSION = ("jaw", "eye.L", "eye.R")  # joints that expression and gaze turn


@dataclass(frozen=True)
class PhotoPose:
    """rotations [J,3]: joint-local axis-angles, the pelvis' into the camera's axes; pelvis [3]: its place in
    them, metres; focal: the focal length over the photo's longer side; expression [52], gaze [2,2] and betas
    [S] as a `BodyFit` has them. The camera looks through the photo's centre.
    """

    rotations: np.ndarray
    pelvis: np.ndarray
    focal: float
    expression: np.ndarray
    gaze: np.ndarray
    betas: np.ndarray

    @classmethod
    def of(cls, fit: BodyFit) -> "PhotoPose":
        focal = fit.focal / (2 * max(fit.centre))
        return cls(fit.rotations, fit.joints()[0], focal, fit.expression, fit.gaze, fit.betas)

    @classmethod
    def of_transforms(cls, transforms, joint_heads, focal, expression, gaze, betas) -> "PhotoPose":
        """Of an avatar with joints at joint_heads [J,3] that skinning matrices [J,4,4] carry to the camera's
        axes, in any unit: as large in the picture as a person of shape betas is in metres.
        """
        transforms = np.asarray(transforms, np.float64)
        turn = nearest_rotation(transforms[:, :3, :3])
        above = np.concatenate([np.eye(3)[None], turn[fit_model().skeleton.parents[1:]]])
        local = above.transpose(0, 2, 1) @ turn
        local[[INDEX[name] for name in BY_EXPRESSION]] = np.eye(3)
        places = np.einsum("jab,jb->ja", transforms[:, :3, :3], joint_heads) + transforms[:, :3, 3]
        pose = cls(np.asarray(axis_angles(local)), np.zeros(3), focal, expression, gaze, betas)
        return replace(pose, pelvis=places[0] / pose.scale(places))

    def scale(self, places: np.ndarray) -> float:
        """How many times as large as this pose's joints are those of the same pose at places [J,3]."""
        spread = lambda points: np.linalg.norm(points - points[0])  # noqa: E731
        return float(spread(places) / spread(self.fit((2, 2)).joints()))

    def fit(self, size: tuple[int, int]) -> BodyFit:
        """The body, held in this pose, in a photo of size (H, W)."""
        height, width = size
        fit = BodyFit(
            np.asarray(rotation_matrices(self.rotations), np.float64),
            np.zeros(3),
            self.focal * max(size),
            (width / 2, height / 2),
            *(np.array(values, np.float64) for values in (self.betas, self.expression, self.gaze)),
            held=True,
        )
        fit.translation = self.pelvis - fit.joints()[0]
        return fit

    def text(self) -> str:
        """JSON, which `read` takes."""
        values = {f.name: np.round(getattr(self, f.name), 6).tolist() for f in fields(self)}
        return json.dumps(values)

    @classmethod
    def read(cls, text: str) -> "PhotoPose":
        """UserError for a text that is no pose."""
        shapes = {
            "rotations": (len(INDEX), 3), "pelvis": (3,), "focal": (), "expression": (EXPRESSIONS,),
            "gaze": (2, 2), "betas": (len(load_template().shape_names),),
        }  # fmt: skip
        try:
            values = json.loads(text)
            arrays = {name: np.array(values[name], np.float64) for name in shapes}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _damaged() from error
        whole = all(arrays[n].shape == shape and np.isfinite(arrays[n]).all() for n, shape in shapes.items())
        low, high = FOCAL_RANGE
        if not whole or not low <= arrays["focal"] <= high or not 0 < arrays["pelvis"][2] < 1e4:
            raise _damaged()
        return cls(**{**arrays, "focal": float(arrays["focal"])})


def _damaged() -> UserError:
    return UserError("The pose that is kept for a photo is damaged.", "Set it again, or let it be found.")
