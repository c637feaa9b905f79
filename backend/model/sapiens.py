# SPDX-License-Identifier: GPL-3.0-or-later
"""Sapiens as a frozen image encoder. Its weights are the user's own download under their own licence."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import UserError
from .attention import merge_heads, split_heads

MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)


class SapiensLayer(nn.Module):
    """A pre-norm ViT layer under the names of the published checkpoints."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.ln2 = nn.LayerNorm(width, eps=1e-6)
        up, down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.ffn = nn.ModuleDict({"layers": nn.ModuleList([nn.ModuleList([up]), down])})

    def forward(self, x: Tensor) -> Tensor:
        # (N, n, 3 C) -> q, k, v, each (N, nh, n, hs)
        q, k, v = (split_heads(t, self.heads) for t in self.attn["qkv"](self.ln1(x)).chunk(3, -1))
        x = x + self.attn["proj"](merge_heads(F.scaled_dot_product_attention(q, k, v)))
        (up,), down = self.ffn["layers"]
        return x + down(F.gelu(up(self.ln2(x))))


class FrozenEncoder(nn.Module):
    """What both generations of Sapiens share: photos [B,V,C,H,W] in 0..1 -> features [B,V,h,w,width].

    Frozen, bfloat16. `load(path)` fills it from a pretraining or task checkpoint (.pth or .safetensors); with
    a `cache` (see `feature_cache`), photos that it has met are read from disk.
    """

    generation = ""

    def __init__(self, width: int, patch: int, padding: int):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"projection": nn.Conv2d(3, width, patch, patch, padding=padding)})
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.loaded, self.cache = False, None

    def freeze(self) -> None:
        """To bfloat16, and never trained; the last line of a constructor."""
        self.to(torch.bfloat16).requires_grad_(False)

    def load(self, path: str | Path) -> None:
        """Read the weights; `UserError` says what does not fit."""
        state = self.adapted(canonical_keys(read_checkpoint(path)))
        own = self.state_dict()
        wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
        if wrong:
            raise UserError(
                f"{Path(path).name} is no {self.generation} checkpoint of this size"
                f" (first misfit: {wrong[0]})."
            )
        self.load_state_dict({k: state[k] for k in own})
        self.loaded = True

    def adapted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint's tensors as this network names and shapes them."""
        return state

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        if not self.loaded:
            raise UserError("The Sapiens encoder has no weights yet.", "Download them and give their path.")
        rgb = images.flatten(0, 1)[:, :3]
        features = self.features(rgb) if self.cache is None else self.cache(self, rgb)
        return features.unflatten(0, images.shape[:2])

    def patches(self, rgb: Tensor) -> Tensor:
        """[N,3,H,W] in 0..1 -> [N,h,w,width]."""
        normal = (rgb - self.mean.float()) / self.std.float()
        return self.patch_embed["projection"](normal.to(torch.bfloat16)).permute(0, 2, 3, 1)

    def features(self, rgb: Tensor) -> Tensor:
        """[N,3,H,W] in 0..1 -> [N,h,w,width]."""
        raise NotImplementedError


class SapiensEncoder(FrozenEncoder):
    """Sapiens (v1, arXiv 2408.12569): ViT with patch 16 and a two-pixel border (64x48 patches at 1024x768),
    learned positions, final norm."""

    generation = "Sapiens"

    def __init__(self, width: int, layers: int, heads: int, patch: int = 16, positions: int = 1):
        super().__init__(width, patch, padding=2)
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, width))
        self.layers = nn.ModuleList(SapiensLayer(width, heads) for _ in range(layers))
        self.ln1 = nn.LayerNorm(width, eps=1e-6)
        self.freeze()

    def adapted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Takes over the size of the checkpoint's position table."""
        grid = state.get("pos_embed")
        if grid is not None and grid.ndim == 3 and grid.shape[-1] == self.pos_embed.shape[-1]:
            self.pos_embed = nn.Parameter(torch.empty_like(grid, dtype=torch.bfloat16), requires_grad=False)
        return state

    def positions(self, rows: int, columns: int) -> Tensor:
        """[rows columns, width]; stored positions are for a square or 4:3, with or without a class token."""
        table = self.pos_embed[0]
        count = len(table)
        for r, c in _grids(count):
            if r * c in (count, count - 1):
                grid = table[count - r * c :].reshape(r, c, -1).permute(2, 0, 1)[None].float()
                grid = F.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
                return grid[0].permute(1, 2, 0).flatten(0, 1).to(table.dtype)
        raise UserError("The Sapiens checkpoint's position table has an unknown shape.")

    def features(self, rgb: Tensor) -> Tensor:
        x = self.patches(rgb)
        rows, columns = x.shape[1:3]
        x = x.flatten(1, 2) + self.positions(rows, columns)  # (N, h w, C) + (h w, C)
        for layer in self.layers:
            x = layer(x)
        return self.ln1(x).unflatten(1, (rows, columns))


def _grids(count: int):
    """Candidate grids of a position table: squares first, then 4:3 portraits."""
    for n in (count, count - 1):
        side = round(n**0.5)
        yield side, side
        unit = round((n / 12) ** 0.5)
        yield 4 * unit, 3 * unit


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or a torch file; never runs code from the file."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read as a checkpoint.") from error
    except Exception as error:  # torch.load raises pickle's own errors for what is no plain tensor file
        raise UserError(f"{path.name} holds more than tensors and is not loaded.") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    return {k: v for k, v in state.items() if isinstance(v, Tensor)}


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop a task checkpoint's `backbone.` prefix."""
    return {re.sub(r"^(module\.)?(backbone\.)?", "", k): v for k, v in state.items()}
