# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field: pictures from points of a lens, whose mean has what is out of focus blurred."""

import math
from dataclasses import replace

import numpy as np
import torch

from ..gaussians import Gaussians
from .camera import Camera

DILATION = 0.3  # px^2, which the rasteriser adds in any case
GOLDEN = (5**0.5 - 1) / 2
GAP = 0.1  # of the variance of a sample's part of the lens: more widens outlines, less shows single pictures


def lens_points(count: int) -> np.ndarray:
    """[count,2] points spread evenly over the unit disc (Vogel 1979), in a shuffled order."""
    i = np.argsort(np.arange(count) * GOLDEN % 1)
    turn = 2 * math.pi * GOLDEN * i
    return np.sqrt((i[:, None] + 0.5) / count) * np.stack([np.cos(turn), np.sin(turn)], 1)


def seen_from(camera: Camera, x: float, y: float, focus: float) -> Camera:
    """The camera moved on its lens by x and y metres, so that the plane at camera z `focus` stays where it is
    in the picture; a parallel one is tilted."""
    shear = np.eye(4)
    shear[:2, 2], shear[:2, 3] = (x / focus, y / focus), (-x, -y)
    return replace(camera, viewmat=shear @ camera.viewmat)


def spread(gaussians: Gaussians, camera: Camera, radius: float, focus: float, count: int) -> Gaussians:
    """The Gaussians, blurred over the gap between `count` points of a lens of this radius, metres.

    A point at z is a disc of radius r = radius |z - focus| / focus there (Potmesil & Chakravarty 1981). Each
    point of the lens stands for a part of it: a disc of variance r^2 / (4 count) along both axes of the
    picture. `GAP` of that is added to the covariance; opacities fall as the covered area grows.
    """
    view = torch.from_numpy(camera.viewmat.copy()).to(gaussians.means)
    axes, depth = view[:2, :3], gaussians.means @ view[2, :3] + view[2, 3]
    variance = (GAP * (radius * (depth - focus) / focus) ** 2 / (4 * count))[:, None, None]
    size = torch.ones_like(depth) if camera.orthographic else depth.clamp_min(camera.near)
    pixel = (DILATION * (size / camera.K[0, 0]) ** 2)[:, None, None] * torch.eye(2)
    flat = axes @ gaussians.covariances @ axes.T + pixel
    share = torch.linalg.det(flat) / torch.linalg.det(flat + variance * torch.eye(2))
    covariances = gaussians.covariances + variance * (axes.T @ axes)
    return replace(
        gaussians, covariances=covariances, opacities=gaussians.opacities * share.clamp(0, 1).sqrt()
    )
