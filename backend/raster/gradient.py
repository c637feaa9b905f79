# SPDX-License-Identifier: GPL-3.0-or-later
"""Backward pass of the rasteriser: replay the blending, sum up, unproject (kernels/)."""

from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..native import INT, POINTER, Kernel
from ..recycling import empty
from ..workers import default_threads, share
from .draw import Frame, Scene, View, band_arguments, fill_lists, job_of, project, walks

GEOMETRY = 6  # sums of a tile beside those of a Gaussian's values, see kernels/replay.c
MOST_BYTES = 1 << 35  # of the gradients of single tiles

_slots = Kernel("lca_slots", INT, POINTER, POINTER)
_replay = Kernel("lca_replay", POINTER, INT, POINTER, POINTER, INT, INT, *[POINTER] * 6, INT)
_backward = Kernel(
    *(
        "lca_project_backward",
        POINTER,
        INT,
        INT,
        *[POINTER] * 4,
        INT,
        *[POINTER] * 4,
        *[INT] * 3,
        *[POINTER] * 6,
    )
)


@dataclass
class Gradients:
    """float32, as the arrays of `Scene`; features None where it has none; viewmat [4,4]."""

    means: np.ndarray
    covariances: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    features: np.ndarray | None
    viewmat: np.ndarray


def backward(scene: Scene, view: View, frame: Frame, pictures: tuple, gradients: tuple) -> Gradients:
    """Gradients of a loss, given those of (picture, layers) that `draw` filled; contiguous float32.

    Covariances get those of nine independent entries, symmetric; zeros where a Gaussian was not drawn.
    UserError where the Gaussians cover so much that their gradients do not fit into memory.
    """
    lists, threads = frame.lists, default_threads()
    slots, slot_gradients = _allocate_slots(scene, frame)
    for band in lists.bands:
        filled, sort = frame.filled, False
        if len(lists.bands) > 1:  # only one band's lists are kept: build them again
            lists = project(scene, view, lists.space, threads) if band == lists.bands[0] else lists
            filled, sort = fill_lists(scene, view, lists, band, threads), True
        for index, walk in enumerate(walks(scene)):
            picture, gradient = (pictures[0], gradients[0]) if index == 0 else (None, None)
            job = job_of(scene, view, lists, walk, picture, pictures[1], (gradient, gradients[1]))
            arguments = band_arguments(lists, band, filled, sort and index == 0)
            sink = (lists.boxes, slots, slot_gradients, slot_gradients.shape[1])
            share(_replay, len(filled[0]), threads, *arguments, job, *sink)
    return _unproject(scene, view, lists, slots, slot_gradients)


def _allocate_slots(scene: Scene, frame: Frame):
    """Where the gradients of each Gaussian's tiles begin [N], and room for them [slots, width]."""
    space = frame.lists.space
    slots = space.array("slots", (len(scene) + 1,), np.int64)
    total = _slots(len(scene), frame.lists.boxes, slots)
    width = max(16, -(-(GEOMETRY + 3 + scene.layers) // 8) * 8)
    if 4 * total * width > MOST_BYTES:
        raise UserError(
            f"The Gaussians cover {total:,} tiles of the picture: their gradients do not fit into memory.",
            "Draw smaller or fewer Gaussians, or a smaller picture.",
        )
    return slots, space.array("gradients", (total + 1, width), np.float32)


def _unproject(scene: Scene, view: View, lists, slots, slot_gradients) -> Gradients:
    count = len(scene)
    shapes = ((count, 3), (count, 9), (count,), (count, 3), (count, scene.feature_channels))
    grads = [empty(*shape).numpy() for shape in shapes]
    pose = np.empty((len(lists.positions), 12), np.float64)
    inputs = (scene.means, scene.covariances, scene.opacities, view.camera, int(view.antialiased))
    places = (lists.records, lists.boxes, slots, slot_gradients, slot_gradients.shape[1])
    sizes = (scene.geometry, scene.feature_channels)
    share(_backward, len(pose), default_threads(), count, lists.chunk, *inputs, *places, *sizes, *grads, pose)
    viewmat = np.zeros((4, 4), np.float32)
    viewmat[:3] = pose.sum(0).reshape(3, 4)
    return Gradients(*grads[:4], grads[4] if scene.features is not None else None, viewmat)
