# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader of prepared people, one file a person, and of what lies beside it: estimates, surfaces, faces."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from ...errors import UserError
from ...model.config import ModelConfig
from .sites import Sites, make_sites

VERSION = 3
DISTANCE_STEP = 0.0006  # metres per unit of a stored distance
ERROR_STEP = 0.002  # metres per unit of a stored expected error


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
        """float32 [V,2,3]: how the face lies in the views (`faces.face_frame`), NaN if unknown."""
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
