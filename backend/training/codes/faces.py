# SPDX-License-Identifier: GPL-3.0-or-later
"""Face crops of many people with several expressions each: what expression codes are learned from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...body.arkit import ARKIT_INDEX, ARKIT_NAMES
from ...body.skeleton import INDEX
from ...errors import UserError
from ...imaging.faces import face_crop, face_frame
from ...model.expression_codes import SIZE
from ..dataset.crops import ROOM
from ..dataset.shards import open_people
from ..network.disturb import FACE_JITTER, FACE_TURN, as_photos, jittered
from ..people.dataset import HELD_OUT, is_held_out, write_shards

FRAMES, FEWEST = 12, 3  # pictures made of a person, and how many at least must show the face
PICTURE = {"height": 160, "width": 120, "body_views": 0, "face_views": FRAMES}


@dataclass(frozen=True)
class Faces:
    """F pictures of P people: those from `starts[p]` to `starts[p + 1]` are person p's.

    crops uint8 straight RGBA [F,h,w,4], with `crops.ROOM` to spare; arkit [F,52]; gaze [F,2,2];
    turn [F,3,3]: the head's rotation as the camera sees it; starts [P+1].
    """

    crops: np.ndarray
    arkit: np.ndarray
    gaze: np.ndarray
    turn: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def person(self) -> np.ndarray:
        """[F]: whose picture each is."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @staticmethod
    def of_people(rows: list[tuple]) -> Faces:
        """From each person's crops, ARKit values, gazes and turns."""
        arrays = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        return Faces(*arrays, np.cumsum([0, *(len(row[0]) for row in rows)]))


def mirrored_names() -> np.ndarray:
    """For each of ARKit's values, the index of the one that it becomes in a mirror."""
    swap = {"Left": "Right", "Right": "Left"}
    other = [next((n.replace(a, b) for a, b in swap.items() if n.endswith(a)), n) for n in ARKIT_NAMES]
    return np.array([ARKIT_INDEX[name] for name in other])


def head_turn(record: dict) -> np.ndarray:
    """[V,3,3]: rotation of the head joint (its transform carries a size too), then of the camera."""
    head = record["transforms"][:, INDEX["head"], :3, :3]
    return record["viewmats"][:, :3, :3] @ (head / np.cbrt(np.linalg.det(head))[:, None, None])


def face_pictures(record: dict) -> tuple | None:
    """Crops, ARKit values, gazes and turns of a record's pictures of the head that show a face; None if they
    are fewer than `FEWEST`.
    """
    matte = record["rgba"][..., 3].astype(np.float32) / 255
    frames = {v: face_frame(matte[v], record["template_map"][v]) for v in np.flatnonzero(record["is_face"])}
    views = [v for v, frame in frames.items() if frame is not None]
    if len(views) < FEWEST:
        return None
    crops = np.stack([face_crop(record["rgba"][v], frames[v], ROOM) for v in views])
    arkit, gaze = (record[key][views].astype(np.float32) for key in ("expression", "gaze"))
    return crops, arkit, gaze, head_turn(record)[views].astype(np.float32)


def make_people(folder: Path, train: int, held_out: int, workers: int = 1, say=print) -> None:
    """Render the people that are missing in a folder for faces; safe to kill and start again."""
    for seeds in (range(HELD_OUT, HELD_OUT + held_out), range(train)):
        write_shards(folder, seeds, workers, say, **PICTURE)


def load_faces(folders: Iterable[Path]) -> tuple[Faces, Faces]:
    """The training and the held-out people of folders of people.

    Errors: `UserError` where fewer than two people remain on either side.
    """
    sides: tuple[list, list] = ([], [])
    for folder in folders:
        dataset = open_people(folder)
        for n, seed in enumerate(dataset.seeds):
            row = face_pictures(dataset.load(n))
            if row is not None:
                sides[is_held_out(seed)].append(row)
    if min(map(len, sides)) < 2:
        raise UserError(
            f"Too few people show their face in {FEWEST} pictures each.",
            "Training and held-out people (seeds from 1,000,000) are both needed.",
        )
    train, held = map(Faces.of_people, sides)
    return train, held


@dataclass(frozen=True)
class FaceBatch:
    """photos [P,K,4,H,W] masked, truth [P,K,4,H,W] premultiplied RGBA of the same faces, labels as `Faces`
    has them."""

    photos: Tensor
    truth: Tensor
    arkit: Tensor
    gaze: Tensor
    turn: Tensor


def draw_faces(faces: Faces, rng, people: int, frames: int) -> FaceBatch:
    """Some frames of some people, half of the people mirrored. Photos are shifted, scaled and turned as much
    as the estimator's crops are; what is to be drawn again is not.
    """
    rows = rng.choice(len(faces), people, replace=len(faces) < people)
    first, count = faces.starts[rows], np.diff(faces.starts)[rows]
    picks = [a + rng.permutation(n)[np.arange(frames) % n] for a, n in zip(first, count, strict=True)]
    take = lambda a: np.array(a[np.stack(picks)])  # noqa: E731
    crops, arkit, gaze, turn = map(take, (faces.crops, faces.arkit, faces.gaze, faces.turn))
    mirror = rng.random(people) < 0.5
    crops[mirror] = crops[mirror][..., ::-1, :]
    arkit[mirror] = arkit[mirror][..., mirrored_names()]
    gaze[mirror] = gaze[mirror][..., ::-1, :] * np.array([-1, 1], np.float32)
    turn[mirror] = turn[mirror] * np.outer([-1, 1, 1], [-1, 1, 1]).astype(np.float32)
    flat = crops.reshape(-1, *crops.shape[2:])
    truth = jittered(rng, flat, SIZE, 0.0)
    photos = as_photos(rng, jittered(rng, flat, SIZE, FACE_JITTER, FACE_TURN), True)
    split = lambda t: t.unflatten(0, (people, frames))  # noqa: E731
    tensor = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32))  # noqa: E731
    return FaceBatch(split(photos), split(truth), tensor(arkit), tensor(gaze), tensor(turn))


def plain_photos(crops: np.ndarray) -> Tensor:
    """Stored crops [n,h,w,4] as masked photos [n,4,H,W], undisturbed."""
    truth = jittered(np.random.default_rng(0), crops, SIZE, 0.0)
    return as_photos(np.random.default_rng(0), truth, True)
