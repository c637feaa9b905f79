# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of an avatar is see-through where it should not be."""

import numpy as np
import torch
from scipy import ndimage

from ...avatar import Avatar, Signal
from ...body.pose import joint_transforms
from ...body.template import load_template
from ...model.create import rest_signal
from ...raster import rasterize
from ..people.cameras import body_extent, frame
from ..people.figure import Figure

DIRECTIONS, AWAY = 8, 4.0  # cameras about the person; metres from the middle
SIZE = (800, 800)  # height and width: about 2.5 mm a pixel
SOLID = 0.9  # alpha below is see-through
CLOSING, MARGIN = 6, 2  # pixels: half the width of the widest hole, and the edge that is left out


def holes(avatar: Avatar) -> float:
    """Share of the pixels well inside the silhouette that are see-through, from eight directions in the
    canonical pose and in a bent one.
    """
    see_through = inside = 0
    for signal in (rest_signal(), _bent()):
        for alpha in coverages(avatar, signal):
            mask = well_inside(alpha)
            inside += int(mask.sum())
            see_through += int((mask & (alpha < SOLID)).sum())
    return see_through / max(inside, 1)


def well_inside(alpha: np.ndarray) -> np.ndarray:
    """[H,W] bool of a coverage [H,W] in 0..1: the silhouette with its holes closed, without its edge.

    What is empty and reaches out of the closed silhouette is no hole: a gap between limbs or fingers.
    """
    empty = np.pad(alpha < 0.5, CLOSING + MARGIN, constant_values=True)
    closed = ndimage.binary_closing(~empty, _disk(CLOSING))
    labels, _ = ndimage.label(empty)
    gaps = empty & np.isin(labels, labels[~closed])
    mask = ndimage.binary_erosion(closed & ~gaps, _disk(MARGIN))
    return mask[CLOSING + MARGIN : -CLOSING - MARGIN, CLOSING + MARGIN : -CLOSING - MARGIN]


@torch.no_grad()
def coverages(avatar: Avatar, signal: Signal) -> list[np.ndarray]:
    """[H,W] in 0..1: an avatar's alpha in a pose from `DIRECTIONS` about it."""
    points = body_extent(signal.transforms.numpy())
    middle = (points.min(0) + points.max(0)) / 2
    gaussians, found = avatar.drive(signal), []
    for turn in np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS:
        eye = middle + AWAY * np.array([np.sin(turn), -np.cos(turn), 0])
        camera = frame(points, eye, SIZE[1], SIZE[0])
        found.append(rasterize(gaussians, camera)["combined"][..., 3].numpy())
    return found


def _bent() -> Signal:
    """Hips, knees and elbows by some 70 degrees, arms and legs apart: no gap that limbs enclose is narrow."""
    figure = Figure()
    figure.pelvis(tilt=15)
    figure.spine(15, 0, 15)
    for side in "LR":
        figure.leg(side, 70, 25, 10, 75, 10)
        figure.arm(side, (1, -0.6, -0.1), 70)
    pose, rest = figure.finish(), rest_signal()
    transforms = joint_transforms(load_template(), pose.rotations, pose.root)
    return Signal(torch.from_numpy(np.asarray(transforms, np.float32)), rest.expression, rest.gaze)


def _disk(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= radius**2
