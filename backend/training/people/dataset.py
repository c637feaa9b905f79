# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of synthetic people for training: made from seeds, kept in shards, read at random.

Seeds below 1,000,000 train, seeds from 1,000,000 up are held out. A record holds V views, body views first:
    rgba [V, H, W, 4] uint8 sRGB, straight alpha           template_map [V, H, W, 3] float32 metres, 0 where
    alpha is 0 or something stands before the person       viewmats [V, 4, 4]  Ks [V, 3, 3]  float32
    transforms [V, J, 3, 4] float32, as `View.transforms`  expression [V, 52]  gaze [V, 2, 2]  float32
    is_face [V] bool      instant [V] int32: views of one instant show one pose
    joint_heads [J, 3]    betas [S]    seed int    regime "studio", "wild" or "mixed" (see `regimes`)
The person and the light stay. Records from before there were regimes are mixed, without instant and betas.
"""

from __future__ import annotations

import bisect
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...tensor_file import TensorFile, write_tensors
from . import records
from .regimes import REGIMES, shots
from .render import render_posed
from .shard_files import make_files

HELD_OUT = 1_000_000
NAMED = 1 << 40  # from here on: numbers made of the names of captured people, who train
SHARD = 16
VERSION = "1"
_PER_VIEW = ("viewmats", "Ks", "transforms", "expression", "gaze", "is_face", "instant")
_PER_PERSON = ("joint_heads", "betas", "regime")


def is_held_out(seed: int) -> bool:
    """Whether the person of this seed is only measured on, never trained on."""
    return HELD_OUT <= seed < NAMED


def make_person_record(
    seed: int,
    height: int = 256,
    width: int = 192,
    body_views: int = 6,
    face_views: int = 4,
    regime: str = "mixed",
) -> dict[str, np.ndarray]:
    """One person in `body_views` full or upper body views and `face_views` views of head and shoulders.

    Returns the record described above, with `template_map` as uint16 steps (`records.restore_map` gives
    metres). In the regime "wild" the colours are those of a degraded photograph. "both" takes turns between
    studio and wild by the seed. The same arguments give the same bits.
    """
    from .person import sample_person
    from .photograph import photograph

    regime = regime_of(seed, regime)
    person = sample_person(seed)
    rng = np.random.default_rng([seed, 1])
    views = []
    for shot in shots(person, rng, regime, height, width, body_views, face_views):
        view = render_posed(person, shot.posed, shot.camera, shot.light)
        rgba, alpha = view.rgba, view.rgba[..., 3]
        if regime == "wild":
            picture = photograph(rng, rgba, regime, seed)
            rgba = np.dstack([np.where(alpha[..., None] > 0, picture.rgb, 0), alpha])
            alpha = np.where(picture.covered, 0, alpha)
        views.append(
            {
                "rgba": rgba,
                "template_map": records.quantise_map(view.template_map, alpha),
                "viewmats": np.asarray(shot.camera.viewmat, np.float32),
                "Ks": np.asarray(shot.camera.K, np.float32),
                "transforms": shot.posed.transforms[:, :3],
                "expression": shot.expression.astype(np.float32),
                "gaze": shot.gaze.astype(np.float32),
                "is_face": np.bool_(shot.is_face),
                "instant": np.int32(shot.instant),
            }
        )
    record = {name: np.stack([view[name] for view in views]) for name in views[0]}
    record["joint_heads"] = np.asarray(person.joint_heads, np.float32)
    record["betas"] = np.asarray(person.betas, np.float32)
    record["seed"] = np.int64(seed)
    record["regime"] = regime
    return record


def regime_of(seed: int, regime: str) -> str:
    """The regime of one person's pictures where `regime` may be "both"."""
    return ("studio", "wild")[seed % 2] if regime == "both" else regime


def _pack(records_made: list[dict]) -> dict[str, np.ndarray]:
    """Records -> flat tensors "<seed>.<name>"; pictures and maps as compressed bytes, one tensor per view."""
    tensors = {}
    for record in records_made:
        seed = int(record["seed"])
        for v, (rgba, steps) in enumerate(zip(record["rgba"], record["template_map"], strict=True)):
            tensors[f"{seed}.rgba.{v}"] = np.frombuffer(records.pack_picture(rgba), np.uint8)
            tensors[f"{seed}.map.{v}"] = np.frombuffer(records.pack_map(steps), np.uint8)
        for name in (*_PER_VIEW, "joint_heads", "betas"):
            tensors[f"{seed}.{name}"] = np.ascontiguousarray(record[name])
        tensors[f"{seed}.regime"] = np.array(REGIMES.index(record["regime"]), np.uint8)
    return tensors


