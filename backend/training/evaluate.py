# SPDX-License-Identifier: GPL-3.0-or-later
"""How good are avatars of people the network never saw? `lca eval --model starter --people 32 --json`.

The photos go the way a user's photos go: random backgrounds, estimated mattes and correspondences. Targets
are views and poses that no photo shows, driven with the true skeleton, and are compared on the person's
pixels over grey.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..avatar import Avatar, Signal
from ..model.create import create_avatar
from ..model.lca import LCA
from ..model.views import InputViews, PixelSource
from ..people.dataset import HELD_OUT
from ..raster import rasterize
from ..raster.camera import Camera
from .losses import over, person_psnr
from .prepare import body_box, face_box, square, tight_crop

PHOTOS_BODY, PHOTOS_FACE = 4, 2
MEAN_PEOPLE = 32


@dataclass(frozen=True)
class Subject:
    """A person with an avatar: the record, and the views that are targets."""

    record: dict
    avatar: Avatar
    targets: np.ndarray


def photo_views(record: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of a record's body photos, face photos and targets; they share no view."""
    is_face = record["is_face"].astype(bool)
    bodies, heads = np.flatnonzero(~is_face), np.flatnonzero(is_face)
    targets = np.concatenate([bodies[PHOTOS_BODY:], heads[PHOTOS_FACE:]])
    return bodies[:PHOTOS_BODY], heads[:PHOTOS_FACE], targets


def true_views(record: dict, config) -> InputViews:
    """A record's photos with its true mattes and correspondences."""
    bodies, heads, _ = photo_views(record)
    rgba = record["rgba"]
    matte, points = rgba[..., 3].astype(np.float32) / 255, record["template_map"].astype(np.float32)
    views = np.concatenate([bodies, heads])
    boxes = {v: face_box(matte[v], points[v]) for v in views}
    faces = [tight_crop(rgba[v], boxes[v], config.face_size) for v in views if boxes[v] is not None]
    return InputViews(
        body=np.stack([tight_crop(rgba[v], body_box(matte[v]), config.body_size) for v in bodies]),
        face=np.stack(faces) if faces else np.zeros((0, *config.face_size, 4), np.float32),
        sources=tuple(
            PixelSource(rgba[v, ..., :3].astype(np.float32) / 255, matte[v], points[v]) for v in views
        ),
    )


def estimated_views(record: dict, config, estimator, rng: np.random.Generator) -> InputViews:
    """A record's photos over random backgrounds, read by the imaging part alone."""
    from ..imaging.photos import photo_from_array
    from ..imaging.views import prepare_views
    from ..people.backgrounds import compose_background

    bodies, heads, _ = photo_views(record)
    pictures = [compose_background(rng, record["rgba"][v]) for v in np.concatenate([bodies, heads])]
    return prepare_views([photo_from_array(np.asarray(p)[..., :3]) for p in pictures], estimator, config)


def records(seeds: Iterable[int], data: Path | None):
    """Rendered people, from a dataset folder where it has them, else made now."""
    from ..people.dataset import PeopleDataset, make_person_record
    from ..people.records import restore_map

    dataset = PeopleDataset(data) if data is not None else None
    place = {seed: n for n, seed in enumerate(dataset.seeds)} if dataset is not None else {}
    for seed in seeds:
        if seed in place:
            yield dataset.load(place[seed])
        else:
            record = make_person_record(seed)
            yield {**record, "template_map": restore_map(record["template_map"])}


def target_signal(record: dict, view: int) -> Signal:
    """The true skeleton, expression and gaze of a view."""
    take = lambda key: torch.from_numpy(np.asarray(record[key][view], np.float32))  # noqa: E731
    return Signal(torch.from_numpy(square(record["transforms"][view])), take("expression"), take("gaze"))


@torch.no_grad()
def picture(avatar: Avatar, record: dict, view: int) -> Tensor:
    """Premultiplied RGBA [H,W,4] of an avatar driven and seen as a record's view."""
    height, width = record["rgba"].shape[1:3]
    camera = Camera(record["viewmats"][view], record["Ks"][view], width, height)
    return rasterize(avatar.drive(target_signal(record, view)), camera)["combined"]


