# SPDX-License-Identifier: GPL-3.0-or-later
"""One training batch from prepared people, drawn from a generator that the step number seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.config import ModelConfig
from ..model.matching import SiteColors, combine
from ..model.views import GREY
from ..raster.camera import Camera
from .anchor_pool import PooledAnchors
from .noise import NoiseBank
from .prepare import DISTANCE_STEP, ROOM, PreparedPeople


@dataclass(frozen=True)
class Batch:
    """B people: photos [B,V,C,H,W], sampled [B,M,4] or None, and R targets each.

    signals [B,R,S], expression [B,R,52], transforms [B,R,J,3,4], targets [B,R,h,w,4] premultiplied,
    cameras B lists of R.
    """

    anchors: PooledAnchors
    body: Tensor
    face: Tensor
    sampled: Tensor | None
    signals: Tensor
    expression: Tensor
    transforms: Tensor
    targets: Tensor
    cameras: list[list[Camera]]


@dataclass(frozen=True)
class Choice:
    """Which views of a person play which part: indices of body photos, face photos and targets."""

    body: np.ndarray
    face: np.ndarray
    target: np.ndarray


def choose_views(
    rng, is_face: np.ndarray, has_face: np.ndarray, n_body: int, n_face: int, n_target: int
) -> Choice:
    """Photos and targets never share a view. The first target shows the body, later ones head or body."""
    bodies, heads = rng.permutation(np.flatnonzero(~is_face)), rng.permutation(np.flatnonzero(is_face))
    target, bodies, heads = [bodies[0]], bodies[1:], heads
    for _ in range(n_target - 1):
        if len(heads) > 1 and (rng.random() < 0.5 or len(bodies) <= 1):
            target, heads = [*target, heads[0]], heads[1:]
        else:
            target, bodies = [*target, bodies[0]], bodies[1:]
    body = bodies[np.arange(n_body) % len(bodies)]
    if len(heads) and n_body > 1 and rng.random() < 0.1:
        body = np.append(body[:-1], heads[-1])  # a photo without legs
    crops = np.concatenate([heads, body[has_face[body]] if rng.random() < 0.3 else heads[:0]])
    if not len(crops):
        crops = np.concatenate([bodies, heads])
    return Choice(body, rng.permutation(crops)[np.arange(n_face) % len(crops)], np.array(target))


def jittered(rng, stored: np.ndarray, size: tuple[int, int], jitter: float) -> Tensor:
    """Stored crops uint8 [n,h,w,4] -> premultiplied [n,4,H,W], each scaled and shifted at random."""
    n = len(stored)
    image = torch.from_numpy(stored).permute(0, 3, 1, 2).float() / 255
    image = torch.cat([image[:, :3] * image[:, 3:], image[:, 3:]], 1)
    scale = np.exp(rng.uniform(-jitter, jitter, n)) / ROOM
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = rng.uniform(-jitter, jitter, (n, 2)) * 0.5
    grid = F.affine_grid(torch.from_numpy(theta), (n, 4, *size), align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


def as_photos(rng, premultiplied: Tensor, masked_photos: bool) -> Tensor:
    """Premultiplied [n,4,H,W] over random colours; where the network wants mattes, with an imperfect one."""
    n = len(premultiplied)
    alpha = premultiplied[:, 3:]
    background = torch.from_numpy(rng.random((n, 3, 1, 1)).astype(np.float32))
    picture = premultiplied[:, :3] + (1 - alpha) * background
    if not masked_photos:
        return picture
    matte = alpha.clone()
    for i in np.flatnonzero(rng.random(n) < 0.5):
        matte[i] = torch.roll(alpha[i], tuple(rng.integers(-1, 2, 2)), (1, 2))
    return torch.cat([picture * matte + GREY * (1 - matte), matte], 1)


def window(rng, rgba: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int]:
    """(left, top, divisor) of a target: the whole view reduced, or a piece of the person in full."""
    height, width = rgba.shape[:2]
    divisor = height // size[0]
    if divisor <= 1 or rng.random() < 0.5:
        return 0, 0, max(divisor, 1)
    seen = rgba[::8, ::8, 3] > 127
    if not seen.any():
        return 0, 0, divisor
    rows, columns = np.nonzero(seen)
    pick = rng.integers(len(rows))
    top = int(np.clip(rows[pick] * 8 - size[0] // 2, 0, height - size[0]))
    left = int(np.clip(columns[pick] * 8 - size[1] // 2, 0, width - size[1]))
    return left, top, 1


def cut_target(rgba: np.ndarray, place: tuple[int, int, int], size: tuple[int, int]) -> np.ndarray:
    """float32 premultiplied [h,w,4] of a uint8 straight RGBA view."""
    left, top, divisor = place
    part = rgba[top : top + size[0] * divisor, left : left + size[1] * divisor].astype(np.float32) / 255
    part[..., :3] *= part[..., 3:]
    return part.reshape(size[0], divisor, size[1], divisor, 4).mean((1, 3))


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


def sampled_colors(
    file, views: np.ndarray, pool: PooledAnchors, rng=None, bank: NoiseBank | None = None
) -> np.ndarray:
    """[M,4] colour and log weight of the photos at an anchor set's Gaussians, with estimator-like errors."""
    rgb, distance = [], []
    for view in np.unique(views):
        site, far = pool.site, None
        if bank is not None:
            index, lost = bank.draw(rng)
            site, far = index[pool.site], lost[pool.site]
        rgb.append(file.get_slice("site_rgb")[view : view + 1][0][site].astype(np.float32) / 255)
        d = file.get_slice("site_distance")[view : view + 1][0][site].astype(np.float32) * DISTANCE_STEP
        distance.append(d if far is None else np.where(far, 1.0, d))
    colors = SiteColors(np.stack(rgb), np.stack(distance), file.get_tensor("pixel_size")[np.unique(views)])
    return combine(colors, pool.radius)


