# SPDX-License-Identifier: GPL-3.0-or-later
"""Reuses the memory of large tensors that were released: new pages from the system cost more time than
skinning a frame."""

import weakref
from collections import deque
from math import prod

import numpy as np
import torch
from torch import Tensor

SMALL = 1 << 16  # bytes below which memory is not reused
LINE = 64  # bytes of a cache line: kernels stream whole ones
_spare: deque[np.ndarray] = deque(maxlen=8)


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """As `torch.empty` on the CPU. When the tensor and all views of it are released, its memory is reused
    for the next one of its size."""
    size = prod(shape) * dtype.itemsize
    if size < SMALL:
        return torch.empty(shape, dtype=dtype)
    block = _take(size)
    lent = block[:]  # lives as long as the tensor
    weakref.finalize(lent, _spare.append, block).atexit = False
    return torch.from_numpy(lent).view(dtype).view(shape)


def _take(size: int) -> np.ndarray:
    for _ in range(len(_spare)):
        try:
            block = _spare.popleft()
        except IndexError:  # another thread was faster
            break
        if block.nbytes == size:
            return block
        _spare.append(block)
    return on_line(size)


def on_line(size: int) -> np.ndarray:
    """Uninitialised uint8 [size], aligned to a cache line."""
    room = np.empty(size + LINE, np.uint8)
    return room[-room.ctypes.data % LINE :][:size]
