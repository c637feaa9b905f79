# SPDX-License-Identifier: GPL-3.0-or-later
"""An opaque background behind a premultiplied picture."""

import numpy as np

from ..native import INT, POINTER, Kernel
from ..workers import default_threads, share

CHUNK = 1 << 15  # pixels of one ticket

_behind = Kernel("lca_put_behind", POINTER, INT, INT, POINTER, POINTER, POINTER)


def put_behind(picture: np.ndarray, color, holes: np.ndarray | None = None) -> None:
    """Puts an opaque colour [3] behind a premultiplied picture, contiguous float32 [H,W,4], in place.

    Where holes, float32 [H,W], is finite (a depth image: where a mesh of the scene is), the picture is
    unchanged. ValueError for other shapes or types.
    """
    if picture.dtype != np.float32 or picture.ndim != 3 or picture.shape[2] != 4:
        raise ValueError(f"picture must be float32 [H, W, 4], not {picture.dtype} {list(picture.shape)}.")
    if holes is not None and (holes.dtype != np.float32 or holes.shape != picture.shape[:2]):
        raise ValueError(f"holes must be float32 {list(picture.shape[:2])}.")
    color = np.array(color, np.float32)
    if color.shape != (3,):
        raise ValueError(f"color must have shape [3], not {list(color.shape)}.")
    pixels = picture.size // 4
    share(_behind, -(-pixels // CHUNK), default_threads(), pixels, CHUNK, picture, color, holes)
