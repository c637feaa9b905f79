# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops of faces in photos, straightened: what expression codes are read from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ...model.expression_codes import SIZE

MIDDLE, RADIUS = (0.0, -0.143, 1.535), 0.085  # metres on the template: from the brows to the chin
FRONT = -0.113  # metres: points behind are no face
MIN_PIXELS = 100
FLATTEST = 0.25  # height over width of a circle on a face that is turned away as far as one can read it


def face_frame(matte: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """How the front of a face lies in a picture: the affine map [2,3] from metres on the template, rightwards
    and up from the face's middle, to pixels (column, row; the first pixel's corner is 0). None where the face
    is not seen well.

    matte [H,W] in 0..1, points [H,W,3] metres on the template (any value, NaN too, where the matte is 0).
    Eyes and mouth lie at the same place in everybody's crop, however the head is turned.
    """
    rows, columns = np.nonzero(matte > 0.5)
    seen = np.nan_to_num(points[rows, columns]).astype(np.float64)
    near = (((seen - MIDDLE) ** 2).sum(-1) < RADIUS**2) & (seen[:, 1] < FRONT)
    if near.sum() < MIN_PIXELS:
        return None
    plane = np.c_[seen[near][:, [0, 2]] - (MIDDLE[0], MIDDLE[2]), np.ones(near.sum())]
    pixels = np.c_[columns[near], rows[near]] + 0.5
    frame = np.linalg.lstsq(plane, pixels, rcond=None)[0].T
    long, short = np.linalg.svd(frame[:, :2], compute_uv=False)
    return frame.astype(np.float32) if short > FLATTEST * long else None


def face_crop(rgba: np.ndarray, frame: np.ndarray, room: float = 1.0) -> np.ndarray:
    """Straight RGBA uint8 [n,n,4] of the face at `frame` in a picture uint8 [H,W,4]: `SIZE` and the part of
    the face that fits it, both times `room`. Clear beyond the picture's border."""
    side = round(SIZE[0] * room)
    pixels = max(1.0, 2 * RADIUS / SIZE[0] * float(np.linalg.svd(frame[:, :2], compute_uv=False)[0]))
    fine = side * min(8, int(np.ceil(pixels)))  # samples enough for a large photo, then their mean
    image = torch.from_numpy(rgba).permute(2, 0, 1)[None].float() / 255
    image = torch.cat([image[:, :3] * image[:, 3:], image[:, 3:]], 1)
    scale = np.array([2.0 / rgba.shape[1], 2.0 / rgba.shape[0]])[:, None]
    half = RADIUS * side / SIZE[0]
    theta = frame * (half, -half, 1) * scale - (0, 0, 1)  # rows go down, the template's Z up
    theta = torch.from_numpy(theta[None].astype(np.float32))
    crop = F.grid_sample(
        image, F.affine_grid(theta, (1, 4, fine, fine), align_corners=False), align_corners=False
    )
    crop = F.adaptive_avg_pool2d(crop, side)[0]
    color = crop[:3] / crop[3:].clamp(min=1e-3)
    return (torch.cat([color, crop[3:]]).clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()
