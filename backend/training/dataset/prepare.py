# SPDX-License-Identifier: GPL-3.0-or-later
"""From rendered people to what a training step reads, one file a person: crops, sampled colours, signals.

Colours are sampled once, at fixed sites on the template: the Gaussians of the largest anchor set. Any smaller
anchor set looks its Gaussians' nearest sites up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from ...body.anchors import sample_anchors
from ...body.expression import apply_face_joints, expression_code, gaze_vectors
from ...body.pose import pose_features
from ...errors import UserError
from ...imaging.crops import Box, crop
from ...model.config import ModelConfig
from ...model.matching import site_colors
from ...model.tokens import child_positions
from ...model.views import PixelSource
from ...tensor_file import write_tensors
from .foreground import keeps_background, own_colors
from .shards import FEWEST_VIEWS, enough_views, open_people

VERSION = 3
HEAD_HEIGHT = 1.5  # metres: template points above belong to the head
BODY_MARGIN, FACE_MARGIN = 0.05, 0.22  # of the box, on every side
ROOM = 1.25  # stored crops are larger than the network's by this factor, for jitter
MIN_HEAD_PIXELS = 60
DISTANCE_STEP = 0.0006  # metres per unit of a stored distance
ERROR_STEP = 0.002  # metres per unit of a stored expected error


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


def signal_of(transforms: np.ndarray, code: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """[V,S] of transforms [V,J,4,4] (jaw and eyes not turned), expression codes [V,128] and gaze [V,2,2]."""
    features = pose_features(torch.from_numpy(transforms)).flatten(1)
    return (
        torch.cat([features, torch.from_numpy(code), gaze_vectors(torch.from_numpy(gaze))], -1)
        .float()
        .numpy()
    )


def square(transforms: np.ndarray) -> np.ndarray:
    """Joint transforms [...,3,4] or [...,4,4] -> float32 [...,4,4]."""
    if transforms.shape[-2] == 4:
        return transforms.astype(np.float32)
    last = np.broadcast_to(np.array([[0, 0, 0, 1]], np.float32), (*transforms.shape[:-2], 1, 4))
    return np.concatenate([transforms, last], -2).astype(np.float32)


def byte_colors(color: np.ndarray) -> np.ndarray:
    """0..1 -> uint8."""
    return np.clip(color * 255 + 0.5, 0, 255).astype(np.uint8)


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


@dataclass(frozen=True)
class StoredSource:
    """One photo at the sites, uint8 in stored units: rgb [S,3], distance, error [S]; pixel_size in metres."""

    rgb: np.ndarray
    distance: np.ndarray
    error: np.ndarray
    pixel_size: float
    estimated: bool


class PreparedPerson:
    """One person's arrays, read when asked for. `estimated`: what the photo estimator made of the same
    views, or None; surface: what `surfaces` measured, or None; faces: what `face_frames` found, or None.
    """

    def __init__(self, true, estimated, surface, faces):
        self.true, self.estimated, self.surface, self.faces = true, estimated, surface, faces
        self.is_face = self["is_face"]
        self.found = estimated.get_tensor("found") if estimated else np.zeros(len(self.is_face), bool)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.true.get_tensor(name)

    def has_face(self, estimated: bool) -> np.ndarray:
        """[V] bool: there is a close-up of the head."""
        if not estimated:
            return self["has_face"]
        return np.where(self.found, self.estimated.get_tensor("has_face"), self["has_face"])

    def offsets(self, sites: np.ndarray) -> np.ndarray:
        """float32 [n,3] metres from the template to the surface at `sites` [n]; NaN where it is not known."""
        if self.surface is None:
            return np.full((len(sites), 3), np.nan, np.float32)
        return self.surface.get_tensor("offsets")[sites].astype(np.float32)

    @property
    def face_frames(self) -> np.ndarray:
        """float32 [V,2,3]: how the face lies in the views (`expression_codes.face_frame`), NaN if unknown."""
        if self.faces is None:
            return np.full((len(self.is_face), 2, 3), np.nan, np.float32)
        return self.faces.get_tensor("frames")

    def view(self, v: int) -> np.ndarray:
        """uint8 [H,W,5]: straight RGBA, and 255 where nothing hides the person."""
        rgba = _row(self.true, "views", v)
        hidden = np.unpackbits(_row(self.true, "hidden", v), axis=-1, count=rgba.shape[1])
        return np.dstack([rgba, (1 - hidden) * np.uint8(255)])

    def crop(self, part: str, v: int, estimated: bool) -> tuple[np.ndarray, bool]:
        """The stored "body" or "face" crop of a view, and whether it is the estimator's."""
        own = estimated and self.found[v]
        if own and (part == "body" or self.estimated.get_tensor("has_face")[v]):
            return _row(self.estimated, part, v), True
        return _row(self.true, part, v), False

    def source(self, v: int, estimated: bool) -> StoredSource:
        """A view at the sites."""
        own = estimated and bool(self.found[v])
        file = self.estimated if own else self.true
        rgb, distance = _row(file, "site_rgb", v), _row(file, "site_distance", v)
        error = _row(file, "site_error", v) if own else np.zeros_like(distance)
        return StoredSource(rgb, distance, error, float(file.get_tensor("pixel_size")[v]), own)


