# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of avatars of held-out people: `lca eval --split studio --views 4`.

The photos go the way a user's photos go: estimated mattes, correspondences and bodies. Targets are views,
poses and expressions that no photo shows; the avatar is driven with the true skeleton, expression and gaze by
`Avatar.drive`, and compared on the person's pixels, everything over grey.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...avatar import Avatar, Signal
from ...body.template import load_template
from ...errors import UserError
from ...likeness.places import load_places
from ...model.create import create_avatar, place_anchors
from ...model.lca import LCA
from ...model.views import InputViews, PixelSource
from ...raster import rasterize
from ...raster.camera import Camera
from ..dataset.crops import HEAD_HEIGHT, body_box, face_box, tight_crop
from ..dataset.shards import ShardFolder
from ..dataset.signals import square
from ..dataset.surfaces import shows
from ..network.losses import over, person_psnr
from .measures import similarity

HELD_OUT_SHAPE = {"views": 13, "size": 384, "shard": 1}  # of a synthetic person: 8 of the body, 5 of the head
TARGETS = (2, 5, 7, 10, 12)  # of these, see `split_views`
MOST_PHOTOS = 8
CANDIDATES = 16  # whose avatars retrieval chooses from
GREY = torch.tensor(0.5)


@dataclass(frozen=True)
class Subject:
    """A person with an avatar: the record, the views that are photos, and those that are targets."""

    record: dict
    avatar: Avatar
    photos: np.ndarray
    targets: np.ndarray


def held_out_people(folder: str | Path, split: str, people: int, say: Callable[[str], None]) -> ShardFolder:
    """The first `people` held-out persons of a regime; made where they are not in `folder` yet. `UserError`
    where those in it are not whom the generator makes today.
    """
    from ..people.dataset import HELD_OUT
    from ..people.person import sample_person
    from ..people.synth import write_synth

    folder = Path(folder) / split
    write_synth(folder, people, HELD_OUT, split, progress=say, clean=TARGETS, **HELD_OUT_SHAPE)
    found = ShardFolder(folder)
    found.samples = found.samples[:people]
    first = found.load(0, views=[0], maps=False)
    if not shows(first, sample_person(int(first["seed"]))):
        raise UserError(
            f"The people in {folder} were made by another version of the generator.",
            "Remove the folder; they are made again.",
        )
    return found


def split_views(record: dict) -> tuple[np.ndarray, np.ndarray]:
    """(photos, targets): positions of a record's views.

    Of the views of the body and of those of the head, every third and the last are targets. Photos come in
    the order in which they tell most: the body from the front, the head, the body from behind, the sides.
    `UserError` where that leaves no target.
    """
    is_face = record["is_face"].astype(bool)
    photos, targets = [], []
    for kind, joint in ((~is_face, "pelvis"), (is_face, "head")):
        views = np.flatnonzero(kind)
        target = (np.arange(len(views)) % 3 == 2) | (np.arange(len(views)) == len(views) - 1)
        if len(views) > 1:
            targets.append(views[target])
            views = views[~target]
        photos.append([views[i] for i in _from_all_sides(_azimuths(record, views, joint))])
    if not targets:
        raise UserError("No view is left to compare with.", "Two of the body or two of the head are needed.")
    bodies, heads = photos
    order = []
    for n in range(len(bodies) + len(heads)):  # body, head, body, body, head, body, body, head
        order.append((heads if heads and (n % 3 == 1 or not bodies) else bodies).pop(0))
    return np.array(order), np.concatenate(targets)


def _azimuths(record: dict, views: Sequence[int], joint: str) -> np.ndarray:
    """Where the cameras stand round a joint: radians, 0 in front of the person."""
    template = load_template()
    j = template.joint_names.index(joint)
    moved = record["transforms"][views, j].astype(np.float64)
    at = moved[:, :3, :3] @ template.joint_heads[j] + moved[:, :3, 3]
    world = np.linalg.inv(record["viewmats"][views].astype(np.float64))[:, :3, 3]
    x, y, _ = np.einsum("vji,vj->iv", moved[:, :3, :3], world - at)
    return np.arctan2(x, -y)


def _from_all_sides(azimuths: np.ndarray) -> list[int]:
    """The one nearest the front, then always the one farthest from all before."""
    if not len(azimuths):
        return []
    order = [int(np.argmin(np.abs(azimuths)))]
    apart = np.abs(np.angle(np.exp(1j * (azimuths[:, None] - azimuths[None]))))
    while len(order) < len(azimuths):
        gap = apart[:, order].min(1)
        gap[order] = -1
        order.append(int(np.argmax(gap)))
    return order


