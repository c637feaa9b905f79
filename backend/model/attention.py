# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention and the two-dimensional rotary embedding.

Shapes in comments: B people, n tokens, nh heads of hs channels, C = nh hs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-6  # of the norm of queries and keys
PLAIN_BELOW = 1024  # keys; on a CPU in bfloat16 the fused kernel is slower, by half backwards


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / sqrt(hs)) v: q (B, nh, n, hs), k and v (B, nh, m, hs) -> (B, nh, n, hs).

    On a CPU in the precision that is fastest there.
    """
    if q.device.type != "cpu":
        dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else v.dtype
        return F.scaled_dot_product_attention(q.to(dtype), k.to(dtype), v.to(dtype))
    with torch.autocast("cpu", enabled=False):
        if v.dtype == torch.bfloat16 and k.shape[2] < PLAIN_BELOW:
            q, k = (q * q.shape[-1] ** -0.5).to(v.dtype), k.to(v.dtype)
            return torch.softmax(q @ k.mT, -1) @ v  # (B, nh, n, m) @ (B, nh, m, hs) -> (B, nh, n, hs)
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(v.dtype)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, n, C) -> (B, nh, n, hs)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, nh, n, hs) -> (B, n, C)."""
    return x.transpose(1, 2).flatten(2)


class Rope2D(nn.Module):
    """Rotary position embedding on a grid: half of a head's channels turn with the row, half with the column.

    `forward(x (B, nh, n, hs))`: rows x columns tokens are turned, those after them (registers) are not.
    """

    def __init__(self, rows: int, columns: int, head_width: int, base: float):
        super().__init__()
        pairs = head_width // 4
        frequencies = base ** (-torch.arange(pairs) / pairs)
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        angles = torch.cat([row.reshape(-1, 1) * frequencies, column.reshape(-1, 1) * frequencies], -1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n = len(self.cos)  # cos, sin: (n, hs / 2)
        a, b = x[..., :n, :].chunk(2, -1)  # 2 x (B, nh, n, hs / 2)
        turned = torch.cat([a * self.cos - b * self.sin, a * self.sin + b * self.cos], -1).to(x.dtype)
        return turned if x.shape[2] == n else torch.cat([turned, x[..., n:, :]], -2)


class KeysValues(nn.Module):
    """Keys and values of a stream that is only read, with RMS-normalised keys."""

    def __init__(self, width: int, heads: int, qk_norm: bool):
        super().__init__()
        self.heads = heads
        self.kv = nn.Linear(width, 2 * width)
        self.norm_k = nn.RMSNorm(width // heads, eps=EPSILON) if qk_norm else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n, C) -> k, v, each (B, nh, n, hs)."""
        k, v = self.kv(x).chunk(2, -1)  # (B, n, 2 C) -> 2 x (B, n, C)
        k, v = split_heads(k, self.heads), split_heads(v, self.heads)  # (B, nh, n, hs)
        if self.norm_k is not None:
            k = self.norm_k(k.float())  # whatever the precision of training
        return k, v


class Projections(nn.Module):
    """Queries, keys and values of one stream, with RMS-normalised queries and keys."""

    def __init__(self, width: int, heads: int, qk_norm: bool):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_q = nn.RMSNorm(width // heads, eps=EPSILON) if qk_norm else None
        self.norm_k = nn.RMSNorm(width // heads, eps=EPSILON) if qk_norm else None

    def forward(self, x: Tensor, rope: Rope2D | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, n, C) -> q, k, v, each (B, nh, n, hs)."""
        q, k, v = self.qkv(x).chunk(3, -1)  # (B, n, 3 C) -> 3 x (B, n, C)
        q, k, v = (split_heads(t, self.heads) for t in (q, k, v))  # (B, nh, n, hs)
        if self.norm_q is not None:
            q, k = self.norm_q(q.float()), self.norm_k(k.float())  # whatever the precision of training
        return (q, k, v) if rope is None else (rope(q), rope(k), v)
