# SPDX-License-Identifier: GPL-3.0-or-later
"""The LCA network: photos and anchors in, canonical Gaussians and their pose-dependent changes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..quaternions import matrix_to_quaternion, multiply_quaternions
from .attention import Projections, Rope2D
from .blocks import FeedForward, Layer, Modulation, ReadModulation
from .config import ModelConfig
from .encoder import make_encoder
from .expression_codes import FaceEncoder, FaceReading
from .gaussian_maths import blend, pose
from .heads import CanonicalHead, PixelAttention, PoseHead
from .tokens import AnchorEmbedding, AnchorSet

TRUST = 0.05  # summed nearness at which a sampled colour counts as much as an attended one


@dataclass(frozen=True)
class Encoding:
    """What the photos say about a batch of people: tokens [B,T,width], starting colours [B,M,3] or None."""

    tokens: Tensor
    colors: Tensor | None


@dataclass(frozen=True)
class CanonicalGaussians:
    """A batch of avatars at rest: means, log_scales, colors, offsets [B,M,3], quats [B,M,4], opacities [B,M].

    `offsets` is how far the means left the template. Colours may leave 0..1 slightly.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    opacities: Tensor
    colors: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class PosedGaussians:
    """Ready to render: means, colors, log_scales [B,V,M,3], covariances [B,V,M,3,3], opacities [B,M]."""

    means: Tensor
    covariances: Tensor
    colors: Tensor
    opacities: Tensor
    log_scales: Tensor


class LCA(nn.Module):
    """Large-scale codec avatar network (arXiv 2604.02320), with the options of `ModelConfig`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config)
        self.project = nn.Linear(config.encoder_width, config.width)
        self.embed = AnchorEmbedding(config)
        self.globe = nn.Sequential(
            nn.Linear(config.width, config.global_width),
            nn.SiLU(),
            nn.Linear(config.global_width, config.global_width),
            nn.SiLU(),
        )
        self.layers = nn.ModuleList(Layer(config, i == config.layers - 1) for i in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.pixels = PixelAttention(config) if config.pixel_values else None
        self.canonical_head = CanonicalHead(config)
        self.pose_head = PoseHead(config)
        self.codes = FaceEncoder() if config.expression_codes else None
        self.ropes = nn.ModuleList(self._rope(size) for size in (config.body_size, config.face_size))
        self.apply(self._start)

    def _rope(self, size: tuple[int, int]) -> Rope2D:
        patch, width = self.config.patch, self.config.width // self.config.heads
        return Rope2D(size[0] // patch, size[1] // patch, width, self.config.rope_base)

    @torch.no_grad()
    def _start(self, module: nn.Module) -> None:
        """Residual branches start small (as in GPT-2); modulation starts at zero (AdaLN-Zero)."""
        std = 0.02 / math.sqrt(2 * self.config.layers)
        if isinstance(module, FeedForward):
            module.down.weight.normal_(0, std)
        elif isinstance(module, Projections):
            module.out.weight.normal_(0, std)
        elif isinstance(module, Modulation | ReadModulation):
            module.linear.weight.zero_()
            module.linear.bias.zero_()

    def encode(
        self, body: Tensor, face: Tensor | None, anchors: AnchorSet, sampled: Tensor | None = None
    ) -> Encoding:
        """Photos body [B,V,C,H,W] (V >= 1) and face [B,F,C,H,W] (F >= 0 or None), C as the config says, 0..1.

        sampled [B,M,4]: colour and log weight of the photos at each Gaussian (`matching.combine`), or None.
        """
        b = body.shape[0]
        if face is None:
            face = body.new_zeros(b, 0, body.shape[2], *self.config.face_size)
        body_tokens, face_tokens = self._image_tokens(body), self._image_tokens(face)
        geometry = self.embed(anchors, b, sampled if self.config.sampled_pixels else None)  # (B, T, C)
        g = self.globe(body_tokens.mean((1, 2)))  # (B, V, n, C) -> (B, C) -> (B, global width)
        for layer in self.layers:
            geometry, body_tokens, face_tokens = layer(
                geometry, body_tokens, face_tokens, g, anchors.n_face, self.ropes
            )
        tokens, colors = self.norm(geometry), None
        if self.pixels is not None:
            flat = (body_tokens.flatten(1, 2), face_tokens.flatten(1, 2))  # (B, V n, C), (B, F m, C)
            tokens, colors = self.pixels(tokens, *flat, body, face, anchors.n_face)
        if sampled is not None and self.config.sampled_pixels:
            colors = mix_sampled(sampled, colors)
        return Encoding(tokens, colors)

    def _image_tokens(self, images: Tensor) -> Tensor:
        """[B,V,C,H,W] -> [B,V,n,width]."""
        b, v, _, h, w = images.shape
        n = (h // self.config.patch) * (w // self.config.patch)
        if not v:
            return images.new_zeros(b, 0, n, self.config.width)
        features = self.encoder(images).flatten(2, 3)  # (B, V, rows, columns, Ce) -> (B, V, n, Ce)
        return self.project(features.to(self.project.weight.dtype))

    def canonical(self, encoding: Encoding, anchors: AnchorSet) -> CanonicalGaussians:
        """Decode the tokens into Gaussians around the anchors, in the template's canonical frame."""
        config = self.config
        out = self.canonical_head(encoding.tokens)  # (B, T, K, 14)
        offsets = (torch.sigmoid(out[..., 3:6]) - 0.5) * config.max_offset
        turn = normalize(out[..., 7:11], dim=-1)
        frames = matrix_to_quaternion(anchors.frames)[None, :, None]  # (1, T, 1, 4)
        colors = torch.sigmoid(out[..., :3]).flatten(1, 2)  # (B, T, K, 3) -> (B, M, 3)
        if encoding.colors is not None:
            colors = encoding.colors.float() + colors - 0.5
        return CanonicalGaussians(
            means=(anchors.children + offsets).flatten(1, 2),
            quats=multiply_quaternions(frames.expand_as(turn), turn).flatten(1, 2),
            log_scales=(out[..., 11:14] + self.start_scale(anchors))
            .clamp(max=math.log(config.scale_max))
            .flatten(1, 2),
            opacities=torch.sigmoid(out[..., 6]).flatten(1, 2),
            colors=colors,
            offsets=offsets.flatten(1, 2),
        )

    def start_scale(self, anchors: AnchorSet) -> Tensor:
        """[T,1,3] log scales that an output of zero means: tangents, then the thinner normal."""
        config = self.config
        ratio = torch.tensor([1.0, 1.0, config.scale_normal], device=anchors.spacing.device).log()
        if config.scale_mode == "absolute":
            return ratio + math.log(config.scale_init) + torch.zeros_like(anchors.spacing)[:, None, None]
        child_spacing = anchors.spacing / math.sqrt(config.gaussians_per_token)
        return ratio + torch.log(config.scale_init * child_spacing)[:, None, None]

    def deltas(self, encoding: Encoding, signal: Tensor) -> Tensor:
        """signal [B,V,S] -> pose-dependent changes [B,V,M,13]: colour, mean, quaternion, log scale."""
        return self.pose_head(encoding.tokens, signal).flatten(2, 3)  # (B, V, T, K, 13) -> (B, V, M, 13)

    def forward(
        self,
        body: Tensor,
        face: Tensor | None,
        anchors: AnchorSet,
        sampled: Tensor | None,
        signal: Tensor,
        acted: Tensor | None = None,
        read: Tensor | None = None,
    ) -> tuple[CanonicalGaussians, Tensor, FaceReading | None]:
        """`encode`, then `canonical` and `deltas`: one pass of training.

        acted: faces [B,R,4,H,W] by `face_crop` of what the signals make the avatar do, for a network with
        `expression_codes`; where `read` [B,R] bool, their codes take the place of the signals' own.
        """
        encoding, reading = self.encode(body, face, anchors, sampled), None
        if acted is not None:
            reading, place = self.codes(acted), self.config.code_place
            code = torch.where(read[..., None], reading.code, signal[..., place])
            signal = torch.cat([signal[..., : place.start], code, signal[..., place.stop :]], -1)
        return self.canonical(encoding, anchors), self.deltas(encoding, signal), reading

    def trainable(self):
        """Named parameters that training may change: all but a frozen encoder's."""
        return ((n, p) for n, p in self.named_parameters() if p.requires_grad)


