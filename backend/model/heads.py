# SPDX-License-Identifier: GPL-3.0-or-later
"""The two decoders: tokens -> canonical Gaussians, tokens and driving signal -> pose-dependent changes.

Shapes in comments: B people, T geometry tokens, K Gaussians per token, C channels of a token, D of a decoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..decoder import CHANGES, SLOPE
from .attention import split_heads
from .config import ModelConfig

CANONICAL = 14  # colour 3, offset 3, opacity 1, quaternion 4, log scale 3


def activate(x: Tensor) -> Tensor:
    """What follows every layer of a decoder but the last."""
    return nn.functional.leaky_relu(x, SLOPE)


def hidden_layers(config: ModelConfig) -> nn.ModuleList:
    """The layers between a decoder's first and last."""
    width = config.decoder_width
    return nn.ModuleList(nn.Linear(width, width) for _ in range(config.decoder_layers - 2))


class CanonicalHead(nn.Module):
    """[B,T,width] -> [B,T,K,14] before activation; starts on the template's surface."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        k = config.gaussians_per_token
        self.first = nn.Linear(config.width, config.decoder_width)
        self.hidden = hidden_layers(config)
        self.last = nn.Linear(config.decoder_width, k * CANONICAL)
        self.start(config, k)

    @torch.no_grad()
    def start(self, config: ModelConfig, k: int) -> None:
        """Zero offsets, the configured opacity, no turn, the configured scale; small weights elsewhere."""
        weight, bias = (
            self.last.weight.view(k, CANONICAL, -1),
            self.last.bias.view(k, CANONICAL),
        )  # (K, 14, D)
        weight[:, 3:6] = 0
        weight[:, 6:] *= 0.1
        bias.zero_()
        bias[:, 6] = math.log(config.opacity_init / (1 - config.opacity_init))
        bias[:, 7] = 1

    def forward(self, tokens: Tensor) -> Tensor:
        x = activate(self.first(tokens))  # (B, T, C) -> (B, T, D)
        for layer in self.hidden:
            x = activate(layer(x))
        return self.last(x).float().unflatten(-1, (-1, CANONICAL))  # (B, T, 14 K) -> (B, T, K, 14)


class PoseHead(nn.Module):
    """tokens [B,T,width] and signal [B,V,S] -> changes [B,V,T,K,13] in the avatar's units; starts at zero.

    The first layer acts on the concatenation (token, signal). It is kept as two parts, so that a driven frame
    only adds W_signal @ signal to the stored token part.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.token = nn.Linear(config.width, config.decoder_width)
        self.signal = nn.Linear(config.signal_width, config.decoder_width, bias=False)
        self.hidden = hidden_layers(config)
        self.last = nn.Linear(config.decoder_width, config.gaussians_per_token * CHANGES)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("units", torch.tensor(config.delta_units), persistent=False)

    def forward(self, tokens: Tensor, signal: Tensor) -> Tensor:
        # (B, 1, T, D) + (B, V, 1, D) -> (B, V, T, D)
        x = activate(self.token(tokens)[:, None] + self.signal(signal)[:, :, None])
        for layer in self.hidden:
            x = activate(layer(x))
        return self.last(x).float().unflatten(-1, (-1, CHANGES)) * self.units  # (B, V, T, K, 13)

    @torch.no_grad()
    def fused(self, tokens: Tensor) -> dict[str, Tensor]:
        """The decoder as an avatar stores it, for one avatar's tokens [T,width]."""
        out = {"token_bias": self.token(tokens.float()), "signal_weight": self.signal.weight}
        for i, layer in enumerate(self.hidden):
            out[f"hidden{i}_weight"], out[f"hidden{i}_bias"] = layer.weight, layer.bias
        out["last_weight"], out["last_bias"] = self.last.weight, self.last.bias
        out["delta_scale"] = self.units
        return {k: v.detach().float().cpu() for k, v in out.items()}


