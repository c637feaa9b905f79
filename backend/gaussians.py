# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Gaussians as tensors."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .quaternions import matrix_to_quaternion, quaternion_to_matrix, with_positive_w


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians: means [N,3] metres, covariances [N,3,3] m^2, opacities [N] in 0..1, colors [N,3].

    Colours are sRGB-encoded, as in a 3DGS file, unless `linear` says that they are scene-linear. seen
    [N,1]: 0 for holdouts, which hide what is behind them and are not seen themselves, else 1; None: all are
    seen. float32, one device.
    """

    means: Tensor
    covariances: Tensor
    opacities: Tensor
    colors: Tensor
    linear: bool = False
    seen: Tensor | None = None

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def device(self) -> torch.device:
        return self.means.device

    @classmethod
    def from_quats_scales(cls, means, quats, scales, opacities, colors, linear: bool = False) -> "Gaussians":
        """From quaternions [N,4] (w, x, y, z; any length but zero) and scales [N,3], standard deviations in
        metres."""
        return cls(means, covariances_of(quats, scales), opacities, colors, linear)

    def to_quats_scales(self) -> tuple[Tensor, Tensor]:
        """Unit quaternions [N,4] with w >= 0 and scales [N,3] of the covariances; smallest axis first."""
        values, axes = torch.linalg.eigh(0.5 * (self.covariances + self.covariances.mT).double())
        axes = torch.where(torch.linalg.det(axes)[:, None, None] < 0, -axes, axes)
        quats = with_positive_w(matrix_to_quaternion(axes))
        return quats.to(self.means.dtype), values.clamp_min(0).sqrt().to(self.means.dtype)

    def to(self, device) -> "Gaussians":
        if self.device == torch.device(device):
            return self
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: value.to(device) for name, value in own.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


def covariances_of(quats: Tensor, scales: Tensor) -> Tensor:
    """R S S R^T [...,3,3] of quaternions [...,4] and standard deviations [...,3]."""
    half = quaternion_to_matrix(quats) * scales[..., None, :]
    return half @ half.mT
