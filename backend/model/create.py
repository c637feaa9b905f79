# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos to avatar: one pass through the network, and everything an avatar file holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from ..avatar import Avatar, Signal
from ..body.anchors import sample_anchors
from ..body.template import VERSION as TEMPLATE_VERSION
from ..body.template import load_template
from ..jobs import Cancelled
from ..raster import rasterize
from ..raster.camera import Camera, look_at
from .checkpoint import VERSION
from .config import ModelConfig
from .lca import LCA, CanonicalGaussians
from .matching import combine, match_radius, site_colors, together
from .tokens import AnchorSet, anchor_set
from .views import InputViews, masked

INFLUENCES = 8
THUMBNAIL = (256, 192)


@dataclass
class _Report:
    """Progress of the whole creation, and its end when the person cancels."""

    progress: object
    cancelled: object

    def __call__(self, fraction: float, message: str) -> None:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled
        if self.progress is not None:
            self.progress(fraction, message)


@dataclass(frozen=True)
class NetworkPerson:
    """What the network makes of a person: canonical Gaussians of a batch of one, the pose decoder's weights
    (`token_bias` among them) and its changes at rest [T,K,13], in main memory; anchors; the avatar's header.
    """

    canonical: CanonicalGaussians
    decoder: dict[str, Tensor]
    at_rest: Tensor
    anchors: AnchorSet
    header: dict


def create_avatar(
    views: InputViews,
    model: LCA,
    tokens: int | None = None,
    progress=None,
    cancelled=None,
    name: str = "Avatar",
    consent: str = "",
    anchors: AnchorSet | None = None,
) -> Avatar:
    """An avatar of the person in `views`.

    tokens: geometry tokens (times `gaussians_per_token` Gaussians), the configuration's count if None.
    progress(fraction, message) is told how far it is; when cancelled() is true, `Cancelled` is raised. The
    result does not depend on the order of the photos. anchors: `place_anchors(model.config, tokens)`, where
    many avatars are made.
    """
    report = _Report(progress, cancelled)
    anchors = anchors or place_anchors(model.config, tokens)
    avatar = assemble(infer_person(views, model, anchors, report, None, name, consent))
    report(0.95, "Taking a picture")
    avatar = with_thumbnail(avatar)
    report(1.0, "Done")
    return avatar


def infer_person(
    views: InputViews,
    model: LCA,
    anchors: AnchorSet,
    progress=None,
    cancelled=None,
    name: str = "Avatar",
    consent: str = "",
) -> NetworkPerson:
    """The network's part of `create_avatar`, whose arguments these are."""
    views.check()
    report, config = _Report(progress, cancelled), model.config
    sampled = sample_photos(views, config, anchors, report) if config.sampled_pixels else None
    report(0.6, "Creating the avatar")
    canonical, person_tokens = infer(model, views, anchors, sampled)
    decoder = model.pose_head.fused(person_tokens[0])
    header = {
        "name": name,
        "model": {"name": config.name, "version": VERSION},
        "template": TEMPLATE_VERSION,
        "photos": list(views.photo_hashes),
        "consent": consent,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "warnings": list(views.warnings),
    }
    canonical = CanonicalGaussians(**{name: tensor.cpu() for name, tensor in vars(canonical).items()})
    at_rest = changes_at_rest(model, person_tokens)
    return NetworkPerson(canonical, decoder, at_rest, anchors, header)


@torch.inference_mode()
def changes_at_rest(model: LCA, tokens: Tensor) -> Tensor:
    """The pose decoder's changes [T,K,13] in the canonical pose, the face neutral, of tokens [1,T,width]."""
    signal = rest_signal().features().to(tokens)[None, None]  # (1, 1, S)
    return model.pose_head(tokens, signal)[0, 0].cpu()  # (1, 1, T, K, 13) -> (T, K, 13)