def mix_sampled(sampled: Tensor, attended: Tensor | None) -> Tensor:
    """Starting colours: what the photos show at a Gaussian's place, else what attention found, else grey."""
    nearness = sampled[..., 3:].exp()
    trust = nearness / (nearness + TRUST)
    other = 0.5 if attended is None else attended.float()
    return trust * sampled[..., :3] + (1 - trust) * other


def drive(
    canonical: CanonicalGaussians,
    deltas: Tensor | None,
    expression: Tensor,
    transforms: Tensor,
    anchors: AnchorSet,
) -> PosedGaussians:
    """Pose a batch as `Avatar.drive` does.

    expression [B,V,52], transforms [B,V,J,3,4] canonical -> posed, deltas [B,V,M,13] or None.
    """
    b, v = expression.shape[:2]
    basis = anchors.expressions.flatten(1)  # (52, 3 M)
    means = canonical.means[:, None] + (expression.reshape(b * v, -1) @ basis).view(
        b, v, -1, 3
    )  # (B, V, M, 3)
    quats = canonical.quats[:, None]  # (B, 1, M, 4)
    log_scales, colors = canonical.log_scales[:, None], canonical.colors[:, None]  # (B, 1, M, 3)
    if deltas is not None:
        colors = colors + deltas[..., :3]
        means = means + deltas[..., 3:6]
        quats = quats + deltas[..., 6:10]
        log_scales = log_scales + deltas[..., 10:]
    means, covariances = pose(means, quats, log_scales, blend(anchors.skinning, transforms))
    return PosedGaussians(means, covariances, colors.expand(b, v, -1, -1), canonical.opacities, log_scales)


def select(canonical: CanonicalGaussians, index) -> CanonicalGaussians:
    """The avatars at `index` of a batch."""
    return replace(canonical, **{k: t[index] for k, t in vars(canonical).items()})
