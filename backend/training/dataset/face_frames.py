# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the faces of prepared people lie in their views: what expression codes are read from in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from ...imaging.faces import face_crop, face_frame
from ...model.config import ModelConfig
from ...model.expression_codes import SIZE
from ..network.disturb import FACE_JITTER, FACE_TURN, as_photos, jittered
from .crops import ROOM
from .prepare import add_beside
from .prepared import PreparedPerson, faces_path


def write_face_frames(
    data: Path, config: ModelConfig, progress=None, share: tuple[int, int] = (0, 1)
) -> None:
    """Store `face_frame` of every view of the prepared people of a dataset folder that have none yet.

    Resumable and safe to kill; share: (number, of how many) processes that share the work. People without
    template maps show no face.
    """
    add_beside(data, config, faces_path, face_frames, "Finding the face of", progress, share)


def face_frames(record: dict) -> dict[str, np.ndarray]:
    """`frames` float32 [V,2,3]: `face_frame` of a record's views, NaN where none is seen."""
    frames = np.full((len(record["rgba"]), 2, 3), np.nan, np.float32)
    for v, points in enumerate(record.get("template_map", ())):
        found = face_frame(record["rgba"][v, ..., 3] / np.float32(255), points)
        frames[v] = np.nan if found is None else found
    return {"frames": frames}


def acted_faces(person: PreparedPerson, views: np.ndarray, rng) -> tuple[Tensor, np.ndarray]:
    """Masked photos [n,4,H,W] of the faces in some views, as disturbed as the estimator's crops, and which
    views [n] show one.
    """
    frames = person.face_frames[views]
    seen = np.isfinite(frames).all((1, 2))
    side = round(SIZE[0] * ROOM)
    crops = np.zeros((len(views), side, side, 4), np.uint8)
    for n in np.flatnonzero(seen):
        crops[n] = face_crop(person.view(views[n])[..., :4], frames[n], ROOM)
    return as_photos(rng, jittered(rng, crops, SIZE, FACE_JITTER, FACE_TURN), True), seen