class PixelAttention(nn.Module):
    """Attention whose values are the photos' raw pixels.

    Each image token stands for its patch, averaged to blocks x blocks pixels of premultiplied RGBA. What a
    geometry token attends to is added to it, and mixed per Gaussian into a starting colour.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.heads, self.blocks, self.patch = config.pixel_heads, config.pixel_blocks, config.patch
        pixels = self.blocks**2
        self.query = nn.Linear(config.width, config.width)
        self.key_norm = nn.LayerNorm(config.width)
        self.key = nn.Linear(config.width, config.width)
        self.to_token = nn.Linear(self.heads * pixels * 4, config.width)
        self.mix = nn.Linear(config.width, config.gaussians_per_token * self.heads * pixels)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def pixels(self, images: Tensor) -> Tensor:
        """Photos [B,V,3 or 4,H,W] -> [B, V n, blocks² 4] premultiplied pixels, n patches a photo."""
        b = images.shape[0]
        x = images.flatten(0, 1)  # (B V, 3 or 4, H, W)
        alpha = x[:, 3:] if x.shape[1] == 4 else torch.ones_like(x[:, :1])
        x = torch.cat([x[:, :3] * alpha, alpha], 1)
        x = nn.functional.avg_pool2d(x, self.patch // self.blocks)  # (B V, 4, blocks rows, blocks columns)
        x = nn.functional.pixel_unshuffle(x, self.blocks)  # (B V, 4 blocks², rows, columns)
        return x.flatten(2).transpose(1, 2).reshape(b, -1, x.shape[1])  # (B, V n, 4 blocks²)

    def weights(self, query: Tensor, keys: Tensor) -> Tensor:
        """query (B, n, C), keys (B, m, C) -> (B, nh, n, m), rows sum to 1."""
        q, k = split_heads(query, self.heads), split_heads(keys, self.heads)  # (B, nh, n or m, hs)
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), -1)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """query (B, n, C), keys (B, m, C), values (B, m, P) -> (B, n, nh, P)."""
        weights = self.weights(query, keys)
        return (weights.to(values.dtype) @ values[:, None]).transpose(1, 2)  # (B, nh, n, P) -> (B, n, nh, P)

    def forward(self, tokens, body_tokens, face_tokens, body_images, face_images, n_face: int):
        """Image tokens [B, V n, width], photos as the encoder gets them (face photos may be none).

        Face anchors look at face and body photos, the others at body photos. Returns tokens [B,T,width] and
        starting colours [B,M,3] in 0..1.
        """
        query = self.query(tokens)
        keys = self.key(self.key_norm(body_tokens))
        values = self.pixels(body_images).to(keys.dtype)
        if face_tokens.shape[1] and n_face:
            all_keys = torch.cat([self.key(self.key_norm(face_tokens)), keys], 1)
            all_values = torch.cat([self.pixels(face_images).to(keys.dtype), values], 1)
            face = self.attend(query[:, :n_face], all_keys, all_values)
            seen = torch.cat([face, self.attend(query[:, n_face:], keys, values)], 1)
        else:
            seen = self.attend(query, keys, values)
        tokens = tokens + self.to_token(seen.flatten(2) * 2 - 1)  # seen: (B, T, nh, 4 blocks²)
        # Channels come as 4 planes of blocks² pixels: (B, T, nh, 4, blocks²) -> (B, T, P, 4), P = nh blocks².
        palette = seen.unflatten(-1, (4, -1)).transpose(-1, -2).flatten(2, 3)
        scores = self.mix(tokens).unflatten(-1, (-1, palette.shape[2]))  # (B, T, K, P)
        with torch.autocast(scores.device.type, enabled=False):  # it would widen the softmax to float32
            weights = torch.softmax(scores, -1)
            mixed = (weights @ palette.to(weights.dtype)).flatten(1, 2).float()  # (B, T, K, 4) -> (B, M, 4)
        return tokens, mixed[..., :3] / (mixed[..., 3:] + 1e-3)
