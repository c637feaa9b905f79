# SPDX-License-Identifier: GPL-3.0-or-later
"""Transformer blocks: self-attention of one stream, and joint attention of geometry and image tokens.

Shapes in comments: B people, V body and F face photos, n or m tokens, C = nh hs channels in nh heads.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .attention import KeysValues, Projections, Rope2D, attend, merge_heads
from .config import ModelConfig


class FeedForward(nn.Module):
    """Linear, activation, linear."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.up = nn.Linear(config.width, hidden)
        self.activation = nn.SiLU() if config.activation == "silu" else nn.GELU(approximate="tanh")
        self.down = nn.Linear(hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))


class AdaLN(NamedTuple):
    """What the global feature does to a block, each (B, 1, C): to its attention (msa) and its feed-forward
    part (mlp), under the names of DiT."""

    shift_msa: Tensor
    scale_msa: Tensor
    gate_msa: Tensor
    shift_mlp: Tensor
    scale_mlp: Tensor
    gate_mlp: Tensor


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalised tokens (B, n, C), shifted and scaled by (B, 1, C)."""
    return x * (1 + scale) + shift


class Modulation(nn.Module):
    """Shift, scale and gate of both parts of a block from the global feature (DiT, Peebles 2023).

    The linear map starts at zero; gates start at `gate_init`: 0 is AdaLN-Zero's identity block.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.linear = nn.Linear(config.global_width, 6 * config.width)
        self.gate_init = config.gate_init

    def forward(self, g: Tensor) -> AdaLN:
        """g (B, global width)."""
        ada = AdaLN(*self.linear(g)[:, None].chunk(6, -1))  # (B, 1, 6 C) -> 6 x (B, 1, C)
        return ada._replace(gate_msa=ada.gate_msa + self.gate_init, gate_mlp=ada.gate_mlp + self.gate_init)


class ReadModulation(nn.Module):
    """Shift and scale of a stream that is only read; starts at zero."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.linear = nn.Linear(config.global_width, 2 * config.width)

    def forward(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """g (B, global width) -> shift, scale, each (B, 1, C)."""
        shift, scale = self.linear(g)[:, None].chunk(2, -1)  # (B, 1, 2 C) -> 2 x (B, 1, C)
        return shift, scale


class SelfBlock(nn.Module):
    """Pre-norm self-attention and feed-forward with residuals."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Projections(config.width, config.heads, config.qk_norm)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, rope: Rope2D | None = None) -> Tensor:
        q, k, v = self.attention(self.norm1(x), rope)  # (B, n, C) -> 3 x (B, nh, n, hs)
        x = x + self.attention.out(merge_heads(attend(q, k, v)))  # (B, nh, n, hs) -> (B, n, C)
        return x + self.mlp(self.norm2(x))


class ImageBlock(nn.Module):
    """Self-attention within each photo, together with register tokens that are dropped afterwards."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.block = SelfBlock(config)
        self.registers = nn.Parameter(torch.randn(config.register_tokens, config.width) * 0.02)

    def forward(self, x: Tensor, rope: Rope2D) -> Tensor:
        """x (B, V, n, C): photos are independent of one another."""
        b, v, n, _ = x.shape
        registers = self.registers.to(x.dtype).expand(b * v, -1, -1)  # (B V, r, C)
        tokens = torch.cat([x.flatten(0, 1), registers], 1)  # (B V, n + r, C)
        return self.block(tokens, rope)[:, :n].unflatten(0, (b, v))  # (B, V, n, C)


class Stream(nn.Module):
    """One stream's own weights in a joint block."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.modulation = Modulation(config)
        self.norm1 = nn.LayerNorm(config.width, elementwise_affine=False)
        self.attention = Projections(config.width, config.heads, config.qk_norm)
        self.norm2 = nn.LayerNorm(config.width, elementwise_affine=False)
        self.mlp = FeedForward(config)

    def project(self, x: Tensor, ada: AdaLN) -> tuple[Tensor, Tensor, Tensor]:
        """(B, n, C) -> q, k, v, each (B, nh, n, hs)."""
        return self.attention(modulate(self.norm1(x), ada.shift_msa, ada.scale_msa))

    def finish(self, x: Tensor, attended: Tensor, ada: AdaLN) -> Tensor:
        """x (B, n, C), attended (B, nh, n, hs) -> (B, n, C)."""
        x = x + ada.gate_msa * self.attention.out(merge_heads(attended))
        return x + ada.gate_mlp * self.mlp(modulate(self.norm2(x), ada.shift_mlp, ada.scale_mlp))


