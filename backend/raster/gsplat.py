# SPDX-License-Identifier: GPL-3.0-or-later
"""The same pictures on a CUDA device, by gsplat (Ye et al. 2024), where it is installed."""

import torch
from torch import Tensor

from ..errors import UserError


def available() -> bool:
    """Whether this machine can rasterise on CUDA."""
    if not torch.cuda.is_available():
        return False
    try:
        import gsplat  # noqa: F401
    except ImportError:
        return False
    return True


def layers(means: Tensor, covariances: Tensor, opacities: Tensor, values: Tensor, camera) -> Tensor:
    """Layers [H, W, 1 + D] as `autograd.layers` makes them, on the tensors' CUDA device. UserError without
    gsplat."""
    try:
        from gsplat import rasterization
    except ImportError as error:
        raise UserError(
            "Drawing on the graphics card needs gsplat, which is not installed.",
            "Install gsplat, or draw on the CPU.",
        ) from error
    viewmat = torch.from_numpy(camera.viewmat.copy()).to(means)
    K = torch.from_numpy(camera.K.copy()).to(means)
    finite = torch.isfinite(means).all(-1) & torch.isfinite(covariances).all(-1).all(-1)
    finite = finite & torch.isfinite(opacities) & torch.isfinite(values).all(-1)
    if not finite.all():
        means, covariances, opacities, values = (t[finite] for t in (means, covariances, opacities, values))
    if len(means) == 0:
        return means.new_zeros(camera.height, camera.width, 1 + values.shape[1])
    colors, alphas, _ = rasterization(
        means,
        None,
        None,
        opacities,
        values,
        viewmat[None],
        K[None],
        camera.width,
        camera.height,
        near_plane=camera.near,
        covars=covariances,
        camera_model="ortho" if camera.orthographic else "pinhole",
    )
    return torch.cat([colors[0, ..., :3], alphas[0], colors[0, ..., 3:]], -1)
