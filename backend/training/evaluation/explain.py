# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention of a network, and people of both regimes side by side: `lca explain`.

The attention of chosen geometry tokens over the photos (Fig. 6 of arXiv 2604.02320), and the principal
components of pooled geometry tokens by domain (its Fig. S1), both as pictures.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...body.anchors import sample_anchors
from ...body.template import load_template
from ...errors import UserError
from ...files import replacing
from ...model.blocks import JointBlock, Stream
from ...model.create import as_tensor, sample_photos
from ...model.heads import PixelAttention
from ...model.lca import LCA, Encoding
from ...model.tokens import AnchorSet, anchor_set
from ...model.views import InputViews, masked
from ..people.dataset import make_person_record
from ..people.records import restore_map
from .evaluate import true_views

REACH = 0.05  # metres: how far sideways and up the surface point of a joint may lie from it
COLORS = ((214, 96, 60), (52, 120, 190), (96, 160, 70), (150, 90, 180))
CELL = (192, 144)  # height and width of a photo in a picture


@dataclass(frozen=True)
class Attention:
    """Attention of one geometry token, summing to at most 1 over all photos: body [V,h,w], face [F,h,w]."""

    body: np.ndarray
    face: np.ndarray


def place_of(name: str, anchors: AnchorSet) -> int:
    """The token at a place: "nose", or a joint's name for the surface before it. `UserError` for others."""
    points, template = anchors.positions, load_template()
    if name == "nose":
        points = torch.where(torch.arange(len(points))[:, None] < anchors.n_face, points, torch.inf)
        return int(points[:, 1].argmin())
    names = list(template.joint_names)
    if name not in names:
        raise UserError(f"There is no place called {name!r}.", f"Choose nose or a joint: {', '.join(names)}.")
    joint = torch.as_tensor(np.array(template.joint_heads[names.index(name)]), dtype=points.dtype)
    aside = (points - joint)[:, [0, 2]].norm(dim=-1)
    near = aside < max(REACH, float(aside.min()) + 1e-3)
    return int(torch.where(near, points[:, 1], torch.inf).argmin())


