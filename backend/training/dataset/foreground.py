# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own colour at the edge of a photo's matte, where the photo shows a mix with the background."""

import numpy as np
from scipy.ndimage import distance_transform_edt

REACH = 4.0  # pixels: an edge farther from all that is opaque keeps its colour


def keeps_background(record: dict) -> bool:
    """Whether colours of partly covered pixels contain the background: photographs, and frames of shards."""
    return record["regime"] == "wild" or "domain" in record


def own_colors(rgba: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """uint8 [H,W,4] with straight alpha of a photo and its matte: pixels that are partly covered take the
    colour of the nearest opaque one within `REACH`. `hidden` [H,W] pixels show something else: they neither
    give nor take.
    """
    alpha = rgba[..., 3]
    opaque = (alpha == 255) & ~hidden
    if not opaque.any():
        return rgba
    distance, nearest = distance_transform_edt(~opaque, return_indices=True)
    edge = (alpha > 0) & (alpha < 255) & ~hidden & (distance <= REACH)
    out = rgba.copy()
    out[edge, :3] = rgba[tuple(nearest[:, edge])][:, :3]
    return out