@torch.inference_mode()
def infer(
    model: LCA, views: InputViews, anchors: AnchorSet, sampled: Tensor | None
) -> tuple[CanonicalGaussians, Tensor]:
    """The network's one pass, on its own device: Gaussians of a batch of one, tokens [1,T,width]."""
    device = next(model.parameters()).device
    body, face = (as_tensor(photos, model.config).to(device) for photos in (views.body, views.face))
    anchors = anchors.to(device)
    encoding = model.encode(body, face, anchors, None if sampled is None else sampled.to(device))
    return model.canonical(encoding, anchors), encoding.tokens


def place_anchors(config: ModelConfig, tokens: int | None = None, attributes: bool = True) -> AnchorSet:
    """`tokens` anchors on the template, the configuration's count if None, and their Gaussians' places; with
    what an avatar of these Gaussians needs unless not `attributes`.
    """
    anchors = sample_anchors(tokens or config.tokens, config.face_fraction)
    return anchor_set(config, anchors, attributes=attributes)


def as_tensor(photos: np.ndarray, config: ModelConfig) -> Tensor:
    """Photos [V,H,W,4] as the encoder wants them: [1,V,C,H,W]."""
    images = masked(photos) if config.masked_photos else photos[..., :3]
    return torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2)[None]


def sample_photos(views: InputViews, config: ModelConfig, anchors: AnchorSet, report) -> Tensor | None:
    """[1,M,4] colour and log weight of the photos at each Gaussian; None where there is nothing to sample."""
    if not views.sources:
        return None
    sites, rows = anchors.children.flatten(0, 1).numpy(), []
    for n, source in enumerate(views.sources):
        report(0.05 + 0.55 * n / len(views.sources), f"Reading details, {n + 1} of {len(views.sources)}")
        rows.append(site_colors(source, sites))
    colors = together(rows)
    return torch.from_numpy(combine(colors, match_radius(config, anchors)))[None]


def assemble(person: NetworkPerson) -> Avatar:
    """The network's avatar: its Gaussians about their anchors."""
    template, canonical, anchors = load_template(), person.canonical, person.anchors
    weights, indices = anchors.skinning.topk(INFLUENCES, -1)
    weights = weights / weights.sum(-1, keepdim=True)
    decoder = dict(person.decoder)
    token_bias = decoder.pop("token_bias")
    return Avatar(
        joint_names=tuple(template.joint_names),
        joint_parents=torch.from_numpy(np.array(template.joint_parents)),
        joint_heads=torch.from_numpy(np.array(template.joint_heads)),
        joint_tails=torch.from_numpy(np.array(template.joint_tails)),
        means=canonical.means[0],
        offsets=canonical.offsets[0],
        quats=canonical.quats[0],
        scales=canonical.log_scales[0].exp(),
        opacities=canonical.opacities[0],
        colors=canonical.colors[0].clamp(0, 1),
        skin_indices=indices,
        skin_weights=weights,
        expression_basis=anchors.expressions,
        token_bias=token_bias,
        decoder=decoder,
        header=person.header,
    )


def rest_signal() -> Signal:
    """The canonical pose, a neutral face, looking straight ahead."""
    joints = len(load_template().joint_names)
    return Signal(torch.eye(4).repeat(joints, 1, 1), torch.zeros(52), torch.zeros(2, 2))


def with_thumbnail(avatar: Avatar) -> Avatar:
    """The same avatar with a picture of itself from the front, uint8 [h,w,3]."""
    height, width = THUMBNAIL
    focal = 2.05 * height  # a person of two metres fills the picture from four metres away
    k = [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]
    camera = Camera(look_at((0, -4, 0.87), (0, 0, 0.87)), k, width, height)
    picture = rasterize(avatar.drive(rest_signal()), camera, background=torch.full((3,), 0.9))["combined"]
    return replace(avatar, thumbnails=((picture[..., :3].clamp(0, 1) * 255).round().byte(),))
