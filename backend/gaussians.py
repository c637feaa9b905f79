# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Gaussians as tensors."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians: means [N,3] metres, covariances [N,3,3] m^2, opacities [N] in 0..1, colors [N,3].

    Colours are sRGB-encoded, as in a 3DGS file, unless `linear` says that they are scene-linear. float32,
    one device.
    """

    means: Tensor
    covariances: Tensor
    opacities: Tensor
    colors: Tensor
    linear: bool = False

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
        return quats_of(axes).to(self.means.dtype), values.clamp_min(0).sqrt().to(self.means.dtype)

    def to(self, device) -> "Gaussians":
        if self.device == torch.device(device):
            return self
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "linear"}
        return replace(self, **moved)


def rotations_of(quats: Tensor) -> Tensor:
    """Quaternions [...,4] (w, x, y, z), normalised here -> rotation matrices [...,3,3]."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def covariances_of(quats: Tensor, scales: Tensor) -> Tensor:
    """R S S R^T [...,3,3] of quaternions [...,4] and standard deviations [...,3]."""
    half = rotations_of(quats) * scales[..., None, :]
    return half @ half.mT


def quats_of(rotations: Tensor) -> Tensor:
    """Rotation matrices [N,3,3] -> unit quaternions [N,4], w >= 0.

    Each of the four formulas divides by one component; the largest component is taken (Shepperd 1978).
    """
    m = rotations
    diagonal = torch.diagonal(m, dim1=-2, dim2=-1)
    trace = diagonal.sum(-1)
    squares = torch.cat([trace[:, None], 2 * diagonal - trace[:, None]], -1)
    x, y, z = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    one = 1 + squares
    rows = (
        torch.stack([one[:, 0], x, y, z], -1),
        torch.stack([x, one[:, 1], xy, xz], -1),
        torch.stack([y, xy, one[:, 2], yz], -1),
        torch.stack([z, xz, yz, one[:, 3]], -1),
    )
    best = squares.argmax(-1)
    quats = torch.stack(rows, 1)[torch.arange(len(m), device=m.device), best]
    quats = torch.nn.functional.normalize(quats, dim=-1)
    return torch.where(quats[:, :1] < 0, -quats, quats)
