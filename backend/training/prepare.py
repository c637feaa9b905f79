# SPDX-License-Identifier: GPL-3.0-or-later
"""From rendered people to what a training step reads, one file a person: crops, sampled colours, signals.

Colours are sampled once, at fixed sites on the template: the Gaussians of the largest anchor set. Any smaller
anchor set looks its Gaussians' nearest sites up.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from ..body.anchors import sample_anchors
from ..body.expression import apply_face_joints, expression_code, gaze_vectors
from ..body.pose import pose_features
from ..imaging.crops import Box, crop
from ..model.config import ModelConfig
from ..model.files import write_tensors
from ..model.matching import site_colors
from ..model.tokens import child_positions
from ..model.views import PixelSource

VERSION = 1
HEAD_HEIGHT = 1.5  # metres: template points above belong to the head
BODY_MARGIN, FACE_MARGIN = 0.05, 0.22  # of the box, on every side
ROOM = 1.25  # stored crops are larger than the network's by this factor, for jitter
MIN_HEAD_PIXELS = 60
DISTANCE_STEP = 0.0006  # metres per unit of a stored distance


@dataclass(frozen=True)
class Sites:
    """Fixed points on the template where photos are sampled: positions [S,3] metres, is_face [S]."""

    positions: np.ndarray
    is_face: np.ndarray


def make_sites(config: ModelConfig) -> Sites:
    """The places of all Gaussians at the largest anchor count that training sees."""
    anchors = sample_anchors(config.training_tokens[1], config.face_fraction)
    order = np.argsort(~anchors.is_face, kind="stable")
    children = child_positions(
        config, anchors.positions[order], anchors.frames[order], anchors.spacing[order]
    )
    return Sites(children.reshape(-1, 3), np.repeat(anchors.is_face[order], config.gaussians_per_token))


def body_box(matte: np.ndarray) -> Box | None:
    """The crop around a person, width over height 3/4; None where nobody is seen."""
    mask = matte > 0.5
    return Box.of_mask(mask).grown(BODY_MARGIN, 0.75) if mask.any() else None


def face_box(matte: np.ndarray, points: np.ndarray) -> Box | None:
    """The crop around a head, from pixels whose template points lie on it; None where too few do."""
    mask = (matte > 0.5) & (np.nan_to_num(points[..., 2]) > HEAD_HEIGHT)
    return Box.of_mask(mask).grown(FACE_MARGIN, 0.75) if mask.sum() >= MIN_HEAD_PIXELS else None


def roomy(box: Box) -> Box:
    """The box enlarged by `ROOM` about its middle."""
    return Box.around(
        (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.height * ROOM, box.width * ROOM
    )


def stored_crop(rgba: np.ndarray, box: Box | None, size: tuple[int, int]) -> np.ndarray:
    """uint8 straight RGBA crop of `size` times `ROOM`; empty where there is no box."""
    height, width = round(size[0] * ROOM), round(size[1] * ROOM)
    if box is None:
        return np.zeros((height, width, 4), np.uint8)
    return np.clip(tight_crop(rgba, roomy(box), (height, width)) * 255 + 0.5, 0, 255).astype(np.uint8)


def tight_crop(rgba: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    """float32 straight RGBA crop in 0..1 of a uint8 picture, resized premultiplied: no edge colours bleed."""
    image = rgba.astype(np.float32) / 255
    image[..., :3] *= image[..., 3:]
    image = crop(image, box, *size, 0.0)
    image[..., :3] /= np.maximum(image[..., 3:], 1e-3)
    return np.clip(image, 0, 1)


def signal_of(transforms: np.ndarray, expression: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """[V,S] of transforms [V,J,4,4] (jaw and eyes not turned), expression [V,52] and gaze [V,2,2]."""
    features = pose_features(torch.from_numpy(transforms)).flatten(1)
    code, eyes = expression_code(torch.from_numpy(expression)), gaze_vectors(torch.from_numpy(gaze))
    return torch.cat([features, code, eyes], -1).float().numpy()


def square(transforms: np.ndarray) -> np.ndarray:
    """Joint transforms [...,3,4] or [...,4,4] -> float32 [...,4,4]."""
    if transforms.shape[-2] == 4:
        return transforms.astype(np.float32)
    last = np.broadcast_to(np.array([[0, 0, 0, 1]], np.float32), (*transforms.shape[:-2], 1, 4))
    return np.concatenate([transforms, last], -2).astype(np.float32)


def prepare_record(record: dict, config: ModelConfig, sites: Sites) -> dict[str, np.ndarray]:
    """Everything a training step needs of one person's rendered views."""
    rgba = record["rgba"]
    matte = rgba[..., 3].astype(np.float32) / 255
    points = record["template_map"].astype(np.float32)
    is_face = record["is_face"].astype(bool)
    rgb_u8, distance_u8, sizes = [], [], []
    for view in range(len(rgba)):
        source = PixelSource(rgba[view, ..., :3].astype(np.float32) / 255, matte[view], points[view])
        color, distance, size, _ = site_colors(source, sites.positions)
        rgb_u8.append(np.clip(color * 255 + 0.5, 0, 255).astype(np.uint8))
        distance_u8.append(np.clip(distance / DISTANCE_STEP, 0, 255).astype(np.uint8))
        sizes.append(size)
    body_boxes = [body_box(m) for m in matte]
    face_boxes = [face_box(m, p) for m, p in zip(matte, points, strict=True)]
    transforms = square(record["transforms"])
    expression, gaze = (record[key].astype(np.float32) for key in ("expression", "gaze"))
    return {
        "bodies": np.stack(
            [stored_crop(r, b, config.body_size) for r, b in zip(rgba, body_boxes, strict=True)]
        ),
        "faces": np.stack(
            [stored_crop(r, b, config.face_size) for r, b in zip(rgba, face_boxes, strict=True)]
        ),
        "has_face": np.array([b is not None for b in face_boxes]),
        "is_face": is_face,
        "targets": rgba,
        "site_rgb": np.stack(rgb_u8),
        "site_distance": np.stack(distance_u8),
        "pixel_size": np.array(sizes, np.float32),
        "viewmats": record["viewmats"].astype(np.float32),
        "Ks": record["Ks"].astype(np.float32),
        "transforms": transforms,
        "driven": np.asarray(apply_face_joints(transforms, expression, gaze), np.float32),
        "signals": signal_of(transforms, expression, gaze),
        "expression": expression,
        "gaze": gaze,
    }