class ReadStream(nn.Module):
    """A stream that others attend to and that does not change."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.modulation = ReadModulation(config)
        self.norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.attention = KeysValues(config.width, config.heads, config.qk_norm)

    def forward(self, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """(B, m, C) -> k, v, each (B, nh, m, hs)."""
        return self.attention(modulate(self.norm(x), *self.modulation(g)))


class JointBlock(nn.Module):
    """Dual-stream attention over geometry and image tokens together, conditioned on the global feature.

    Separate weights per stream, one softmax over both (MM-DiT, Esser 2024). With `last`, image tokens are
    only read: nothing uses them afterwards.
    """

    def __init__(self, config: ModelConfig, last: bool = False):
        super().__init__()
        self.last = last
        self.geometry = Stream(config)
        self.image = ReadStream(config) if last else Stream(config)

    def forward(self, geometry: Tensor, image: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """geometry (B, n, C), image (B, m, C), g (B, global width) -> geometry, image of the same shapes."""
        n = geometry.shape[1]
        ada = self.geometry.modulation(g)
        q, k, v = self.geometry.project(geometry, ada)  # (B, nh, n, hs)
        if self.last:
            k_image, v_image = self.image(image, g)  # (B, nh, m, hs)
            y = attend(q, torch.cat([k, k_image], 2), torch.cat([v, v_image], 2))  # (B, nh, n, hs)
            return self.geometry.finish(geometry, y, ada), image
        ada_image = self.image.modulation(g)
        q_image, k_image, v_image = self.image.project(image, ada_image)  # (B, nh, m, hs)
        both = ((q, q_image), (k, k_image), (v, v_image))
        y = attend(*(torch.cat(pair, 2) for pair in both))  # (B, nh, n + m, hs)
        geometry = self.geometry.finish(geometry, y[:, :, :n], ada)
        return geometry, self.image.finish(image, y[:, :, n:], ada_image)


class Layer(nn.Module):
    """One layer: per-photo attention, geometry attention, then the two stages of joint attention.

    Stage 1 joins face photos with the face's geometry tokens, stage 2 body photos with all geometry tokens.
    Without `dual_branch` there is one stage, of all photos with all geometry tokens.
    """

    def __init__(self, config: ModelConfig, last: bool = False):
        super().__init__()
        self.image_block = ImageBlock(config)
        self.geometry = SelfBlock(config)
        self.face_stage = JointBlock(config, last) if config.dual_branch else None
        self.body_stage = JointBlock(config, last)

    def forward(self, geometry, body, face, g, n_face: int, ropes: tuple[Rope2D, Rope2D]):
        """geometry (B, T, C), face tokens first; body (B, V, n, C); face (B, F, m, C) with F >= 0."""
        body = self.image_block(body, ropes[0])
        geometry = self.geometry(geometry)
        if face.shape[1]:
            face = self.image_block(face, ropes[1])
        if self.face_stage is None:
            both = torch.cat([body.flatten(1, 2), face.flatten(1, 2)], 1)  # (B, V n + F m, C)
            geometry, both = self.body_stage(geometry, both, g)
            count = body.shape[1] * body.shape[2]
            parts = both[:, :count], both[:, count:]
            return geometry, *(t.view_as(x) for t, x in zip(parts, (body, face), strict=True))
        if face.shape[1]:
            head, flat = self.face_stage(geometry[:, :n_face], face.flatten(1, 2), g)  # (B, F m, C)
            face = flat.unflatten(1, face.shape[1:3])  # (B, F, m, C)
            geometry = torch.cat([head, geometry[:, n_face:]], 1)  # (B, T, C)
        geometry, flat = self.body_stage(geometry, body.flatten(1, 2), g)  # (B, V n, C)
        return geometry, flat.unflatten(1, body.shape[1:3]), face
