# SPDX-License-Identifier: GPL-3.0-or-later
"""From rendered people to what a training step reads, one file a person: crops, sampled colours, signals.
Every writer can be stopped and goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...body.expression import apply_face_joints, expression_code
from ...errors import UserError
from ...model.config import ModelConfig
from ...model.matching import site_colors
from ...model.views import PixelSource
from ...tensor_file import write_tensors
from .crops import body_box, byte_colors, face_box, stored_crop
from .foreground import keeps_background, own_colors
from .prepared import DISTANCE_STEP, VERSION, folder_for
from .shards import FEWEST_VIEWS, enough_views, open_people
from .signals import signal_of, square
from .sites import Sites, make_sites


def byte_steps(metres: np.ndarray, step: float) -> np.ndarray:
    """Metres -> uint8 units of `step`, the largest for all that is more."""
    return np.clip(metres / step, 0, 255).astype(np.uint8)


def hidden_pixels(record: dict) -> np.ndarray:
    """[V,H,W] bool: pixels of the person that something else hides, as far as the record tells."""
    alpha = record["rgba"][..., 3] > 0
    return alpha & ~record["template_map"].any(-1) if "template_map" in record else np.zeros_like(alpha)


def prepare_record(record: dict, config: ModelConfig, sites: Sites) -> dict[str, np.ndarray]:
    """Everything a training step needs of one person's views, explained by the truth. Captured people come
    without template maps: their photos colour nothing until the estimator has explained them.
    """
    rgba, hidden = record["rgba"], hidden_pixels(record)
    if keeps_background(record):
        rgba = np.stack([own_colors(*pair) for pair in zip(rgba, hidden, strict=True)])
    matte = rgba[..., 3].astype(np.float32) / 255
    known = "template_map" in record
    seen = np.where(hidden, 0, matte if known else 0)
    points = record["template_map"].astype(np.float32) if known else np.zeros((*matte.shape, 3), np.float32)
    colors, distances, sizes = [], [], []
    for view in range(len(rgba)):
        source = PixelSource(rgba[view, ..., :3].astype(np.float32) / 255, seen[view], points[view])
        color, distance, size, _ = site_colors(source, sites.positions)
        colors.append(byte_colors(color))
        distances.append(byte_steps(distance, DISTANCE_STEP))
        sizes.append(size)
    body_boxes = [body_box(m) for m in matte]
    face_boxes = [face_box(m, p) for m, p in zip(matte, points, strict=True)]
    crops = lambda boxes, size: np.stack(  # noqa: E731
        [stored_crop(r, b, size) for r, b in zip(rgba, boxes, strict=True)]
    )
    transforms = square(record["transforms"])
    expression, gaze = (record[key].astype(np.float32) for key in ("expression", "gaze"))
    return {
        "body": crops(body_boxes, config.body_size),
        "face": crops(face_boxes, config.face_size),
        "has_face": np.array([b is not None for b in face_boxes]),
        "is_face": record["is_face"].astype(bool),
        "views": rgba,
        "hidden": np.packbits(hidden, axis=-1),
        "site_rgb": np.stack(colors),
        "site_distance": np.stack(distances),
        "pixel_size": np.array(sizes, np.float32),
        "viewmats": record["viewmats"].astype(np.float32),
        "Ks": record["Ks"].astype(np.float32),
        "transforms": transforms,
        "driven": np.asarray(apply_face_joints(transforms, expression, gaze), np.float32),
        "signals": signal_of(transforms, record.get("code", expression_code(expression)), gaze),
        "expression": expression,
        "gaze": gaze,
    }


def write_arrays(path: Path, arrays: dict[str, np.ndarray], **header) -> None:
    """Arrays to one file, whole or not at all."""
    write_tensors(path, arrays, header={"version": VERSION, **header})


def prepare(data: Path, config: ModelConfig, progress=None, share: tuple[int, int] = (0, 1)) -> None:
    """Prepare the people of a dataset folder that are not prepared yet; resumable and safe to kill.

    share: (number, of how many) processes that share the work. `UserError` for a person with too few views.
    """
    dataset, sites = open_people(data), make_sites(config)
    folder = folder_for(Path(data), config, sites)
    folder.mkdir(parents=True, exist_ok=True)
    places = list(enumerate(dataset.seeds))[share[0] :: share[1]]
    missing = [(n, f) for n, seed in places if not (f := folder / f"{seed}.safetensors").is_file()]
    for done, (n, file) in enumerate(missing):
        record = dataset.load(n)
        if not enough_views(record["is_face"]):
            raise UserError(
                f"Person {n + 1} in {data} has fewer than {FEWEST_VIEWS} views, or none of the body.",
                "Please leave such people out; `lca data check` names those in shards.",
            )
        write_arrays(file, prepare_record(record, config, sites), regime=str(record["regime"]))
        if progress and done % 20 == 0:
            progress(done / len(missing), f"Preparing person {done + 1} of {len(missing)}")


def add_beside(
    data: Path,
    config: ModelConfig,
    path_of: Callable[[Path], Path],
    make: Callable[[dict], dict[str, np.ndarray]],
    doing: str,
    progress=None,
    share: tuple[int, int] = (0, 1),
    **load,
) -> None:
    """Write what `make` makes of a record to `path_of`(prepared file), for all prepared people of a dataset
    folder who lack it; resumable and safe to kill.

    doing: a word for `progress`; share: (number, of how many) processes that share the work; load: what is
    read of a record.
    """
    dataset, sites = open_people(data), make_sites(config)
    folder = folder_for(Path(data), config, sites)
    files = [(n, folder / f"{seed}.safetensors") for n, seed in enumerate(dataset.seeds)]
    missing = [(n, f) for n, f in files[share[0] :: share[1]] if f.is_file() and not path_of(f).is_file()]
    for done, (n, file) in enumerate(missing):
        write_arrays(path_of(file), make(dataset.load(n, **load)), seed=int(file.stem))
        if progress and done % 20 == 0:
            progress(done / len(missing), f"{doing} person {done + 1} of {len(missing)}")
