# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny network on a small sphere with four joints: enough to test what must hold for any body."""

from types import SimpleNamespace

import numpy as np
import torch
from lca_blender.backend.decoder import CHANGES, SLOPE
from lca_blender.backend.model.config import ModelConfig
from lca_blender.backend.model.tokens import AnchorSet, anchor_set

JOINTS = 4

TINY = ModelConfig(
    name="tiny",
    body_size=(32, 32),
    face_size=(32, 16),
    encoder_width=24,
    encoder_heads=2,
    width=32,
    layers=2,
    heads=2,
    global_width=16,
    tokens=24,
    training_tokens=(12, 24),
    gaussians_per_token=4,
    joints=JOINTS,
    expression_width=8,
    pixel_heads=2,
)

# The same on the body's template.
SMALL = TINY.with_(
    joints=58,
    expression_width=128,
    body_size=(64, 48),
    face_size=(64, 48),
    tokens=64,
    training_tokens=(32, 64),
)


def sphere_samples(points: np.ndarray) -> SimpleNamespace:
    """Skinning by height and one expression that pushes outwards, at any points."""
    height = np.clip((points[:, 2] - 0.5) / 0.8 * (JOINTS - 1), 0, JOINTS - 1)
    low = np.minimum(height.astype(int), JOINTS - 2)
    part = (height - low).astype(np.float32)
    deltas = np.zeros((52, len(points), 3), np.float32)
    deltas[3] = 0.02 * (points - (0, 0, 0.9))
    return SimpleNamespace(
        skin_indices=np.stack([low, low + 1], -1),
        skin_weights=np.stack([1 - part, part], -1),
        expression_deltas=deltas,
    )


def sphere_anchors(config: ModelConfig = TINY, count: int = 24) -> AnchorSet:
    """A sphere of radius 0.4 m around (0, 0, 0.9); the upper half is the face."""
    k = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    normals = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], -1)
    tangents = np.cross(normals, (0.3, 0.5, 0.81))
    tangents /= np.linalg.norm(tangents, axis=-1, keepdims=True)
    frames = np.stack([tangents, np.cross(normals, tangents), normals], -1)
    anchors = SimpleNamespace(
        positions=0.4 * normals + (0, 0, 0.9),
        frames=frames,
        spacing=np.full(count, np.sqrt(4 * np.pi * 0.16 / count), np.float32),
        is_face=normals[:, 2] > 0,
    )
    return anchor_set(config, anchors, sphere_samples)


def photos(config: ModelConfig = TINY, batch: int = 2, body: int = 2, face: int = 1, seed: int = 0):
    """Random photos as the encoder sees them."""
    generator = torch.Generator().manual_seed(seed)
    shape = lambda n, size: (batch, n, config.image_channels, *size)  # noqa: E731
    return (
        torch.rand(shape(body, config.body_size), generator=generator),
        torch.rand(shape(face, config.face_size), generator=generator),
    )


def signals(config: ModelConfig = TINY, batch: int = 2, views: int = 2, seed: int = 1):
    """Random driving signals, expressions and joint transforms."""
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(batch, views, config.signal_width, generator=generator) * 0.3
    expression = torch.rand(batch, views, 52, generator=generator) * 0.5
    transforms = torch.eye(3, 4).repeat(batch, views, config.joints, 1, 1)
    transforms[..., 3] += torch.randn(batch, views, config.joints, 3, generator=generator) * 0.05
    return signal, expression, transforms


def fused_changes(token_bias: torch.Tensor, decoder: dict, signal: torch.Tensor) -> torch.Tensor:
    """What a stored decoder answers to a signal [S]: changes [M,13], written as its layers are described."""
    x = torch.nn.functional.leaky_relu(token_bias + signal @ decoder["signal_weight"].T, SLOPE)
    for i in range(sum(k.startswith("hidden") for k in decoder) // 2):
        x = x @ decoder[f"hidden{i}_weight"].T + decoder[f"hidden{i}_bias"]
        x = torch.nn.functional.leaky_relu(x, SLOPE)
    return (x @ decoder["last_weight"].T + decoder["last_bias"]).reshape(-1, CHANGES) * decoder["delta_scale"]
