# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Gaussians touch which tile of the picture, front to back.

An entry is a (tile, Gaussian) pair, 64 bits: the depth's sort key above, the Gaussian's number below.
Entries of a tile start in the Gaussians' order and the sort is stable, so equal depths always blend in the
same order.
"""

import numpy as np

from ..jit import kernel
from .lanes import take_ticket
from .project import CHUNK

_LOW = np.uint64(0xFFFFFFFF)
_SIGN = np.uint32(0x80000000)
_FLIP = np.uint32(0xFFFFFFFF)


@kernel
def offsets(counts, starts):
    """Turns counts [chunks, tiles] into where each chunk writes its first entry of each tile, in place, and
    fills starts [tiles + 1] with where each tile's entries begin. Returns the number of entries."""
    total = 0
    for tile in range(counts.shape[1]):
        starts[tile] = total
        for chunk in range(counts.shape[0]):
            count = counts[chunk, tile]
            counts[chunk, tile] = total
            total += count
    starts[counts.shape[1]] = total
    return total


@kernel
def scatter(counter, boxes, depth_bits, positions, columns, entries):
    """Writes every entry to its tile's list. depth_bits [N] are the camera z's float32 bits."""
    total = boxes.shape[0]
    while True:
        chunk = take_ticket(counter)
        if chunk >= positions.shape[0]:
            return
        position = positions[chunk]
        for i in range(chunk * CHUNK, min(total, (chunk + 1) * CHUNK)):
            if boxes[i, 0] > boxes[i, 1]:
                continue
            pattern = depth_bits[i]
            key = (pattern ^ _FLIP) if pattern & _SIGN else (pattern | _SIGN)  # grows with z, negative z too
            entry = (np.uint64(key) << np.uint64(32)) | np.uint64(i)
            for row in range(boxes[i, 2], boxes[i, 3] + 1):
                for column in range(boxes[i, 0], boxes[i, 1] + 1):
                    tile = row * columns + column
                    entries[position[tile]] = entry
                    position[tile] += 1


@kernel
def _insertion_sort(entries, first, count):
    for i in range(first + 1, first + count):
        entry = entries[i]
        key = entry >> np.uint64(32)
        j = i - 1
        while j >= first and entries[j] >> np.uint64(32) > key:
            entries[j + 1] = entries[j]
            j -= 1
        entries[j + 1] = entry


@kernel
def sort_tile(entries, first, count, scratch, histogram):
    """Stable sort of entries[first : first + count] by depth, in place. scratch holds `count`, histogram 256.

    Radix sort, eight bits at a time, over no more bits than the depths of this tile differ in.
    """
    if count <= 24:
        _insertion_sort(entries, first, count)
        return
    low, high = entries[first] >> np.uint64(32), entries[first] >> np.uint64(32)
    for i in range(first + 1, first + count):
        key = entries[i] >> np.uint64(32)
        low, high = min(low, key), max(high, key)
    shift = np.uint64(0)
    while (high - low) >> shift:
        histogram[:] = 0
        for i in range(first, first + count):
            histogram[(((entries[i] >> np.uint64(32)) - low) >> shift) & np.uint64(255)] += 1
        total = 0
        for digit in range(256):
            here = histogram[digit]
            histogram[digit] = total
            total += here
        for i in range(first, first + count):
            digit = (((entries[i] >> np.uint64(32)) - low) >> shift) & np.uint64(255)
            scratch[histogram[digit]] = entries[i]
            histogram[digit] += 1
        for i in range(count):
            entries[first + i] = scratch[i]
        shift += np.uint64(8)


@kernel
def gaussian_of(entry):
    return np.int64(entry & _LOW)


@kernel
def longest_first(starts, order):
    """Fills order [tiles] with the tiles that hold entries, most entries first (ties in tile order). Returns
    how many.

    The longest tiles go first so that no thread is left alone with one at the end.
    """
    count = 0
    for tile in range(starts.shape[0] - 1):
        if starts[tile + 1] > starts[tile]:
            order[count] = tile
            count += 1
    lengths = np.empty(count, np.int64)
    for k in range(count):
        lengths[k] = starts[order[k]] - starts[order[k] + 1]
    order[:count] = order[:count][np.argsort(lengths, kind="mergesort")]
    return count
