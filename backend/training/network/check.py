# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation during training: PSNR, PSNR with another person's photos, retrieval, IoU, of held-out people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...model.lca import LCA, CanonicalGaussians, Encoding, drive, select
from ..dataset.prepared import PreparedPeople
from .anchor_pool import PooledAnchors
from .batches import Batch, make_batch
from .config import BatchRecipe
from .losses import over, person_psnr
from .parallel import moved
from .rendering import render_batch

BACKGROUND = 0.5


@dataclass(frozen=True)
class People:
    """Avatars of one batch: what was encoded and its canonical Gaussians."""

    encoding: Encoding
    canonical: CanonicalGaussians

    def reordered(self, index) -> People:
        """Other avatars in the same places."""
        encoding = Encoding(self.encoding.tokens[index], None)
        return People(encoding, select(self.canonical, index))


def encode_batch(model: LCA, batch: Batch) -> People:
    """Create the avatars of a batch."""
    encoding = model.encode(batch.body, batch.face, batch.anchors.anchors, batch.sampled)
    return People(encoding, model.canonical(encoding, batch.anchors.anchors))


def render_people(model: LCA, people: People, batch: Batch, deltas: bool = True) -> Tensor:
    """Avatars driven and seen as the batch's targets: premultiplied [B,R,h,w,4]."""
    change = model.deltas(people.encoding, batch.signals) if deltas else None
    posed = drive(people.canonical, change, batch.expression, batch.transforms, batch.anchors.anchors)
    return render_batch(replace(posed, colors=posed.colors.clamp(0, 1)), batch.cameras)


def mean_of(canonical: CanonicalGaussians) -> CanonicalGaussians:
    """The average avatar of a batch, as a batch of one."""
    reference = canonical.quats[:1]
    sign = torch.sign((canonical.quats * reference).sum(-1, keepdim=True) + 1e-9)
    values = {k: t.mean(0, keepdim=True) for k, t in vars(canonical).items()}
    values["quats"] = normalize((canonical.quats * sign).mean(0, keepdim=True), dim=-1)
    return CanonicalGaussians(**values)


def score(image: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """PSNR on the person's pixels and silhouette IoU of renders [B,R,h,w,4], per target [B R]."""
    image, target = (image * batch.visible).flatten(0, 1), batch.targets.flatten(0, 1)
    mask = target[..., 3] > 0.5
    grey = torch.tensor(BACKGROUND, device=image.device)
    value = person_psnr(over(image, grey), over(target, grey), mask)
    own = image[..., 3] > 0.5
    return value, (own & mask).sum((1, 2)) / (own | mask).sum((1, 2)).clamp(min=1)


@torch.no_grad()
def check(
    model: LCA, people: PreparedPeople, anchors: PooledAnchors, recipe: BatchRecipe, seed: int = 5
) -> tuple[dict, list[tuple[Tensor, ...]]]:
    """PSNR of the right, the swapped and the average person, retrieval, IoU; and rows of pictures: the truth,
    the avatar.

    With true correspondences; "_estimated" with the photo estimator's, "_hidden" with none. Retrieval among
    eight: whose avatar, driven as the target, is closest to the target picture.
    """
    count = min(8, len(people))
    recipe = replace(recipe, people=count, photos=(4, 4), most_faces=2, jitter=0.0, photometric=0.0)
    kinds = {"": (0.0, 0.0)}
    if model.config.sampled_pixels:
        kinds["_hidden"] = (1.0, 0.0)
        if all(people.estimates):
            kinds["_estimated"] = (0.0, 1.0)
    result, pictures = {}, []
    for kind, (hidden, estimated) in kinds.items():
        own = replace(recipe, hidden_fraction=hidden, estimated_fraction=estimated)
        batch = make_batch(people, anchors, model.config, own, np.random.default_rng(seed), None)
        batch = moved(batch, next(model.parameters()).device)
        values, image = _measure(model, batch, count)
        kept = values if not kind else {k: values[k] for k in ("psnr", "psnr_swapped", "retrieval")}
        result |= {k + kind: round(float(v), 4) for k, v in kept.items()}
        if kind != "_hidden":
            pictures = list(zip(batch.targets.flatten(0, 1).cpu(), image.flatten(0, 1).cpu(), strict=True))
    return result, pictures


def _measure(model: LCA, batch: Batch, count: int) -> tuple[dict, Tensor]:
    made = encode_batch(model, batch)
    image = render_people(model, made, batch)
    own, iou = score(image, batch)
    index = torch.arange(count)
    rolls = [own.unflatten(0, (count, -1))]
    for shift in range(1, count):
        value, _ = score(render_people(model, made.reordered((index + shift) % count), batch), batch)
        rolls.append(value.unflatten(0, (count, -1)))
    values = torch.stack(rolls)[:, :, 0]  # [shift, person], the first target of each
    everyone = People(made.encoding, mean_of(made.canonical))
    expand = lambda t: t.expand(count, *t.shape[1:])  # noqa: E731
    mean = replace(everyone.canonical, **{k: expand(t) for k, t in vars(everyone.canonical).items()})
    average, _ = score(render_people(model, People(made.encoding, mean), batch, deltas=False), batch)
    return {
        "psnr": own.mean(),
        "psnr_swapped": rolls[1].mean(),
        "psnr_mean_avatar": average.mean(),
        "retrieval": (values.argmax(0) == 0).float().mean(),
        "iou": iou.mean(),
    }, image