def true_views(record: dict, config, photos: Sequence[int] | None = None) -> InputViews:
    """A record's photos (those of `split_views`) with its true mattes and correspondences. `UserError` where
    none shows the body.
    """
    views = split_views(record)[0] if photos is None else photos
    rgba = record["rgba"]
    matte, points = rgba[..., 3].astype(np.float32) / 255, record["template_map"].astype(np.float32)
    bodies = {v: b for v in views if not record["is_face"][v] and (b := body_box(matte[v])) is not None}
    if not bodies:
        raise UserError("No photo shows the person's body.")
    boxes = {v: face_box(matte[v], points[v]) for v in views}
    faces = [tight_crop(rgba[v], boxes[v], config.face_size) for v in views if boxes[v] is not None]
    return InputViews(
        body=np.stack([tight_crop(rgba[v], box, config.body_size) for v, box in bodies.items()]),
        face=np.stack(faces) if faces else np.zeros((0, *config.face_size, 4), np.float32),
        sources=tuple(
            PixelSource(rgba[v, ..., :3].astype(np.float32) / 255, matte[v] * points[v].any(-1), points[v])
            for v in views
        ),
    )


def estimated_avatar(
    record: dict, model: LCA, estimator, photos: Sequence[int], anchors, refine: bool = False
) -> Avatar:
    """The avatar of a record's frames, made as a user's photos are."""
    from ...from_photos import avatar_from_reading
    from ...imaging.photos import photo_from_array
    from ...imaging.reading import read_photos

    frames = [photo_from_array(record["rgba"][v, ..., :3], f"Photo {v + 1}") for v in photos]
    reading = read_photos(frames, estimator)
    return avatar_from_reading(reading, model, anchors=anchors, refine=refine).avatar


def target_signal(record: dict, view: int) -> Signal:
    """The true skeleton, expression and gaze of a view, and its expression code where the record has one."""
    take = lambda key: torch.from_numpy(np.asarray(record[key][view], np.float32))  # noqa: E731
    code = take("code") if "code" in record else None
    transforms = torch.from_numpy(square(record["transforms"][view]))
    return Signal(transforms, take("expression"), take("gaze"), code)


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
    return _psnr(image, target, target[..., 3] > 0.5), _iou(image, target)


def _psnr(image: Tensor, target: Tensor, mask: Tensor) -> float:
    return float(person_psnr(over(image, GREY)[None], over(target, GREY)[None], mask[None]))


def _iou(image: Tensor, target: Tensor) -> float:
    mask, own = target[..., 3] > 0.5, image[..., 3] > 0.5
    return float((own & mask).sum() / (own | mask).sum().clamp(min=1))


def scores(image: Tensor, target: Tensor, seen: Tensor, head: Tensor, perceptual=None) -> dict:
    """One target's numbers. image, target: premultiplied RGBA [H,W,4]; seen, head [H,W] bool: the person's
    pixels, and those of the head among them.

    l1 and psnr over seen pixels; ssim: the mean over these of `similarity`; psnr_face over the head's; lpips
    of the whole picture by `perceptual`([1,H,W,3], [1,H,W,3]).
    """
    a, b = over(image, GREY), over(target, GREY)
    seen_image = torch.where(seen[..., None], a, GREY)
    return {
        "l1": float((a - b).abs()[seen].mean()),
        "ssim": float(similarity(a.numpy(), b.numpy())[seen.numpy()].mean()),
        "psnr": _psnr(image, target, seen),
        "psnr_face": _psnr(image, target, head) if head.any() else np.nan,
        "lpips": float(perceptual(seen_image[None], torch.where(seen[..., None], b, GREY)[None]))
        if perceptual
        else np.nan,
        "iou": _iou(image, target),
    }


def mean_avatar(avatars: list[Avatar]) -> Avatar:
    """The average of avatars with the same anchors, or of what lies at the template's places of avatars made
    of photos; scales are averaged as logarithms.
    """
    avatars = [_at_places(avatar) for avatar in avatars]
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
        header={**first.header, "name": "Average person", "photos": []},
    )


def _at_places(avatar: Avatar) -> Avatar:
    """Without the photos' own pixels, which come after the places."""
    count = len(load_places())
    if len(avatar) <= count:
        return avatar
    each = [
        "means",
        "offsets",
        "quats",
        "scales",
        "opacities",
        "colors",
        "skin_indices",
        "skin_weights",
        "token",
        "slot",
    ]
    on_places = avatar.expression_rows < count
    return replace(
        avatar,
        **{name: getattr(avatar, name)[:count] for name in each},
        expression_rows=avatar.expression_rows[on_places],
        expression_basis=avatar.expression_basis[:, on_places],
    )