def truth(record: dict, view: int) -> Tensor:
    """Premultiplied RGBA [H,W,4] of a record's view."""
    rgba = torch.from_numpy(record["rgba"][view].astype(np.float32) / 255)
    return torch.cat([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1)


def compare(image: Tensor, target: Tensor) -> tuple[float, float]:
    """PSNR on the person's pixels and silhouette IoU."""
    mask, own = target[..., 3] > 0.5, image[..., 3] > 0.5
    grey = torch.tensor(0.5)
    value = person_psnr(over(image, grey)[None], over(target, grey)[None], mask[None])
    return float(value), float((own & mask).sum() / (own | mask).sum().clamp(min=1))


def mean_avatar(avatars: list[Avatar]) -> Avatar:
    """The average of avatars with the same anchors; scales are averaged as logarithms."""
    first = avatars[0]
    mean = lambda key: torch.stack([getattr(a, key).float() for a in avatars]).mean(0)  # noqa: E731
    quats = torch.stack([a.quats.float() for a in avatars])
    sign = torch.where((quats * quats[:1]).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    scales = torch.stack([a.scales.float().clamp(min=1e-6).log() for a in avatars]).mean(0).exp()
    return replace(
        first,
        **{k: mean(k) for k in ("means", "offsets", "opacities", "colors", "token_bias")},
        quats=normalize((quats * sign).mean(0), dim=-1),
        scales=scales,
        thumbnails=(),
        header={**first.header, "name": "Average of the training people", "photos": []},
    )


def training_mean(model: LCA, data: Path | None, tokens: int | None, stored: Path | None, say) -> Avatar:
    """The average avatar of training people; kept in `stored` once made."""
    if stored is not None and stored.is_file():
        avatar = Avatar.load(stored)
        if len(avatar) == (tokens or model.config.tokens) * model.config.gaussians_per_token:
            return avatar
    avatars = []
    for n, record in enumerate(records(range(MEAN_PEOPLE), data)):
        say(f"Average avatar: person {n + 1} of {MEAN_PEOPLE}")
        avatars.append(create_avatar(true_views(record, model.config), model, tokens))
    avatar = mean_avatar(avatars)
    if stored is not None:
        avatar.save(stored)
    return avatar


def evaluate(
    model: LCA,
    people: int = 32,
    data: Path | None = None,
    tokens: int | None = None,
    estimator=None,
    mean_path: Path | None = None,
    say=lambda text: None,
    pictures: list | None = None,
) -> dict:
    """Scores over `people` held-out people; estimator None reads true correspondences instead of estimating.

    psnr; psnr_mean_avatar: the average training person in the same pose; psnr_swapped: the next person's
    avatar; retrieval_top1: whose avatar matches a target best, among all; iou; psnr_body and psnr_face by
    kind of target; people; failed: people in whose photos nobody was found. `pictures` collects (target, own,
    mean, swapped) of every target.
    """
    subjects, failed = _subjects(model, people, data, tokens, estimator, say)
    average = training_mean(model, data, tokens, mean_path, say)
    rows, hits = [], 0
    for i, subject in enumerate(subjects):
        say(f"Scoring person {i + 1} of {len(subjects)}")
        other = subjects[(i + 1) % len(subjects)].avatar
        for view in subject.targets:
            target = truth(subject.record, view)
            images = [picture(a, subject.record, view) for a in (subject.avatar, average, other)]
            scores = [compare(image, target) for image in images]
            on_face = bool(subject.record["is_face"][view])
            rows.append((scores[0][0], scores[1][0], scores[2][0], scores[0][1], on_face))
            if pictures is not None:
                pictures.append((target, *images))
        view = subject.targets[0]
        target = truth(subject.record, view)
        all_scores = [compare(picture(s.avatar, subject.record, view), target)[0] for s in subjects]
        hits += int(np.argmax(all_scores) == i)
    table = np.array(rows, np.float64)
    own, average_psnr, swapped, iou = table[:, :4].mean(0)
    result = {
        "psnr": own,
        "psnr_mean_avatar": average_psnr,
        "psnr_swapped": swapped,
        "retrieval_top1": hits / len(subjects),
        "iou": iou,
        "psnr_body": table[table[:, 4] == 0, 0].mean(),
        "psnr_face": table[table[:, 4] == 1, 0].mean() if (table[:, 4] == 1).any() else float("nan"),
    }
    return {**{k: round(float(v), 3) for k, v in result.items()}, "people": len(subjects), "failed": failed}


def _subjects(model, people, data, tokens, estimator, say) -> tuple[list[Subject], int]:
    from ..errors import UserError

    subjects, failed = [], 0
    for n, record in enumerate(records(range(HELD_OUT, HELD_OUT + people), data)):
        say(f"Avatar {n + 1} of {people}")
        try:
            if estimator is None:
                views = true_views(record, model.config)
            else:
                views = estimated_views(record, model.config, estimator, np.random.default_rng([7, n]))
        except UserError:
            failed += 1
            continue
        subjects.append(Subject(record, create_avatar(views, model, tokens), photo_views(record)[2]))
    if len(subjects) < 2:
        raise UserError("Fewer than two people could be made into avatars; there is nothing to compare.")
    return subjects, failed
