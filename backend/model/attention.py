# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention, RMS norm and the two-dimensional rotary embedding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Below this many keys, a plain bf16 product is faster on a CPU than the fused kernel (measured).
PLAIN_BELOW = 1024  # keys; on a CPU in bfloat16 the fused kernel is slower, by half backwards


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis, computed in float32."""

    def __init__(self, width: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / sqrt(d)) v for [B, heads, n, d]; on a CPU in the precision that is fastest there."""
    if q.device.type != "cpu":
        dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else v.dtype
        return F.scaled_dot_product_attention(q.to(dtype), k.to(dtype), v.to(dtype))
    with torch.autocast("cpu", enabled=False):
        if v.dtype == torch.bfloat16 and k.shape[2] < PLAIN_BELOW:
            q, k = (q * q.shape[-1] ** -0.5).to(v.dtype), k.to(v.dtype)
            return torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(v.dtype)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, n, C] -> [B, heads, n, C / heads]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, heads, n, d] -> [B, n, heads d]."""
    return x.transpose(1, 2).flatten(2)


class Rope2D(nn.Module):
    """Rotary position embedding on a grid: half of a head's channels turn with the row, half with the column.

    `forward(x [B, heads, n, d])`: rows x columns tokens are turned, those after them (registers) are not.
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
        n = len(self.cos)
        a, b = x[..., :n, :].chunk(2, -1)
        turned = torch.cat([a * self.cos - b * self.sin, a * self.sin + b * self.cos], -1).to(x.dtype)
        return turned if x.shape[2] == n else torch.cat([turned, x[..., n:, :]], -2)


class KeysValues(nn.Module):
    """Keys and values of a stream that is only read, with RMS-normalised keys."""

    def __init__(self, width: int, heads: int, qk_norm: bool):
        super().__init__()
        self.heads = heads
        self.kv = nn.Linear(width, 2 * width)
        self.norm_k = RMSNorm(width // heads) if qk_norm else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, n, width] -> twice [B, heads, n, width / heads]."""
        k, v = (split_heads(t, self.heads) for t in self.kv(x).chunk(2, -1))
        return self.norm_k(k), v


class Projections(nn.Module):
    """Queries, keys and values of one stream, with RMS-normalised queries and keys."""

    def __init__(self, width: int, heads: int, qk_norm: bool):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_q = RMSNorm(width // heads) if qk_norm else nn.Identity()
        self.norm_k = RMSNorm(width // heads) if qk_norm else nn.Identity()

    def forward(self, x: Tensor, rope: Rope2D | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """[B, n, width] -> three times [B, heads, n, width / heads]."""
        q, k, v = (split_heads(t, self.heads) for t in self.qkv(x).chunk(3, -1))
        q, k = self.norm_q(q), self.norm_k(k)
        return (q, k, v) if rope is None else (rope(q), rope(k), v)
