# SPDX-License-Identifier: GPL-3.0-or-later
"""Scratch memory of the rasteriser, reused from frame to frame."""

from collections import deque

import numpy as np

from ..recycling import on_line

_spare: deque["Workspace"] = deque(maxlen=4)


class Workspace:
    """Named arrays that grow and are reused, for one frame at a time."""

    def __init__(self):
        self._blocks: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Contiguous, aligned to a cache line, uninitialised."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        block = self._blocks.get(name)
        if block is None or len(block) < size:
            self._blocks.pop(name, None)
            block = self._blocks[name] = on_line(size + size // 4)
        return block[:size].view(dtype).reshape(shape)


class BorrowedWorkspace:
    """A workspace for one frame, which is returned to the pool when this object is released."""

    def __init__(self):
        try:
            self.space = _spare.pop()
        except IndexError:
            self.space = Workspace()

    def __del__(self):
        _spare.append(self.space)
