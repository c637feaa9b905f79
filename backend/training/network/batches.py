# SPDX-License-Identifier: GPL-3.0-or-later
"""One training batch from prepared people, drawn from a generator that the step number seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...model.config import ModelConfig
from ...model.expression_codes import SIZE
from ...model.matching import SiteColors, combine
from ...raster.camera import Camera
from ..dataset.crops import ROOM
from ..dataset.faces import face_crop
from ..dataset.prepared import DISTANCE_STEP, ERROR_STEP, PreparedPeople, PreparedPerson
from .anchor_pool import PooledAnchors
from .config import BatchRecipe
from .disturb import FACE_JITTER, FACE_TURN, as_photos, jittered, over_grey
from .noise import NoiseBank

READ = 0.5  # of the targets that show a face are driven by the code read from it, the others by sliders


@dataclass(frozen=True)
class Batch:
    """B people: photos [B,V,C,H,W], sampled [B,M,4] or None, and R targets each.

    signals [B,R,S], expression [B,R,52], gaze [B,R,2,2], transforms [B,R,J,3,4], targets [B,R,h,w,4]
    premultiplied, visible [B,R,h,w,1] share of every pixel that nothing else hides (targets hold that share
    alone), cameras B lists of R, offsets [B,M,3] metres from the template to the true surface, NaN where
    that is not known. For networks with expression codes: acted [B,R,4,h,w], the targets' faces, shown [B,R]
    whether there is one, read [B,R] whether its code drives.
    """

    anchors: PooledAnchors
    body: Tensor
    face: Tensor
    sampled: Tensor | None
    signals: Tensor
    expression: Tensor
    transforms: Tensor
    targets: Tensor
    visible: Tensor
    cameras: list[list[Camera]]
    offsets: Tensor
    gaze: Tensor
    acted: Tensor | None = None
    shown: Tensor | None = None
    read: Tensor | None = None


@dataclass(frozen=True)
class Choice:
    """Which views of a person play which part: indices of photos, of close-ups of the head, of targets."""

    photos: np.ndarray
    faces: np.ndarray
    targets: np.ndarray


def choose_views(
    rng, is_face: np.ndarray, has_face: np.ndarray, photos: int, faces: int, targets: int
) -> Choice:
    """Photos and targets never share a view. The first target shows the body, later ones head or body; the
    first photo shows the body where one is left. `faces` close-ups are cut from the photos that show a head,
    the head's own first; without any, from views that are no targets. Where views are few, targets repeat.
    Needs two views, one of them of the body.
    """
    bodies, heads = rng.permutation(np.flatnonzero(~is_face)), rng.permutation(np.flatnonzero(is_face))
    target, bodies = [bodies[0]], bodies[1:]
    for _ in range(min(targets, len(is_face) - 1) - 1):
        if (len(heads) > 1 and (rng.random() < 0.5 or len(bodies) <= 1)) or len(heads) == len(bodies) == 1:
            target, heads = [*target, heads[0]], heads[1:]
        else:
            target, bodies = [*target, bodies[0]], bodies[1:]
    rest = rng.permutation(np.concatenate([bodies[1:], heads]))
    order = np.concatenate([bodies[:1], rest])
    chosen = order[np.arange(photos) % len(order)]
    near = np.unique(chosen[has_face[chosen]])
    if not len(near):
        near = heads if len(heads) else order
    near = rng.permutation(near)
    near = near[np.argsort(~is_face[near], kind="stable")]
    return Choice(chosen, near[np.arange(faces) % len(near)], np.resize(target, targets))


def window(rng, rgba: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int]:
    """(left, top, divisor) of a target: the view around the person, reduced so far that the person fits and
    either its height or its width; or a piece of the person in full.
    """
    view = np.array(rgba.shape[:2])
    seen = np.argwhere(rgba[::8, ::8, 3] > 127) * 8
    low, high = (seen.min(0), np.minimum(seen.max(0) + 8, view)) if len(seen) else (0 * view, view)
    fitting = lambda sides: -(-sides // size)  # noqa: E731
    divisor = int(max(fitting(view).min(), fitting(high - low).max()))
    middle = (low + high) // 2
    if divisor > 1 and rng.random() >= 0.5 and len(seen):
        middle, divisor = seen[rng.integers(len(seen))], 1
    part = np.array(size) * divisor
    top, left = np.clip(middle - part // 2, 0, np.maximum(view - part, 0))
    return int(left), int(top), divisor


def cut_target(rgba: np.ndarray, place: tuple[int, int, int], size: tuple[int, int]) -> np.ndarray:
    """float32 [h,w,5] of a view as `PreparedPerson.view` gives it: what is visible of it, premultiplied, and
    the share that is visible. Beyond the view's edge nothing is.
    """
    left, top, divisor = place
    height, width = size[0] * divisor, size[1] * divisor
    part = rgba[top : top + height, left : left + width].astype(np.float32) / 255
    part[..., :3] *= part[..., 3:4]
    part[..., :4] *= part[..., 4:]  # before the mean: a thing's own colour must not count
    part = np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)))
    return part.reshape(size[0], divisor, size[1], divisor, -1).mean((1, 3))


def cut_camera(
    viewmat: np.ndarray, k: np.ndarray, place: tuple[int, int, int], size: tuple[int, int]
) -> Camera:
    """The camera of `cut_target`'s picture."""
    left, top, divisor = place
    k = k.astype(np.float64).copy()
    k[0, 2] -= left
    k[1, 2] -= top
    k[:2] /= divisor
    return Camera(viewmat, k, size[1], size[0])


