# SPDX-License-Identifier: GPL-3.0-or-later
"""Driving an avatar in torch, on any device: the reference of the CPU kernel, and the path for CUDA."""

import numpy as np
import torch
from torch import Tensor

from .decoder import CHANGES, SLOPE
from .gaussians import Gaussians
from .quaternions import quaternion_to_matrix


class AvatarOnDevice:
    """An `Avatar`'s tensors on a device, float32."""

    def __init__(self, avatar, device: str | torch.device):
        def on(tensor, kind=torch.float32):
            return torch.as_tensor(tensor).to(device, kind).contiguous()

        decoder = {name: on(tensor) for name, tensor in avatar.decoder.items()}
        units = decoder["delta_scale"].repeat(len(decoder["last_bias"]) // CHANGES)
        count = sum(name.startswith("hidden") for name in decoder) // 2
        self.token_bias, self.signal_weight = on(avatar.token_bias), decoder["signal_weight"]
        self.layers = [(decoder[f"hidden{i}_weight"], decoder[f"hidden{i}_bias"]) for i in range(count)]
        self.layers.append((decoder["last_weight"] * units[:, None], decoder["last_bias"] * units))
        self.means, self.quats, self.scales = on(avatar.means), on(avatar.quats), on(avatar.scales)
        self.colors, self.opacities = on(avatar.colors), on(avatar.opacities)
        weights = on(avatar.skin_weights)
        self.skin_weights = weights / weights.sum(-1, keepdim=True)
        self.skin_indices = on(avatar.skin_indices, torch.int64)
        token, slot = avatar.sources()
        self.source = on(token * (len(units) // CHANGES) + slot, torch.int64)
        basis, rows = avatar.expression_basis, avatar.expression_rows
        moving = torch.from_numpy(np.flatnonzero(basis.numpy().any((0, 2))))
        self.moved = on(moving if rows is None else rows[moving], torch.int64)
        self.basis = on(basis[:, moving]).flatten(1)

    def changes(self, features: Tensor) -> Tensor:
        """features [S] of the decoder -> changes [N,13] in their units."""
        h = self.token_bias + self.signal_weight @ features
        for weight, bias in self.layers:
            h = torch.nn.functional.linear(torch.nn.functional.leaky_relu(h, SLOPE), weight, bias)
        return h.reshape(-1, CHANGES).index_select(0, self.source)

    def drive(self, features: Tensor, expression: Tensor, transforms: Tensor) -> Gaussians:
        """One frame: features [S] of the decoder, expression [52], transforms [J,4,4], float32."""
        device = self.means.device
        features, expression, transforms = (t.to(device) for t in (features, expression, transforms))
        changes = self.changes(features)
        shift = (expression @ self.basis).reshape(-1, 3)
        means = self.means.index_add(0, self.moved, shift) + changes[:, 3:6]
        local = (
            quaternion_to_matrix(self.quats + changes[:, 6:10])
            * (self.scales * changes[:, 10:].exp())[:, None]
        )
        joints, bag = transforms[:, :3].reshape(-1, 12), torch.nn.functional.embedding_bag
        rows = bag(self.skin_indices, joints, mode="sum", per_sample_weights=self.skin_weights)
        rows = rows.reshape(-1, 3, 4)
        world = rows[:, :, :3] @ local
        posed = (rows[:, :, :3] @ means[:, :, None])[:, :, 0] + rows[:, :, 3]
        colors = (self.colors + changes[:, :3]).clamp(0, 1)
        return Gaussians(posed, world @ world.mT, self.opacities.clone(), colors)