def _row(file, name: str, v: int) -> np.ndarray:
    return file.get_slice(name)[v : v + 1][0]


class PreparedPeople:
    """Prepared people of one or more folders: the files of those that a run sees."""

    def __init__(self, files: list[Path], regimes: list[str]):
        self.files, self.regimes = files, regimes
        self.estimates = [e if (e := estimate_path(f)).is_file() else None for f in files]
        self.surfaces = [s if (s := surface_path(f)).is_file() else None for f in files]
        self.faces = [s if (s := faces_path(f)).is_file() else None for f in files]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def seeds(self) -> list[int]:
        return [int(f.stem) for f in self.files]

    @contextmanager
    def open(self, n: int):
        """A `PreparedPerson`, while the context lasts."""
        with ExitStack() as stack:
            paths = (self.files[n], self.estimates[n], self.surfaces[n], self.faces[n])
            yield PreparedPerson(*(p and stack.enter_context(safe_open(p, framework="np")) for p in paths))

    def part(self, chosen) -> PreparedPeople:
        """Those people for whom `chosen(seed, regime)` is true."""
        pairs = [(f, r) for f, r in zip(self.files, self.regimes, strict=True) if chosen(int(f.stem), r)]
        return PreparedPeople([f for f, _ in pairs], [r for _, r in pairs])


def estimate_path(file: Path) -> Path:
    """Where the estimator's own maps of a prepared person lie."""
    return file.with_suffix(".estimate")


def surface_path(file: Path) -> Path:
    """Where the true surface of a prepared synthetic person lies."""
    return file.with_suffix(".surface")


def faces_path(file: Path) -> Path:
    """Where it is kept how the faces of a prepared person lie."""
    return file.with_suffix(".faces")


def folder_for(data: Path, config: ModelConfig, sites: Sites) -> Path:
    """Where prepared people lie: one folder per template and set of numbers that shape them."""
    shape = f"{VERSION} {config.body_size} {config.face_size}".encode()
    digest = hashlib.sha256(shape + np.ascontiguousarray(sites.positions).tobytes()).hexdigest()
    return data / f"prepared-{digest[:12]}"


def write_arrays(path: Path, arrays: dict[str, np.ndarray], **header) -> None:
    """Arrays to one file, whole or not at all."""
    write_tensors(path, arrays, header={"version": VERSION, **header})


def regime_of(file: Path) -> str:
    """The regime that a prepared person's file names."""
    with safe_open(file, "np") as opened:
        return json.loads(opened.metadata()["header"])["regime"]


def prepared(folders: list[Path], config: ModelConfig) -> PreparedPeople:
    """The people that are prepared in dataset folders. `UserError` where there are none."""
    sites = make_sites(config)
    files = [f for d in folders for f in sorted(folder_for(Path(d), config, sites).glob("*.safetensors"))]
    if not files:
        raise UserError("No people are prepared for this network.", "Run `lca train prepare` first.")
    return PreparedPeople(files, [regime_of(f) for f in files])


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
