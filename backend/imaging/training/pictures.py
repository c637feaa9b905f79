# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that the correspondence network is trained and measured on, made as they are needed."""

import itertools
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from ...body.skeleton import INDEX
from ...body.template import load_template
from ...people.dataset import PeopleDataset, is_held_out
from ...people.surroundings import Backgrounds
from ..network import NetworkConfig
from .augment import Sample, make_empty_sample, make_sample

EMPTY_SHARE = 0.12
FULL_SIZE, SMALL_SIZE = NetworkConfig().input_size, (128, 96)
POOL = 20  # records a loader draws from at a time
VIEWS, LOADED_VIEWS = 10, 5  # of a record; how many of them are decoded


class Folders:
    """The records of several folders of people, one after the other."""

    def __init__(self, folders: list[Path]):
        self.datasets = [PeopleDataset(folder) for folder in folders]

    def refresh(self) -> int:
        return sum(dataset.refresh() for dataset in self.datasets)

    @property
    def seeds(self) -> list[int]:
        return [seed for dataset in self.datasets for seed in dataset.seeds]

    def load(self, index: int, views=None) -> dict:
        for dataset in self.datasets:
            if index < len(dataset):
                return dataset.load(index, views)
            index -= len(dataset)
        raise IndexError(index)


class TrainingPictures(IterableDataset):
    """An endless stream of collated batches; every worker has its own random numbers.

    `full_size` (a shared integer) decides on the size of the batches that are begun from now on. People
    that are added to the folders meanwhile are found.
    """

    def __init__(
        self, folders: list[Path], held_out: set[int], backgrounds: Path | None, batch: int, seed: int
    ):
        self.folders, self.held_out, self.backgrounds = folders, held_out, backgrounds
        self.batch, self.seed = batch, seed
        self.full_size = multiprocessing.Value("i", 1)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        people = Folders(self.folders)
        background = Backgrounds(self.backgrounds, self.seed)
        torch.set_num_threads(1)
        pool: list[dict] = []
        for turn in itertools.count():
            if turn % 200 == 0:
                people.refresh()
                usable = [i for i, seed in enumerate(people.seeds) if seed not in self.held_out]
            views = rng.permutation(VIEWS)[:LOADED_VIEWS]
            fresh = people.load(usable[rng.integers(len(usable))], views)
            if len(pool) < POOL:
                pool.append(fresh)
                continue
            pool[rng.integers(POOL)] = fresh
            size = FULL_SIZE if self.full_size.value else SMALL_SIZE
            chosen = [pool[index] for index in rng.integers(len(pool), size=self.batch)]
            yield collate([random_sample(rng, record, background, size) for record in chosen])


def view_weights(record: dict) -> np.ndarray:
    """[V], sum 1: how often each view is drawn. Views from behind and raised hands are rare in the records
    and hard to tell; they count three times and twice.
    """
    transforms, viewmats = record["transforms"], record["viewmats"]
    is_face = np.asarray(record["is_face"], bool)
    centre = -np.einsum("vji,vj->vi", viewmats[:, :3, :3], viewmats[:, :3, 3])
    main = transforms[np.arange(len(is_face)), np.where(is_face, INDEX["head"], INDEX["pelvis"])]
    head = transforms[:, INDEX["head"]]
    towards = centre - (head @ [0, 0, 1.6, 1])
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    ahead = -(main[..., 1] * towards).sum(1)
    heads = np.concatenate([load_template().joint_heads, np.ones((len(INDEX), 1))], 1)
    heights = np.einsum("vjk,jk->vj", transforms[:, :, 2], heads)  # of the joints above the ground
    raised = np.zeros(len(is_face), bool)
    for side in "LR":
        raised |= heights[:, INDEX[f"hand.{side}"]] > heights[:, INDEX[f"upper_arm.{side}"]]
    weight = np.where(ahead < -0.3, 3.0, 1.0) * np.where(raised & ~is_face, 2.0, 1.0)
    return weight / weight.sum()


def random_sample(
    rng: np.random.Generator, record: dict, background: Backgrounds, size: tuple[int, int]
) -> Sample:
    """One augmented picture of a random view of a record, sometimes one without a person."""
    if rng.random() < EMPTY_SHARE:
        return make_empty_sample(rng, background, *size, background.put_thing)
    view = rng.choice(len(record["rgba"]), p=view_weights(record))
    rgba, points = record["rgba"][view], record["template_map"][view]
    return make_sample(rng, rgba, points, background, *size, background.put_thing)


def collate(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(rgb uint8 [B,H,W,3], alpha uint8 [B,H,W], points float16 [B,H,W,3])"""
    return tuple(
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples]))
        for name in ("rgb", "alpha", "points")
    )


def held_out_seeds(dataset: Folders) -> list[int]:
    """Seeds that are only measured on; without any held out, the last twentieth of all."""
    seeds = sorted(dataset.seeds)
    return [seed for seed in seeds if is_held_out(seed)] or seeds[-max(1, len(seeds) // 20) :]


def evaluation_batches(dataset: Folders, seeds: list[int], folder: Path | None, count: int = 96):
    """The same pictures every time: `count` of them in batches of 16."""
    rng = np.random.default_rng(7)
    background = Backgrounds(folder)
    records = [dataset.load(dataset.seeds.index(seed)) for seed in seeds[:24]]
    samples = [
        random_sample(rng, records[index % len(records)], background, FULL_SIZE) for index in range(count)
    ]
    return [collate(samples[start : start + 16]) for start in range(0, count, 16)]
