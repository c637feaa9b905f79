# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity: distances of dlib's face descriptors, for measuring only.

The networks come in PyPI's `face-recognition-models` (CC0), dlib in `dlib-bin`: `pip install .[measure]`.
Descriptors of one person are nearer than 0.6.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...imaging.landmarks.face import MESH, Face

FILES = {
    "detector": "mmod_human_face_detector.dat",
    "points": "shape_predictor_5_face_landmarks.dat",
    "descriptor": "dlib_face_recognition_resnet_model_v1.dat",
}
SMALL_FACE = 60  # pixels; smaller faces are not compared by identity
JITTERS = 4  # shaken crops that a descriptor is the mean of


class Identity:
    """Describes the largest face of a picture. Raises `UserError` where dlib or its networks are not
    installed.
    """

    def __init__(self):
        try:
            import dlib
        except ImportError as error:
            raise _not_installed() from error
        spec = find_spec("face_recognition_models")
        if spec is None:
            raise _not_installed()
        folder = Path(spec.origin).parent / "models"
        self._near = dlib.get_frontal_face_detector()
        self._far = dlib.cnn_face_detection_model_v1(str(folder / FILES["detector"]))
        self._points = dlib.shape_predictor(str(folder / FILES["points"]))
        self._descriptor = dlib.face_recognition_model_v1(str(folder / FILES["descriptor"]))

    def describe(self, picture: np.ndarray) -> np.ndarray | None:
        """uint8 [H,W,3] -> [128]; None where no face is found."""
        picture = np.ascontiguousarray(picture)
        faces = list(self._near(picture, 1)) or [found.rect for found in self._far(picture, 0)]
        if not faces:
            return None
        points = self._points(picture, max(faces, key=lambda face: face.area()))
        return np.array(self._descriptor.compute_face_descriptor(picture, points, JITTERS))


def descriptor_distance(a: np.ndarray, b: np.ndarray | None) -> float:
    return float(np.linalg.norm(a - b)) if b is not None else np.nan


def crop_of_head(face: Face, size: tuple[int, int], grow: float = 0.8) -> np.ndarray:
    """[H,W] bool: a box about the face's landmarks, with hair and chin."""
    points = face.points[:MESH, :2]
    (x, y), half = (points.min(0) + points.max(0)) / 2, grow * face.size
    box = np.zeros(size, bool)
    top, bottom = max(0, int(y - 1.15 * half)), max(0, int(y + 0.95 * half))
    box[top:bottom, max(0, int(x - half)) : max(0, int(x + half))] = True
    return box


def _not_installed() -> UserError:
    return UserError("dlib and its networks are not installed.", "Run: pip install .[measure]")
