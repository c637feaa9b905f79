# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the faces of prepared people lie in their views: what expression codes are read from in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from ..model.config import ModelConfig
from ..model.expression_codes import SIZE, face_crop, face_frame
from .disturb import FACE_JITTER, FACE_TURN, as_photos, jittered
from .prepare import ROOM, PreparedPerson, faces_path, folder_for, make_sites, write_arrays
from .shards import open_people


def write_face_frames(
    data: Path, config: ModelConfig, progress=None, share: tuple[int, int] = (0, 1)
) -> None:
    """Store `face_frame` of every view of the prepared people of a dataset folder that have none yet.

    Resumable and safe to kill; share: (number, of how many) processes that share the work. People without
    template maps show no face.
    """
    dataset, sites = open_people(data), make_sites(config)
    folder = folder_for(Path(data), config, sites)
    files = [(n, folder / f"{seed}.safetensors") for n, seed in enumerate(dataset.seeds)]
    missing = [(n, f) for n, f in files[share[0] :: share[1]] if f.is_file() and not faces_path(f).is_file()]
    for done, (n, file) in enumerate(missing):
        write_arrays(faces_path(file), {"frames": frames_of(dataset.load(n))}, seed=dataset.seeds[n])
        if progress and done % 20 == 0:
            progress(done / len(missing), f"Finding the face of person {done + 1} of {len(missing)}")


def frames_of(record: dict) -> np.ndarray:
    """float32 [V,2,3]: `face_frame` of a record's views, NaN where none is seen."""
    frames = np.full((len(record["rgba"]), 2, 3), np.nan, np.float32)
    for v, points in enumerate(record.get("template_map", ())):
        found = face_frame(record["rgba"][v, ..., 3] / np.float32(255), points)
        frames[v] = np.nan if found is None else found
    return frames


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