def _write_shard(job: tuple[str, list[int], dict]) -> tuple[str, int]:
    path, seeds, options = job
    made = [make_person_record(seed, **options) for seed in seeds]
    metadata = {"version": VERSION, "seeds": ",".join(map(str, seeds))}
    metadata |= {"height": str(made[0]["rgba"].shape[1]), "width": str(made[0]["rgba"].shape[2])}
    write_tensors(path, _pack(made), **metadata)
    return path, len(seeds)


def shard_path(folder: Path, seeds: list[int]) -> Path:
    return Path(folder) / f"people-{seeds[0]:08d}-{len(seeds):03d}.safetensors"


def write_shards(folder, seeds, workers: int = 1, progress=print, shard: int = SHARD, **options) -> int:
    """Makes the shards that are missing in `folder` for `seeds`, `shard` people each; returns how many
    people were made.

    May be killed and started again at any time with the same seeds. options: those of `make_person_record`.
    """
    folder, seeds = Path(folder), list(seeds)
    folder.mkdir(parents=True, exist_ok=True)
    groups = [seeds[i : i + shard] for i in range(0, len(seeds), shard)]
    jobs = [(str(shard_path(folder, group)), group, options) for group in groups]
    return make_files(jobs, _write_shard, workers, progress)


class PeopleDataset:
    """The records of all shards in a folder, by position. Pictures stay on disk until asked for.

    `refresh` finds shards that were added meanwhile. Errors: `UserError` where the folder holds no shard or
    a shard cannot be read.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.refresh()

    def refresh(self) -> int:
        """Looks at the folder again; returns the number of records."""
        self._shards, self._starts, total = [], [], 0
        for path in sorted(self.folder.glob("people-*.safetensors")):
            shard = TensorFile(path, "shard of people", "Delete it and make it again.")
            if shard.metadata.get("version") != VERSION:
                raise shard.wrong(f"{path.name} was made by another version of this program.")
            try:
                seeds = [int(s) for s in shard.metadata["seeds"].split(",")]
                size = int(shard.metadata["height"]), int(shard.metadata["width"])
            except (KeyError, ValueError) as error:
                raise shard.wrong(f"{path.name} does not say whom it shows.") from error
            self._starts.append(total)
            self._shards.append((shard, seeds, size))
            total += len(seeds)
        if not total:
            raise UserError(f"There are no records of people in {self.folder}.", "Please make some first.")
        self._total = total
        return total

    def __len__(self) -> int:
        return self._total

    @property
    def seeds(self) -> list[int]:
        return [seed for _, seeds, _ in self._shards for seed in seeds]

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.load(index)

    def load(self, index: int, views=None, maps: bool = True) -> dict[str, np.ndarray]:
        """A record; only the given `views` (positions) are decoded, template maps only if `maps`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"There are {len(self)} records, none at {index}.")
        index %= len(self)
        number = bisect.bisect_right(self._starts, index) - 1
        shard, seeds, size = self._shards[number]
        seed = seeds[index - self._starts[number]]
        with shard.opened("numpy") as file:
            record = {
                name: file.get_tensor(f"{seed}.{name}")
                for name in (*_PER_VIEW, *_PER_PERSON)
                if f"{seed}.{name}" in shard.table
            }
            views = range(len(record["viewmats"])) if views is None else [int(v) for v in views]
            pictures = [file.get_tensor(f"{seed}.rgba.{v}").tobytes() for v in views]
            steps = [file.get_tensor(f"{seed}.map.{v}").tobytes() for v in views] if maps else []
        record = {name: value[list(views)] if name in _PER_VIEW else value for name, value in record.items()}
        record["regime"] = REGIMES[int(record.get("regime", 0))]
        record["rgba"] = np.stack([records.unpack_picture(data) for data in pictures])
        if maps:
            decoded = np.stack([records.unpack_map(data, *size) for data in steps])
            record["template_map"] = records.restore_map(decoded)
        record["seed"] = seed
        return record