def make_subjects(
    model: LCA,
    people,
    views: int,
    tokens: int | None = None,
    estimator=None,
    say=lambda text: None,
    refine: bool = False,
) -> tuple[list[Subject], int]:
    """Avatars of people (records by position) from `views` photos each, and how many could not be made, as
    where nobody is found in the photos; estimator None reads true correspondences instead of estimating;
    refine: as a user's avatars are, which takes some times as long. `UserError` where none could.
    """
    subjects, failed, anchors = [], 0, place_anchors(model.config, tokens)
    for n in range(len(people)):
        say(f"Avatar {n + 1} of {len(people)}")
        record = people.load(n)
        try:
            photos, targets = split_views(record)
            if estimator is None:
                inputs = true_views(record, model.config, photos[:views])
                avatar = create_avatar(inputs, model, tokens, anchors=anchors)
            else:
                avatar = estimated_avatar(record, model, estimator, photos[:views], anchors, refine)
        except UserError as error:
            say(str(error))
            failed += 1
            continue
        subjects.append(Subject(record, avatar, photos[:views], targets))
    if not subjects:
        raise UserError("Nobody's avatar could be made; there is nothing to compare.")
    return subjects, failed


@torch.no_grad()
def score_subject(subject: Subject, perceptual=None) -> list[dict]:
    """`scores` of every target, with what kind it is: is_face, new_pose (no photo shows its instant)."""
    record, rows = subject.record, []
    shown = set(record["instant"][subject.photos].tolist())
    for view in subject.targets:
        target = truth(record, view)
        seen, on_face = target[..., 3] > 0.5, bool(record["is_face"][view])
        head = torch.zeros_like(seen)
        if "template_map" in record:
            points = torch.from_numpy(record["template_map"][view])
            seen = seen & points.any(-1)
            head = seen & (points[..., 2] > HEAD_HEIGHT) if on_face else head
        row = scores(picture(subject.avatar, record, view), target, seen, head, perceptual)
        rows.append(row | {"is_face": on_face, "new_pose": int(record["instant"][view]) not in shown})
    return rows


def evaluate(
    model: LCA,
    people,
    views: int = MOST_PHOTOS,
    tokens: int | None = None,
    estimator=None,
    perceptual=None,
    say: Callable[[str], None] = lambda text: None,
    subjects: list | None = None,
    refine: bool = False,
) -> dict:
    """Mean numbers over all targets of `people` (such as `held_out_people`) from `views` photos each.

    l1, ssim, psnr, psnr_face, lpips, iou: see `scores`; psnr_new_view: of poses that a photo shows,
    psnr_new_pose: of others; psnr_body, psnr_head by what the target shows; psnr_swapped: the next person's
    avatar in the same pose; psnr_mean_avatar: the average of the others; retrieval_top1: how often the first
    target is matched best by the own avatar among `CANDIDATES`; None where there is nothing to measure.
    people, failed: how many; seconds_create, seconds_score per person. `subjects` collects the `Subject`s.
    """
    start = time.monotonic()
    made, failed = make_subjects(model, people, views, tokens, estimator, say, refine)
    created = time.monotonic()
    rows, others = [], []
    for i, subject in enumerate(made):
        say(f"Scoring person {i + 1} of {len(made)}")
        rows += score_subject(subject, perceptual)
        if len(made) > 1:
            others.append(_against_others(made, i))
    if subjects is not None:
        subjects += made
    result = {
        key: _mean(row[key] for row in rows) for key in ("l1", "ssim", "psnr", "psnr_face", "lpips", "iou")
    }
    result["psnr_new_view"] = _mean(row["psnr"] for row in rows if not row["new_pose"])
    result["psnr_new_pose"] = _mean(row["psnr"] for row in rows if row["new_pose"])
    result["psnr_body"] = _mean(row["psnr"] for row in rows if not row["is_face"])
    result["psnr_head"] = _mean(row["psnr"] for row in rows if row["is_face"])
    for key in ("psnr_swapped", "psnr_mean_avatar", "retrieval_top1"):
        result[key] = _mean(other[key] for other in others)
    result |= {"views": views, "people": len(made), "failed": failed}
    result["seconds_create"] = round((created - start) / len(people), 2)
    result["seconds_score"] = round((time.monotonic() - created) / len(made), 2)
    return result


def _mean(values) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return round(float(np.mean(known)), 4) if known else None


def _against_others(made: list[Subject], i: int) -> dict:
    """How well other people's avatars do in a person's place."""
    subject = made[i]
    average = mean_avatar([s.avatar for n, s in enumerate(made) if n != i])
    swapped = made[(i + 1) % len(made)].avatar
    targets = [(view, truth(subject.record, view)) for view in subject.targets]
    psnr = lambda avatar, view, target: compare(picture(avatar, subject.record, view), target)[0]  # noqa: E731
    some = [made[(i + n) % len(made)].avatar for n in range(min(CANDIDATES, len(made)))]
    return {
        "psnr_swapped": np.mean([psnr(swapped, *target) for target in targets]),
        "psnr_mean_avatar": np.mean([psnr(average, *target) for target in targets]),
        "retrieval_top1": float(np.argmax([psnr(avatar, *targets[0]) for avatar in some]) == 0),
    }
