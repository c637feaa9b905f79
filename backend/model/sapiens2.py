# SPDX-License-Identifier: GPL-3.0-or-later
"""Sapiens2 (arXiv 2604.21681) as a frozen image encoder, under the names of the published checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import merge_heads, split_heads
from .sapiens import FrozenEncoder

FULL_LAYERS = 8  # the first and the last ones: as many keys as queries; between them half as many
STORAGE_TOKENS = 8
ROPE_BASE = 100.0


def rotations(rows: int, columns: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [rows columns, head_width / 2]: a quarter of a head's width for the row, one for the
    column, both from -1 to 1 over the photo whatever its shape."""
    quarter = head_width // 4
    periods = ROPE_BASE ** (torch.arange(quarter) / quarter)
    line = lambda n: (torch.arange(n) + 0.5) / n * 2 - 1  # noqa: E731
    place = torch.stack(torch.meshgrid(line(rows), line(columns), indexing="ij"), -1)
    angles = (2 * torch.pi * place[..., None] / periods).flatten(0, 1).flatten(1)
    return angles.cos(), angles.sin()


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys [N,heads,n,d] whose last tokens, as many as `turn` has, lie on the grid."""
    cos, sin = turn
    first = x.shape[2] - len(cos)
    a, b = x[:, :, first:].float().chunk(2, -1)  # 2 x (N, nh, rows columns, hs / 2)
    grid = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
    return torch.cat([x[:, :, :first], grid.to(x.dtype)], 2)


class Scale(nn.Module):
    """A weight per channel."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class GroupedAttention(nn.Module):
    """Self-attention whose keys are shared by groups of queries; RMS-normalised; scaled at the end."""

    def __init__(self, width: int, heads: int, key_heads: int):
        super().__init__()
        self.heads, self.key_heads, head = heads, key_heads, width // heads
        self.wq, self.proj = nn.Linear(width, width), nn.Linear(width, width)
        self.wk, self.wv = (nn.Linear(width, key_heads * head) for _ in range(2))
        self.q_norm, self.k_norm = nn.RMSNorm(head, eps=1e-6), nn.RMSNorm(head, eps=1e-6)
        self.gamma = Scale(width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        q = turned(self.q_norm(split_heads(self.wq(x), self.heads)), turn)  # (N, nh, n, hs)
        k = turned(self.k_norm(split_heads(self.wk(x), self.key_heads)), turn)
        v = split_heads(self.wv(x), self.key_heads)  # k, v: (N, key_heads, n, hs)
        k, v = (t.repeat_interleave(self.heads // self.key_heads, 1) for t in (k, v))  # (N, nh, n, hs)
        return self.gamma(self.proj(merge_heads(F.scaled_dot_product_attention(q, k, v))))


class GatedFeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, width: int):
        super().__init__()
        self.w12, self.w3 = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, -1)
        return self.w3(F.silu(gate) * value)


class Sapiens2Layer(nn.Module):
    """Pre-norm attention and feed-forward with residuals."""

    def __init__(self, width: int, heads: int, key_heads: int):
        super().__init__()
        self.ln1, self.ln2 = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.attn = GroupedAttention(width, heads, key_heads)
        self.ffn = GatedFeedForward(width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attn(self.ln1(x), turn)
        return x + self.ffn(self.ln2(x))


class Sapiens2Encoder(FrozenEncoder):
    """ViT with patch 16, rotary positions, a class and eight storage tokens that are dropped at the end."""

    generation = "Sapiens2"

    def __init__(self, width: int, layers: int, heads: int, patch: int = 16):
        super().__init__(width, patch, padding=0)
        self.heads = heads
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.storage_tokens = nn.Parameter(torch.zeros(1, STORAGE_TOKENS, width))
        between = range(FULL_LAYERS, layers - FULL_LAYERS)
        self.blocks = nn.ModuleList(
            Sapiens2Layer(width, heads, heads // 2 if i in between else heads) for i in range(layers)
        )
        self.ln1 = nn.RMSNorm(width, eps=1e-6)
        self.freeze()

    def features(self, rgb: Tensor) -> Tensor:
        x = self.patches(rgb)
        rows, columns, width = x.shape[1:]
        turn = tuple(t.to(x.device) for t in rotations(rows, columns, width // self.heads))
        extra = torch.cat([self.cls_token, self.storage_tokens], 1).expand(len(x), -1, -1)
        x = torch.cat([extra, x.flatten(1, 2)], 1)  # (N, 9 + h w, C)
        for block in self.blocks:
            x = block(x, turn)
        return self.ln1(x)[:, extra.shape[1] :].unflatten(1, (rows, columns))
