# SPDX-License-Identifier: GPL-3.0-or-later
"""Transformer blocks: self-attention of one stream, and joint attention of geometry and image tokens."""

from __future__ import annotations

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


class Modulation(nn.Module):
    """AdaLN: shift, scale and gate of both parts of a block from the global feature (DiT, Peebles 2023).

    The linear map starts at zero; gates start at `gate_init`: 0 is AdaLN-Zero's identity block.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.linear = nn.Linear(config.global_width, 6 * config.width)
        self.gate_init = config.gate_init

    def forward(self, g: Tensor) -> tuple[Tensor, ...]:
        """g [B, global width] -> shift, scale, gate, shift, scale, gate, each [B, 1, width]."""
        a, b, c, d, e, f = self.linear(g)[:, None].chunk(6, -1)
        return a, b, c + self.gate_init, d, e, f + self.gate_init


class ReadModulation(nn.Module):
    """Shift and scale of a stream that is only read; starts at zero."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.linear = nn.Linear(config.global_width, 2 * config.width)

    def forward(self, g: Tensor) -> tuple[Tensor, ...]:
        """g [B, global width] -> shift, scale, each [B, 1, width]."""
        return self.linear(g)[:, None].chunk(2, -1)


class SelfBlock(nn.Module):
    """Pre-norm self-attention and feed-forward with residuals."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Projections(config.width, config.heads, config.qk_norm)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, rope: Rope2D | None = None) -> Tensor:
        x = x + self.attention.out(merge_heads(attend(*self.attention(self.norm1(x), rope))))
        return x + self.mlp(self.norm2(x))


class ImageBlock(nn.Module):
    """Self-attention within each photo, together with register tokens that are dropped afterwards."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.block = SelfBlock(config)
        self.registers = nn.Parameter(torch.randn(config.register_tokens, config.width) * 0.02)

    def forward(self, x: Tensor, rope: Rope2D) -> Tensor:
        """x [B, V, n, width]: photos are independent of one another."""
        b, v, n, _ = x.shape
        tokens = torch.cat([x.flatten(0, 1), self.registers.to(x.dtype).expand(b * v, -1, -1)], 1)
        return self.block(tokens, rope)[:, :n].unflatten(0, (b, v))


class Stream(nn.Module):
    """One stream's own weights in a joint block."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.modulation = Modulation(config)
        self.norm1 = nn.LayerNorm(config.width, elementwise_affine=False)
        self.attention = Projections(config.width, config.heads, config.qk_norm)
        self.norm2 = nn.LayerNorm(config.width, elementwise_affine=False)
        self.mlp = FeedForward(config)

    def project(self, x: Tensor, parts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        return self.attention(self.norm1(x) * (1 + parts[1]) + parts[0])

    def finish(self, x: Tensor, attended: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        x = x + parts[2] * self.attention.out(merge_heads(attended))
        return x + parts[5] * self.mlp(self.norm2(x) * (1 + parts[4]) + parts[3])


class ReadStream(nn.Module):
    """A stream that others attend to and that does not change."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.modulation = ReadModulation(config)
        self.norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.attention = KeysValues(config.width, config.heads, config.qk_norm)

    def forward(self, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        shift, scale = self.modulation(g)
        return self.attention(self.norm(x) * (1 + scale) + shift)


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
        """geometry [B, n, width], image [B, m, width], g [B, global width] -> the same shapes."""
        n = geometry.shape[1]
        parts_a = self.geometry.modulation(g)
        qa, ka, va = self.geometry.project(geometry, parts_a)
        if self.last:
            kb, vb = self.image(image, g)
            y = attend(qa, torch.cat([ka, kb], 2), torch.cat([va, vb], 2))
            return self.geometry.finish(geometry, y, parts_a), image
        parts_b = self.image.modulation(g)
        qb, kb, vb = self.image.project(image, parts_b)
        y = attend(torch.cat([qa, qb], 2), torch.cat([ka, kb], 2), torch.cat([va, vb], 2))
        geometry = self.geometry.finish(geometry, y[:, :, :n], parts_a)
        return geometry, self.image.finish(image, y[:, :, n:], parts_b)


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
        """geometry [B,T,width] (face tokens first), body [B,V,n,width], face [B,F,m,width] with F >= 0."""
        body = self.image_block(body, ropes[0])
        geometry = self.geometry(geometry)
        if face.shape[1]:
            face = self.image_block(face, ropes[1])
        if self.face_stage is None:
            both = torch.cat([body.flatten(1, 2), face.flatten(1, 2)], 1)
            geometry, both = self.body_stage(geometry, both, g)
            count = body.shape[1] * body.shape[2]
            parts = both[:, :count], both[:, count:]
            return geometry, *(t.view_as(x) for t, x in zip(parts, (body, face), strict=True))
        if face.shape[1]:
            head, flat = self.face_stage(geometry[:, :n_face], face.flatten(1, 2), g)
            face = flat.unflatten(1, face.shape[1:3])
            geometry = torch.cat([head, geometry[:, n_face:]], 1)
        geometry, flat = self.body_stage(geometry, body.flatten(1, 2), g)
        return geometry, flat.unflatten(1, body.shape[1:3]), face
