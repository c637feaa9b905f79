# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry tokens: anchors on the template, the Gaussians around them, and how they enter the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .config import ModelConfig

CENTRE = (0.0, 0.0, 0.9)  # metres: anchors are embedded relative to the middle of a person
REFERENCE_SPACING = 0.03  # metres: log density is relative to this anchor spacing
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class AnchorSet:
    """T anchors, face anchors first, with K children each: M = T K Gaussians, siblings adjacent.

    positions [T,3], frames [T,3,3] (columns tangent, bitangent, normal), spacing [T] metres, n_face; children
    [T,K,3] their rest positions; skinning [M,J] dense weights and expressions [52,M,3], None where only the
    network is wanted.
    """

    positions: Tensor
    frames: Tensor
    spacing: Tensor
    n_face: int
    children: Tensor
    skinning: Tensor | None = None
    expressions: Tensor | None = None

    @property
    def count(self) -> int:
        return len(self.positions)

    @property
    def child_is_face(self) -> Tensor:
        """[M] bool."""
        return (
            torch.arange(self.children.shape[0] * self.children.shape[1])
            < self.n_face * self.children.shape[1]
        )

    def to(self, device) -> AnchorSet:
        """The same anchors on another device."""
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(self).items()}
        return AnchorSet(**moved)


def child_offsets(count: int, pattern: str) -> np.ndarray:
    """[K,2] positions of the children in their anchor's cell, in units of the anchor spacing.

    "sunflower" (Vogel 1979) fills the disc whose area is one cell evenly; "point" puts all in the middle.
    """
    if count == 1 or pattern == "point":
        return np.zeros((count, 2), np.float32)
    k = np.arange(count)
    radius = np.sqrt((k + 0.5) / count / np.pi)
    return np.stack([radius * np.cos(k * GOLDEN_ANGLE), radius * np.sin(k * GOLDEN_ANGLE)], -1).astype(
        np.float32
    )


def child_positions(
    config: ModelConfig, positions: np.ndarray, frames: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    """[T,K,3] rest positions of the children, in the anchors' tangent planes."""
    offsets = child_offsets(config.gaussians_per_token, config.child_pattern)
    plane = np.einsum("tij,kj->tki", frames[..., :2], offsets)
    return (positions[:, None] + plane * spacing[:, None, None]).astype(np.float32)


def anchor_set(config: ModelConfig, anchors, samples=None, attributes: bool = True) -> AnchorSet:
    """Turn the template's anchors into the network's.

    anchors: positions, frames, spacing, is_face as `body.anchors` has them. samples(points [M,3]) gives
    skin_indices, skin_weights and expression_deltas at any points; None takes the template's own. Without
    `attributes` these are left out.
    """
    if samples is None:
        from ..body.anchors import surface_samples as samples
    order = np.argsort(~np.asarray(anchors.is_face), kind="stable")
    positions, frames, spacing = (
        np.asarray(a)[order] for a in (anchors.positions, anchors.frames, anchors.spacing)
    )
    children = child_positions(config, positions, frames, spacing)
    tensor = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32))  # noqa: E731
    skinning = expressions = None
    if attributes:
        at = samples(children.reshape(-1, 3))
        skinning = np.zeros((children.shape[0] * children.shape[1], config.joints), np.float32)
        np.add.at(skinning, (np.arange(len(skinning))[:, None], at.skin_indices), at.skin_weights)
        skinning, expressions = tensor(skinning), tensor(at.expression_deltas)
    return AnchorSet(
        positions=tensor(positions),
        frames=tensor(frames),
        spacing=tensor(spacing),
        n_face=int(np.count_nonzero(anchors.is_face)),
        children=tensor(children),
        skinning=skinning,
        expressions=expressions,
    )


def fourier(x: Tensor, bands: int) -> Tensor:
    """[...,3] -> [..., 3 + 6 bands]: x, sin and cos of 2^k pi x for k < bands."""
    waves = x[..., None] * (2.0 ** torch.arange(bands, device=x.device) * math.pi)  # (..., 3, bands)
    return torch.cat([x, waves.sin().flatten(-2), waves.cos().flatten(-2)], -1)


class AnchorEmbedding(nn.Module):
    """Anchors to tokens: Fourier features, log density and sampled pixels, one linear layer and a norm."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.token_inputs, config.width)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, anchors: AnchorSet, batch: int, sampled: Tensor | None = None) -> Tensor:
        """sampled [B,M,4] (colour, log weight) or None where hidden -> tokens [B,T,width]."""
        config, count = self.config, anchors.count
        centre = torch.tensor(CENTRE, device=anchors.positions.device)
        parts = [fourier(anchors.positions - centre, config.fourier_bands).expand(batch, -1, -1)]
        if config.density_input:
            density = torch.log(REFERENCE_SPACING / anchors.spacing)
            parts.append(density[None, :, None].expand(batch, -1, -1))
        if config.sampled_pixels:
            shape = (batch, count, 4 * config.gaussians_per_token)
            if sampled is None:
                parts.append(anchors.positions.new_zeros(*shape[:2], shape[2] + 1))
            else:
                values = torch.cat([sampled[..., :3] * 2 - 1, sampled[..., 3:] * 0.3], -1)  # (B, T K, 4)
                parts += [values.reshape(shape), values.new_ones(*shape[:2], 1)]
        return self.norm(self.linear(torch.cat(parts, -1)))