@dataclass(frozen=True)
class Disturbance:
    """How a batch's photos differ from what was rendered, drawn per view of a person.

    gains [V,3] multiply colours; `estimated`: the photos are explained by the estimator, not by the truth.
    """

    gains: np.ndarray
    estimated: bool


def disturbance(file, recipe: BatchRecipe, rng) -> Disturbance:
    """Draw one person's."""
    views = len(file.is_face)
    gains = rng.normal(0, recipe.photometric, (views, 1)) + rng.normal(0, recipe.photometric / 2, (views, 3))
    estimated = rng.random() < recipe.estimated_fraction and file.estimated is not None
    return Disturbance(np.exp(gains).astype(np.float32), estimated)


def sampled_colors(
    file: PreparedPerson,
    views: np.ndarray,
    pool: PooledAnchors,
    change: Disturbance,
    rng,
    bank: NoiseBank | None,
) -> np.ndarray:
    """[M,4] colour and log weight of the photos at an anchor set's Gaussians: as the estimator found them,
    or the truth with errors like its own.
    """
    rgb, distance, error, size = [], [], [], []
    for view in np.unique(views):
        source = file.source(view, change.estimated)
        site, lost = pool.site, None
        if bank is not None and not source.estimated:
            index, holes = bank.draw(rng)
            site, lost = index[pool.site], holes[pool.site]
        rgb.append(np.minimum(source.rgb[site] * (change.gains[view] / 255), 1))
        d = source.distance[site] * np.float32(DISTANCE_STEP)
        distance.append(d if lost is None else np.where(lost, 1.0, d).astype(np.float32))
        error.append(source.error[site] * np.float32(ERROR_STEP))
        size.append(source.pixel_size)
    colors = SiteColors(np.stack(rgb), np.stack(distance), np.array(size, np.float32), np.stack(error))
    return combine(colors, pool.radius)