def joint_weights(block: JointBlock, geometry: Tensor, image: Tensor, g: Tensor, token: int) -> Tensor:
    """Attention [m] of a geometry token over a joint block's image tokens, the mean of its heads."""
    q, k, _ = block.geometry.project(geometry, block.geometry.modulation(g))
    if isinstance(block.image, Stream):
        _, k_image, _ = block.image.project(image, block.image.modulation(g))
    else:
        k_image, _ = block.image(image, g)
    keys = torch.cat([k, k_image], 2).float()
    scores = (q[:, :, token : token + 1].float() * q.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    return torch.softmax(scores, -1)[0, :, 0, k.shape[2] :].mean(0)


def pixel_weights(
    attention: PixelAttention, tokens: Tensor, body: Tensor, face: Tensor, n_face: int, token: int
) -> tuple[Tensor, Tensor]:
    """Attention of a token over the body's and the face's image tokens in the attention to pixels."""
    sources = [face, body] if face.shape[1] and token < n_face else [body]
    keys = torch.cat([attention.key(attention.key_norm(s)) for s in sources], 1)
    query = attention.query(tokens[:, token : token + 1])
    weights = attention.weights(query, keys)[0, :, 0].mean(0)  # (1, nh, 1, m) -> (m)
    if len(sources) == 1:
        return weights, face.new_zeros(face.shape[1])
    return weights[face.shape[1] :], weights[: face.shape[1]]


def person_views(model: LCA, seed: int, regime: str) -> InputViews:
    """Photos of a synthetic person with true mattes and correspondences."""
    record = make_person_record(seed, regime=regime)
    return true_views({**record, "template_map": restore_map(record["template_map"])}, model.config)


class _Watcher:
    """Collects one token's attention from every block of a forward pass."""

    def __init__(self, model: LCA, tokens: list[int], n_face: int):
        self.model, self.tokens, self.n_face = model, tokens, n_face
        self.rows: list[list] = [
            [] for _ in tokens
        ]  # per token: ("face" or "body", weights) in passing order

    def hooks(self, stack: ExitStack) -> None:
        watch = lambda module, hook: stack.callback(  # noqa: E731
            module.register_forward_pre_hook(hook).remove
        )
        for layer in self.model.layers:
            if layer.face_stage is not None:
                watch(layer.face_stage, lambda m, args: self._joint("face", m, *args))
            watch(layer.body_stage, lambda m, args: self._joint("body", m, *args))
        if self.model.pixels is not None:
            watch(self.model.pixels, lambda m, args: self._pixels(m, *args))

    def _joint(self, kind: str, block, geometry, image, g) -> None:
        for row, token in zip(self.rows, self.tokens, strict=True):
            if kind == "body" or token < self.n_face:
                row.append((kind, joint_weights(block, geometry, image, g, token)))

    def _pixels(self, module, tokens, body, face, body_images, face_images, n_face) -> None:
        for row, token in zip(self.rows, self.tokens, strict=True):
            seen = pixel_weights(module, tokens, body, face, n_face, token)
            row.extend(zip(("pixel body", "pixel face"), seen, strict=True))


@torch.inference_mode()
def encode(model: LCA, views: InputViews, anchors: AnchorSet) -> Encoding:
    """What the network makes of photos."""
    sampled = None
    if model.config.sampled_pixels:
        sampled = sample_photos(views, model.config, anchors, lambda fraction, message: None)
    body, face = (as_tensor(photos, model.config) for photos in (views.body, views.face))
    return model.encode(body, face, anchors, sampled)


def attention_of(
    model: LCA, views: InputViews, anchors: AnchorSet, tokens: list[int], stage: str = "last"
) -> list[Attention]:
    """Where geometry tokens look: in the "last" layer's joint attention, in "all" layers (their mean), or in
    the attention to "pixels" of networks that have it."""
    if stage == "pixels" and model.pixels is None:
        raise UserError("This network has no attention to pixels.", "Choose last or all.")
    watcher = _Watcher(model, tokens, anchors.n_face)
    with ExitStack() as stack:
        watcher.hooks(stack)
        encode(model, views, anchors)
    out, patch = [], model.config.patch
    bodies = len(views.body) * (model.config.body_size[0] // patch) * (model.config.body_size[1] // patch)
    for row in watcher.rows:
        maps = []
        for kind, photos, size in (
            ("body", views.body, model.config.body_size),
            ("face", views.face, model.config.face_size),
        ):
            label = f"pixel {kind}" if stage == "pixels" else kind
            found = [weights for name, weights in row if name == label]
            if stage != "pixels" and not model.config.dual_branch:  # one block reads all photos, bodies first
                own = slice(bodies, None) if kind == "face" else slice(bodies)
                found = [weights[own] for name, weights in row if name == "body"]
            found = found[-1:] if stage == "last" else found
            grid = (len(photos), size[0] // patch, size[1] // patch)
            maps.append(
                torch.stack(found).mean(0).view(grid).numpy() if found else np.zeros(grid, np.float32)
            )
        out.append(Attention(*maps))
    return out


def overlay(photo: np.ndarray, heat: np.ndarray, strongest: float) -> Image.Image:
    """A photo [h,w,4] in grey under the attention of its patches, red to yellow up to `strongest`."""
    grey = (masked(photo)[..., :3].mean(-1) * 255).astype(np.uint8)
    base = np.asarray(Image.fromarray(grey).resize(CELL[::-1], Image.Resampling.BICUBIC), np.float32)
    share = Image.fromarray((heat / max(strongest, 1e-12)).astype(np.float32))
    share = np.clip(np.asarray(share.resize(CELL[::-1], Image.Resampling.BICUBIC)), 0, 1)[..., None] ** 0.7
    glow = np.concatenate([np.full_like(share, 255), 90 + 150 * share, 40 + 20 * share], -1)
    return Image.fromarray((base[..., None] * 0.75 * (1 - share) + glow * share).astype(np.uint8))


def attention_picture(views: InputViews, names: list[str], attentions: list[Attention]) -> Image.Image:
    """The photos, and below them one line for each place: where its token looks."""
    photos = [*views.body, *views.face]
    high, wide, label = *CELL, 18
    sheet = Image.new("RGB", (wide * len(photos), (high + label) * (1 + len(names))), (32, 32, 34))
    draw = ImageDraw.Draw(sheet)
    title = f"photos: {len(views.body)} of the body, {len(views.face)} of the face"
    for line, text in enumerate([title, *names]):
        draw.text((6, line * (high + label) + 3), text, fill=(230, 230, 230))
    for column, photo in enumerate(photos):
        image = Image.fromarray((masked(photo)[..., :3] * 255).astype(np.uint8)).resize(CELL[::-1])
        sheet.paste(image, (column * wide, label))
    for line, attention in enumerate(attentions, 1):
        maps = [*attention.body, *attention.face]
        strongest = max(m.max() for m in maps)
        for column, (photo, heat) in enumerate(zip(photos, maps, strict=True)):
            sheet.paste(overlay(photo, heat, strongest), (column * wide, line * (high + label) + label))
    return sheet


def explain_attention(
    model: LCA,
    views: InputViews,
    names: list[str],
    path: Path,
    stage: str = "last",
    tokens: int | None = None,
) -> None:
    """Write the picture of where the tokens at `names` (see `place_of`) look."""
    views.check()
    anchors = anchor_set(
        model.config, sample_anchors(tokens or model.config.tokens, model.config.face_fraction)
    )
    places = [place_of(name, anchors) for name in names]
    save_picture(attention_picture(views, names, attention_of(model, views, anchors, places, stage)), path)


def pooled_tokens(model: LCA, people: list[InputViews], tokens: int | None = None) -> np.ndarray:
    """[P,width]: the mean of each person's geometry tokens."""
    anchors = anchor_set(
        model.config, sample_anchors(tokens or model.config.tokens, model.config.face_fraction)
    )
    return np.stack([encode(model, views, anchors).tokens[0].float().mean(0).numpy() for views in people])


def principal(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components [P,2], and the share of the variance that each explains [2]."""
    centred = pooled - pooled.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return (u * s)[:, :2], s[:2] ** 2 / np.maximum((s**2).sum(), 1e-30)


def apart(pooled: np.ndarray, domain: np.ndarray) -> float:
    """How often the nearest other person is of the same domain: chance is about one over the domains."""
    distance = np.square(pooled[:, None] - pooled[None]).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((domain[distance.argmin(1)] == domain).mean())


def scatter_picture(
    points: np.ndarray, shares: np.ndarray, domain: np.ndarray, names: list[str]
) -> Image.Image:
    """The people in the plane of the first two components, coloured by domain."""
    side, edge = 640, 60
    sheet = Image.new("RGB", (side, side), (250, 250, 248))
    draw = ImageDraw.Draw(sheet)
    low, high = points.min(0), points.max(0)
    place = edge + (points - low) / np.maximum(high - low, 1e-12) * (side - 2 * edge)
    draw.rectangle((edge / 2, edge / 2, side - edge / 2, side - edge / 2), outline=(150, 150, 150))
    for (x, y), d in zip(place, domain, strict=True):
        draw.ellipse((x - 5, side - y - 5, x + 5, side - y + 5), fill=COLORS[d % len(COLORS)])
    for d, name in enumerate(names):
        draw.ellipse((edge + 150 * d, 10, edge + 10 + 150 * d, 20), fill=COLORS[d % len(COLORS)])
        draw.text((edge + 16 + 150 * d, 9), f"{name} ({int((domain == d).sum())})", fill=(20, 20, 20))
    text = "first component {:.0%} of the variance, second (upwards) {:.0%}".format(*shares)
    draw.text((edge, side - 22), text, fill=(20, 20, 20))
    return sheet


def explain_domains(
    model: LCA, domains: dict[str, list[InputViews]], path: Path, tokens: int | None = None
) -> dict[str, float]:
    """Write the picture of people of several domains; returns shares and `same_domain` (`apart`). `UserError`
    for less than two people.
    """
    people = [views for some in domains.values() for views in some]
    if len(people) < 2:
        raise UserError("There are no two people to compare.", "Ask for one or more of each regime.")
    pooled = pooled_tokens(model, people, tokens)
    domain = np.repeat(np.arange(len(domains)), [len(people) for people in domains.values()])
    points, shares = principal(pooled)
    save_picture(scatter_picture(points, shares, domain, list(domains)), path)
    return {
        "component_1": round(float(shares[0]), 4),
        "component_2": round(float(shares[1]), 4),
        "same_domain": round(apart(pooled, domain), 4),
        "chance": round(
            float(np.mean([(np.bincount(domain)[d] - 1) / (len(domain) - 1) for d in domain])), 4
        ),
    }


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")
