# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering batches of posed avatars with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ...gaussians import Gaussians
from ...model.lca import PosedGaussians
from ...raster import rasterize
from ...raster.camera import Camera


def render_batch(posed: PosedGaussians, cameras: list[list[Camera]]) -> Tensor:
    """Premultiplied RGBA [B,R,h,w,4]; colours are blended as they are, sRGB-encoded.

    Antialiased: in these small pictures the dilation is wider than most Gaussians and would do what their
    scales have to do in larger ones.
    """
    rows = []
    for b, line in enumerate(cameras):
        for r, camera in enumerate(line):
            gaussians = Gaussians(
                means=posed.means[b, r],
                covariances=posed.covariances[b, r],
                opacities=posed.opacities[b],
                colors=posed.colors[b, r],
            )
            rows.append(rasterize(gaussians, camera, antialiased=True)["combined"])
    return torch.stack(rows).unflatten(0, (len(cameras), -1))