def make_batch(
    people: PreparedPeople,
    pool: PooledAnchors,
    config: ModelConfig,
    recipe: BatchRecipe,
    rng,
    bank: NoiseBank | None,
    share: tuple[int, int] = (0, 1),
) -> Batch:
    """Draw people, views, crops and noise from `rng`; of the recipe's people, those of process `share` =
    (number, of how many).
    """
    photos = int(rng.integers(recipe.photos[0], recipe.photos[1] + 1))
    faces = int(rng.integers(0, min(photos, recipe.most_faces) + 1))
    show = config.sampled_pixels and rng.random() >= recipe.hidden_fraction
    chosen = rng.choice(len(people), recipe.people, replace=len(people) < recipe.people)
    seeds = rng.integers(0, 2**63, recipe.people)
    number, of = share
    rows = []
    for n, seed in list(zip(chosen, seeds, strict=True))[number::of]:
        with people.open(int(n)) as file:
            rows.append(
                _person(file, pool, config, recipe, np.random.default_rng(seed), bank, (photos, faces), show)
            )
    stack = lambda key: torch.from_numpy(np.stack([row[key] for row in rows]))  # noqa: E731
    targets = stack("targets")
    return Batch(
        anchors=pool,
        body=torch.stack([row["body"] for row in rows]),
        face=torch.stack([row["face"] for row in rows]),
        sampled=stack("sampled") if show else None,
        signals=stack("signals"),
        expression=stack("expression"),
        transforms=stack("transforms")[..., :3, :],
        targets=targets[..., :4],
        visible=targets[..., 4:],
        cameras=[row["cameras"] for row in rows],
        offsets=stack("offsets"),
        gaze=stack("gaze"),
        **{key: stack(key) for key in ("acted", "shown", "read") if config.expression_codes},
    )


def _person(
    file: PreparedPerson, pool, config, recipe: BatchRecipe, rng, bank, counts: tuple[int, int], show: bool
) -> dict:
    change = disturbance(file, recipe, rng)
    choice = choose_views(rng, file.is_face, file.has_face(change.estimated), *counts, recipe.targets)
    targets, cameras = [], []
    for v in choice.targets:
        rgba = file.view(v)
        place = window(rng, rgba, recipe.target_size)
        targets.append(cut_target(rgba, place, recipe.target_size))
        cameras.append(cut_camera(file["viewmats"][v], file["Ks"][v], place, recipe.target_size))
    photos = {}
    for key, views in (("body", choice.photos), ("face", choice.faces)):
        size = getattr(config, f"{key}_size")
        if not len(views):
            photos[key] = torch.zeros(0, config.image_channels, *size)
            continue
        stored, estimated = zip(*(file.crop(key, v, change.estimated) for v in views), strict=True)
        pictures = jittered(rng, np.stack(stored), size, recipe.jitter)
        gains = torch.from_numpy(change.gains[views])[:, :, None, None]
        pictures = torch.cat([torch.minimum(pictures[:, :3] * gains, pictures[:, 3:]), pictures[:, 3:]], 1)
        if recipe.plain:
            photos[key] = over_grey(pictures, config.masked_photos)
        else:
            photos[key] = as_photos(rng, pictures, config.masked_photos, np.array(estimated))
    acted = {}
    if config.expression_codes:
        faces, shown = acted_faces(file, choice.targets, rng)
        acted = {"acted": faces.numpy(), "shown": shown, "read": shown & (rng.random(len(shown)) < READ)}
    return {
        **photos,
        **acted,
        "sampled": sampled_colors(file, choice.photos, pool, change, rng, bank) if show else None,
        "signals": file["signals"][choice.targets],
        "expression": file["expression"][choice.targets],
        "gaze": file["gaze"][choice.targets],
        "transforms": file["driven"][choice.targets],
        "targets": np.stack(targets),
        "cameras": cameras,
        "offsets": file.offsets(pool.site),
    }


def acted_faces(person: PreparedPerson, views: np.ndarray, rng) -> tuple[Tensor, np.ndarray]:
    """Masked photos [n,4,H,W] of the faces in some views, as disturbed as the estimator's crops, and which
    views [n] show one.
    """
    frames = person.face_frames[views]
    seen = np.isfinite(frames).all((1, 2))
    side = round(SIZE[0] * ROOM)
    crops = np.zeros((len(views), side, side, 4), np.uint8)
    for n in np.flatnonzero(seen):
        crops[n] = face_crop(person.view(views[n])[..., :4], frames[n], ROOM)
    return as_photos(rng, jittered(rng, crops, SIZE, FACE_JITTER, FACE_TURN), True), seen