class PreparedPeople:
    """A folder of prepared people; reads only the views asked for."""

    def __init__(self, folder: Path, seeds: list[int]):
        self.folder, self.seeds = folder, seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def open(self, n: int):
        """A context manager whose `get_slice(name)[views]` and `get_tensor(name)` read numpy arrays."""
        return safe_open(self.folder / f"{self.seeds[n]}.safetensors", "np")

    def part(self, seeds: list[int]) -> PreparedPeople:
        """Some of the people."""
        return PreparedPeople(self.folder, seeds)


def folder_for(data: Path, config: ModelConfig, sites: Sites) -> Path:
    """Where prepared people lie: one folder per template and set of numbers that shape them."""
    shape = f"{VERSION} {config.body_size} {config.face_size}".encode()
    digest = hashlib.sha256(shape + np.ascontiguousarray(sites.positions).tobytes()).hexdigest()
    return data / f"prepared-{digest[:12]}"


def prepare(data: Path, config: ModelConfig, seeds=None, progress=None) -> PreparedPeople:
    """Prepare the people of a dataset folder that are not prepared yet; resumable and safe to kill."""
    from ..people.dataset import PeopleDataset

    dataset, sites = PeopleDataset(data), make_sites(config)
    folder = folder_for(Path(data), config, sites)
    folder.mkdir(parents=True, exist_ok=True)
    done = {int(p.stem) for p in folder.glob("*.safetensors")}
    place = {int(seed): n for n, seed in enumerate(dataset.seeds)}
    wanted = sorted(place if seeds is None else (int(s) for s in seeds))
    missing = [s for s in wanted if s not in done]
    for n, seed in enumerate(missing):
        arrays = prepare_record(dataset.load(place[seed]), config, sites)
        tensors = {k: torch.from_numpy(np.ascontiguousarray(a)) for k, a in arrays.items()}
        write_tensors(folder / f"{seed}.safetensors", tensors, {"version": VERSION, "seed": seed})
        if progress and n % 20 == 0:
            progress(n / len(missing), f"Preparing person {n + 1} of {len(missing)}")
    for rest in folder.glob("*.part"):
        if rest.stat().st_mtime < os.stat(folder).st_mtime - 3600:
            rest.unlink(missing_ok=True)
    return PreparedPeople(folder, wanted)
