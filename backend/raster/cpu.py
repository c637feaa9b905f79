# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser for the CPU: project, list per tile, sort, blend; and the way back.

Bit for bit the same on any number of threads: work is cut into pieces whose size does not depend on it, and
every sum has one fixed order.
"""

from dataclasses import dataclass

import numpy as np

from ..workers import default_threads, share
from .blend import blend
from .project import CHUNK, RECORD, TILE_H, TILE_W, VALUES, camera_numbers, project
from .project_backward import project_backward
from .replay import ENTRY, SUMS, replay, sum_entries
from .tiles import longest_first, offsets, scatter

GROUP = 4  # channels blended in one walk


@dataclass
class Frame:
    """What a forward pass leaves for the backward pass. Arrays as in `project`, `tiles` and `blend`."""

    means: np.ndarray
    covariances: np.ndarray
    opacities: np.ndarray
    values: np.ndarray
    camera: np.ndarray
    records: np.ndarray
    boxes: np.ndarray
    touched: np.ndarray
    starts: np.ndarray
    order: np.ndarray
    entries: np.ndarray
    layers: np.ndarray
    threads: int


def _groups(channels: int):
    return [(first, min(GROUP, channels - first)) for first in range(0, channels, GROUP)]


def _set_values(records: np.ndarray, values: np.ndarray, first: int, count: int) -> None:
    records[:, VALUES : VALUES + count] = values[:, first : first + count]
    records[:, VALUES + count : VALUES + GROUP] = 0


def forward(means, covariances, opacities, values, camera, threads: int | None = None) -> Frame:
    """Draws Gaussians: means [N,3], covariances [N,9], opacities [N], values [N,D] with D >= 3; contiguous
    float32.

    Frame.layers [H, W, 1 + D] holds, premultiplied by coverage, channels 0..2, alpha, channels 3... A
    Gaussian that is not finite, not in front of the camera or nowhere 1/255 opaque is left out.
    """
    threads = threads or default_threads()
    count = means.shape[0]
    columns, rows = -(-camera.width // TILE_W), -(-camera.height // TILE_H)
    chunks = -(-count // CHUNK)
    cam = camera_numbers(camera)
    records, boxes = np.empty((count, RECORD), np.float32), np.empty((count, 4), np.int32)
    depths, touched = np.empty(count, np.float32), np.empty(count, np.int32)
    counts, starts = np.empty((chunks, columns * rows), np.int64), np.empty(columns * rows + 1, np.int64)
    arrays = (means, covariances, opacities, values, cam, records, boxes, depths, touched, counts)
    share(project, chunks, threads, *arrays)
    entries = np.empty(offsets(counts, starts), np.uint64)
    share(scatter, chunks, threads, boxes, depths.view(np.uint32), counts, columns, entries)
    order = np.empty(columns * rows, np.int64)
    order = order[: longest_first(starts, order)]
    layers = np.zeros((camera.height, camera.width, 1 + values.shape[1]), np.float32)
    for first, size in _groups(values.shape[1]):
        if first:
            _set_values(records, values, first, size)
        share(blend, len(order), threads, order, starts, entries, first == 0, records, layers, first, size)
    return Frame(*arrays[:4], cam, records, boxes, touched, starts, order, entries, layers, threads)


def backward(frame: Frame, gradient: np.ndarray):
    """Gradients of a loss whose gradient of `frame.layers` is `gradient` (same shape).

    Returns float32 gradients of means [N,3], covariances [N,9] (of nine independent entries, symmetric),
    opacities [N] and values [N,D]; zeros for Gaussians that were not drawn.
    """
    count, channels = frame.values.shape
    slots = np.cumsum(frame.touched, dtype=np.int64) - frame.touched
    entry_gradients = np.zeros((len(frame.entries), ENTRY), np.float32)
    sums = np.empty((count, SUMS), np.float32)
    grad_values = np.empty((count, channels), np.float32)
    pieces = -(-count // CHUNK)
    groups = _groups(channels)
    for first, size in groups:
        if len(groups) > 1:
            _set_values(frame.records, frame.values, first, size)
        lists = (frame.order, frame.starts, frame.entries, frame.records, frame.boxes, slots)
        pixels = (frame.layers, gradient, first, size, entry_gradients)
        share(replay, len(frame.order), frame.threads, *lists, *pixels)
        share(sum_entries, pieces, frame.threads, slots, frame.touched, entry_gradients, sums)
        grad_values[:, first : first + size] = sums[:, SUMS - GROUP : SUMS - GROUP + size]
    grads = (np.empty((count, 3), np.float32), np.empty((count, 9), np.float32), np.empty(count, np.float32))
    scene = (frame.means, frame.covariances, frame.opacities, frame.camera.astype(np.float64))
    share(project_backward, pieces, frame.threads, *scene, frame.touched, sums, *grads)
    return (*grads, grad_values)
