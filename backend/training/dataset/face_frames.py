# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the faces of prepared people lie in their views: what expression codes are read from in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...model.config import ModelConfig
from .faces import face_frame
from .prepare import add_beside
from .prepared import faces_path


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
