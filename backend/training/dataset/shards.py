# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader of people in tar shards, the layout of `docs/data_format.md`: what `lca synth` writes, clips from
the wild, captures by many cameras.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ...body.arkit import ARKIT_NAMES
from ...body.expression import CODE_SIZE, arkit_from_code, expression_code
from ...body.template import load_template
from ...errors import UserError, printable

VERSION = 1
FRAMES = ("png", "jpg", "jpeg", "webp")
REGIMES = ("studio", "wild", "mixed")
FEWEST_VIEWS = 3
_MAX_SIDE = 16384


@dataclass(frozen=True)
class Sample:
    """One person's files in a shard; nothing is read before it is asked for.

    `members` maps what follows the sample's name ("json", "000.mask.png") to (offset, bytes) in the tar.
    Errors of every method: UserError that names the shard and the sample.
    """

    shard: Path
    name: str
    members: dict[str, tuple[int, int]] = field(repr=False)

    def wrong(self, text: str) -> UserError:
        """An error about this sample."""
        return UserError(printable(f"{self.shard.name}: {self.name}{text}."))

    def read(self, key: str) -> bytes:
        """A file's bytes."""
        if key not in self.members:
            raise self.wrong(f".{key} is missing")
        offset, size = self.members[key]
        with open(self.shard, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) != size:
            raise self.wrong(f".{key} ends early: the shard is cut off")
        return data

    @cached_property
    def facts(self) -> dict:
        """The JSON: cameras, template fits, expressions; see the document."""
        try:
            facts = json.loads(self.read("json"))
        except (ValueError, RecursionError) as error:
            raise self.wrong(f".json is no JSON: {error}") from None
        if not isinstance(facts, dict) or not isinstance(facts.get("views"), list) or not facts["views"]:
            raise self.wrong(".json has no list `views`")
        if facts.get("version") != VERSION:
            raise self.wrong(f".json has version {facts.get('version')!r}, not {VERSION}")
        return facts

    @property
    def seed(self) -> int:
        """A synthetic person's seed; of others a number made of their name, from `NAMED` on."""
        from ..people.dataset import NAMED

        seed = self.facts.get("seed")
        if type(seed) is int and 0 <= seed < NAMED:
            return seed
        return NAMED + int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")

    def view_name(self, view: dict) -> str:
        """A view's part of the file names."""
        name = view.get("view") if isinstance(view, dict) else None
        if not isinstance(name, str) or not name or "." in name:
            raise self.wrong(f".json: {name!r} names no view")
        return name

    def picture(self, key: str, mode: str) -> np.ndarray:
        """A picture's pixels, uint8: [H,W,3] of mode "RGB", [H,W] of mode "L"."""
        try:
            with Image.open(io.BytesIO(self.read(key)), formats=("PNG", "JPEG", "WEBP")) as image:
                if max(image.size) > _MAX_SIDE:
                    raise self.wrong(f".{key} is larger than {_MAX_SIDE} pixels")
                return np.array(image.convert(mode))
        except UserError:
            raise
        except Exception as error:  # Pillow's decoders raise anything on broken files
            raise self.wrong(f".{key} cannot be read as a picture") from error

    def frame(self, view: str) -> np.ndarray:
        """[H,W,3] uint8 sRGB."""
        found = [f"{view}.{kind}" for kind in FRAMES if f"{view}.{kind}" in self.members]
        if not found:
            raise self.wrong(f".{view} has no frame ({', '.join(FRAMES)})")
        return self.picture(found[0], "RGB")

    def mask(self, view: str) -> np.ndarray:
        """[H,W] uint8: the person's visible matte."""
        return self.picture(f"{view}.mask.png", "L")

    def covered(self, view: str) -> np.ndarray | None:
        """[H,W] bool: the person's pixels that something hides, where the sample says so."""
        key = f"{view}.covered.png"
        return self.picture(key, "L") > 127 if key in self.members else None

    def points(self, view: str, size: tuple[int, int]) -> np.ndarray | None:
        """[H,W,3] float32 metres: template points, 0 where there is none; None if the sample has no map.

        size: (H, W) of the frame, which bounds what is unpacked.
        """
        key = f"{view}.map.npz"
        if key not in self.members:
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(self.read(key))) as archive:
                shape, dtype = _npy_header(archive.open("points.npy"))
                if len(shape) != 3 or shape[-1] != 3 or dtype.kind != "f":
                    raise self.wrong(f".{key}: points are {dtype}{list(shape)}, not float[H, W, 3]")
                if shape[:2] != size:
                    raise self.wrong(f".{view}: the map is {_size(shape)}, the frame {_size(size)}")
                points = np.lib.format.read_array(archive.open("points.npy"), allow_pickle=False)
                return points.astype(np.float32)
        except UserError:
            raise
        except Exception as error:  # zip, zlib and numpy each have errors of their own
            raise self.wrong(f".{key} cannot be read") from error

    def numbers(
        self, where: dict, key: str, shape: tuple[int, ...], default=None, dtype=np.float32
    ) -> np.ndarray:
        """Values of the JSON, of a shape and finite; `default` where the key is missing or null."""
        value = where.get(key)
        label = f".{where['view']}" if "view" in where else ""
        if value is None:
            if default is None:
                raise self.wrong(f"{label}: the JSON has no {key}")
            return np.broadcast_to(np.asarray(default, dtype), shape).copy()
        try:
            with np.errstate(over="ignore"):  # infinite then, and said so below
                array = np.asarray(value, dtype)
        except (ValueError, TypeError, OverflowError):
            raise self.wrong(f"{label}: {key} is no array of numbers") from None
        if array.shape != shape:
            raise self.wrong(f"{label}: {key} has the shape {list(array.shape)}, not {list(shape)}")
        if not np.isfinite(array).all():
            raise self.wrong(f"{label}: {key} contains NaN or infinity")
        return array

    def view_arrays(self, view: dict) -> dict[str, np.ndarray]:
        """A view's camera, template fit and face: viewmats [4,4], Ks [3,3], transforms [J,3,4], expression
        [52], code [128] (given, or that of the expression), gaze [2,2], is_face [] and instant [], float64.

        Transforms are put into the template's order of joints; joints that the sample does not know follow
        their parent. So are expressions, where what is not known is 0.
        """
        template = load_template()
        names = self._names("joint_names", template.joint_names)
        fitted = self.numbers(view, "transforms", (len(names), 3, 4))
        expression, code = self._face(view)
        return {
            "viewmats": self.numbers(view, "viewmat", (4, 4)),
            "Ks": self.numbers(view, "K", (3, 3)),
            "transforms": self._in_order(names, fitted),
            "expression": expression,
            "code": code,
            "gaze": self.numbers(view, "gaze", (2, 2), 0),
            "is_face": self.numbers(view, "is_face", (), 0) > 0,
            "instant": self.numbers(view, "instant", (), 0, np.float64),
        }

    def _face(self, view: dict) -> tuple[np.ndarray, np.ndarray]:
        """ARKit's values and the expression code; the one that is not given follows from the other."""
        if view.get("code") is None:
            of = self._names("expression_names", ARKIT_NAMES)
            expression = _named(of, self.numbers(view, "expression", (len(of),)), ARKIT_NAMES)
            return expression, expression_code(expression)
        code = self.numbers(view, "code", (CODE_SIZE,))
        if view.get("expression") is None:
            return np.clip(arkit_from_code(code), 0, 1), code
        return self._face({**view, "code": None})[0], code

    def _names(self, key: str, default) -> list[str]:
        names = self.facts.get(key)
        if names is None:
            return list(default)
        named = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not named or len(set(names)) < len(names):
            raise self.wrong(f".json: {key} is no list of different names")
        return names

    def _in_order(self, names: list[str], transforms: np.ndarray) -> np.ndarray:
        template, place = load_template(), {name: i for i, name in enumerate(names)}
        ordered: list[np.ndarray] = []
        for name, parent in zip(template.joint_names, template.joint_parents, strict=True):
            if name not in place and parent < 0:
                raise self.wrong(f".json: joint_names lack the root {name!r}")
            ordered.append(transforms[place[name]] if name in place else ordered[parent])
        return np.stack(ordered)

    def load(self, views=None, maps: bool = True) -> dict:
        """The record that `people.dataset.PeopleDataset.load` gives: rgba, viewmats, Ks, transforms,
        expression, gaze, is_face, instant, joint_heads, regime, seed and, if `maps`, template_map; with
        code and domain. views: positions, all if None. Their instants are numbered from 0 on.

        A map that the sample lacks is drawn from the template's fit. The frames keep their background. Where
        something covers the person, alpha is 255 and the map 0. Errors: also where the views differ in size.
        """
        chosen = self.facts["views"]
        chosen = chosen if views is None else [chosen[v] for v in views]
        names = [self.view_name(view) for view in chosen]
        rows = [self.view_arrays(view) for view in chosen]
        record = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        record["instant"] = np.unique(record["instant"], return_inverse=True)[1].astype(np.int32)
        pixels = [self.pixels(name, maps) for name in names]
        if len({picture.shape for picture, _, _ in pixels}) > 1:
            raise self.wrong(": its frames are not all of one size")
        record["rgba"] = np.stack([picture for picture, _, _ in pixels])
        if maps:
            made = [
                _points_of(row, seen, points) for row, (_, seen, points) in zip(rows, pixels, strict=True)
            ]
            record["template_map"] = np.stack(made)
        record["seed"], record["regime"] = self.seed, self.facts.get("regime", "mixed")
        record["domain"] = self.facts.get("domain", "")
        record["joint_heads"] = self.joint_heads()
        return record

    def pixels(self, view: str, maps: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """(rgba [H,W,4] uint8, the person's pixels that nothing hides [H,W], their points [H,W,3] or None)
        of a view, as in `load`.
        """
        frame, mask, covered = self.frame(view), self.mask(view), self.covered(view)
        for name, other in (("mask", mask), ("covered", covered)):
            if other is not None and other.shape[:2] != frame.shape[:2]:
                found, wanted = _size(other.shape), _size(frame.shape)
                raise self.wrong(f".{view}: the {name} is {found}, the frame {wanted}")
        points = self.points(view, frame.shape[:2]) if maps else None
        seen = mask > 0 if covered is None else (mask > 0) & ~covered
        alpha = mask if covered is None else np.where(covered, 255, mask)
        if points is not None:
            points = np.where(seen[..., None], points, np.float32(0))
        return np.dstack([frame, alpha]), seen, points

    def joint_heads(self) -> np.ndarray:
        """Of the person's own skeleton [J,3], the template's where the sample has none."""
        template = load_template()
        names = self._names("joint_names", template.joint_names)
        if self.facts.get("joint_heads") is None:
            return np.asarray(template.joint_heads, np.float32)
        given = dict(zip(names, self.numbers(self.facts, "joint_heads", (len(names), 3)), strict=True))
        pairs = zip(template.joint_names, template.joint_heads, strict=True)
        return np.stack([given.get(name, head) for name, head in pairs]).astype(np.float32)


def enough_views(is_face: Sequence[bool]) -> bool:
    """Whether a person's views are enough to learn from: `FEWEST_VIEWS`, one of them of the body."""
    return len(is_face) >= FEWEST_VIEWS and not all(is_face)


def _points_of(row: dict, seen: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """A view's map: its own, or the fit's."""
    if points is not None:
        return points
    from .fitted_map import fitted_points

    fit = (row[key] for key in ("transforms", "expression", "gaze", "viewmats", "Ks"))
    return fitted_points(*fit, seen)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _npy_header(file) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in a .npy file. ValueError where it is none."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(version)
    shape, _, dtype = read[version](file)
    return shape, dtype


def _named(names: list[str], values: np.ndarray, wanted: tuple[str, ...]) -> np.ndarray:
    """Values in the order of the `wanted` names, 0 where there is none."""
    given = dict(zip(names, values, strict=True))
    return np.array([given.get(name, 0) for name in wanted], np.float32)


def read_shard(path: Path) -> list[Sample]:
    """A shard's samples in their order. Errors: UserError where the tar is none, cut off or empty."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isfile():
                    name, _, key = Path(member.name).name.partition(".")
                    name = str(Path(member.name).with_name(name))
                    if key in found.setdefault(name, {}):
                        raise UserError(printable(f"{path.name}: {member.name} is there twice."))
                    found[name][key] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise UserError(f"{path.name} is no whole tar file: {error}.") from None
    samples = [Sample(path, name, members) for name, members in found.items()]
    if not samples:
        raise UserError(f"{path.name} holds no sample.")
    end = path.stat().st_size
    for sample in samples:
        for key, (offset, size) in sample.members.items():
            if offset + size > end:
                raise sample.wrong(f".{key} ends early: the shard is cut off")
    return samples


class ShardFolder:
    """The people of all `*.tar` in a folder, by position, as `PeopleDataset` gives them.

    Errors: UserError where there is none, or a shard cannot be read.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.samples = [sample for path in sorted(self.folder.glob("*.tar")) for sample in read_shard(path)]
        if not self.samples:
            raise UserError(f"There are no shards (*.tar) in {self.folder}.")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def seeds(self) -> list[int]:
        """One number per person; see `Sample.seed`."""
        return [sample.seed for sample in self.samples]

    def __getitem__(self, index: int) -> dict:
        return self.load(index)

    def load(self, index: int, views=None, maps: bool = True) -> dict:
        """A person's record; see `Sample.load`."""
        return self.samples[index].load(views, maps)


def open_people(folder: str | Path):
    """A folder's people, whichever way they are kept: tar shards, or `people.dataset` records."""
    if any(Path(folder).glob("*.tar")):
        return ShardFolder(folder)
    from ..people.dataset import PeopleDataset

    return PeopleDataset(folder)