@dataclass(frozen=True)
class BatchRecipe:
    """How many people, photos and targets a batch has, and how it is disturbed."""

    people: int = 8
    body_photos: tuple[int, int] = (1, 4)
    face_photos: tuple[int, int] = (0, 3)
    targets: int = 2
    target_size: tuple[int, int] = (128, 96)
    hidden_fraction: float = 0.5  # of the batches without sampled pixels
    jitter: float = 0.12


def make_batch(
    people: PreparedPeople,
    pool: PooledAnchors,
    config: ModelConfig,
    recipe: BatchRecipe,
    rng,
    bank: NoiseBank | None,
) -> Batch:
    """Draw people, views, crops and noise from `rng`."""
    n_body = int(rng.integers(recipe.body_photos[0], recipe.body_photos[1] + 1))
    n_face = int(rng.integers(recipe.face_photos[0], recipe.face_photos[1] + 1))
    show = config.sampled_pixels and rng.random() >= recipe.hidden_fraction
    rows = []
    for n in rng.choice(len(people), recipe.people, replace=len(people) < recipe.people):
        with people.open(int(n)) as file:
            rows.append(_person(file, pool, recipe, rng, bank, (n_body, n_face), show))
    stack = lambda key: torch.from_numpy(np.stack([row[key] for row in rows]))  # noqa: E731

    def images(key, size):
        stored = np.stack([row[key] for row in rows])
        if not stored.shape[1]:
            return torch.zeros(len(rows), 0, config.image_channels, *size)
        flat = as_photos(
            rng,
            jittered(rng, stored.reshape(-1, *stored.shape[2:]), size, recipe.jitter),
            config.masked_photos,
        )
        return flat.unflatten(0, stored.shape[:2])

    return Batch(
        anchors=pool,
        body=images("body", config.body_size),
        face=images("face", config.face_size),
        sampled=stack("sampled") if show else None,
        signals=stack("signals"),
        expression=stack("expression"),
        transforms=stack("transforms")[..., :3, :],
        targets=stack("targets"),
        cameras=[row["cameras"] for row in rows],
    )


def _person(file, pool, recipe: BatchRecipe, rng, bank, counts: tuple[int, int], show: bool) -> dict:
    is_face, has_face = file.get_tensor("is_face"), file.get_tensor("has_face")
    choice = choose_views(rng, is_face, has_face, *counts, recipe.targets)
    take = lambda key, views: np.stack([file.get_slice(key)[v : v + 1][0] for v in views])  # noqa: E731
    crops = file.get_slice("faces").get_shape()[1:]
    targets, cameras = [], []
    for v in choice.target:
        rgba = file.get_slice("targets")[v : v + 1][0]
        place = window(rng, rgba, recipe.target_size)
        targets.append(cut_target(rgba, place, recipe.target_size))
        viewmat, k = (file.get_slice(key)[v : v + 1][0] for key in ("viewmats", "Ks"))
        cameras.append(cut_camera(viewmat, k, place, recipe.target_size))
    views = np.concatenate([choice.body, choice.face])
    return {
        "body": take("bodies", choice.body),
        "face": take("faces", choice.face) if len(choice.face) else np.zeros((0, *crops), np.uint8),
        "sampled": sampled_colors(file, views, pool, rng, bank) if show else None,
        "signals": take("signals", choice.target),
        "expression": take("expression", choice.target),
        "transforms": take("driven", choice.target),
        "targets": np.stack(targets),
        "cameras": cameras,
    }
