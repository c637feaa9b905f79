# SPDX-License-Identifier: GPL-3.0-or-later
"""The face at rest: a hint of a smile, teeth where lips part, and lids as far open as people's."""

from __future__ import annotations

import numpy as np

from ...body.arkit import ARKIT_INDEX
from .sites import TEETH, Sites

OPENNESS = (0.15, 0.95)  # share of eyeWide in a face at rest: the template's lids hang low
SMILE = (0.0, 0.22)  # share of a smile in a face at rest: the template's looks sullen
TEETH_DROPS = (0.34, 0.46)  # head units, of the upper and the lower row


def lower_teeth(vertices: np.ndarray, sites: Sites, scale: float) -> np.ndarray:
    """A person's vertices [Nv, 3] with teeth that show where lips part: the upper row a little lower, the
    lower one just under it; `scale` of the person's head beside the mean one."""
    template = sites.template
    jaw = template.joint_names.index("jaw")
    below = (template.skin_weights * (template.skin_indices == jaw)).sum(1) > 0.5
    out, teeth = vertices.copy(), template.part == TEETH
    for row, drop in zip((teeth & ~below, teeth & below), TEETH_DROPS, strict=True):
        out[row, 2] -= np.float32(drop * scale * sites.head_scale)
    return out


def smile(vertices: np.ndarray, sites: Sites, share: float) -> np.ndarray:
    """A person's vertices [Nv, 3] with the corners of the mouth as after that share of a smile."""
    up = [sites.template.expression_deltas[ARKIT_INDEX[f"mouthSmile{side}"]] for side in ("Left", "Right")]
    return vertices + np.float32(share) * (up[0] + up[1])


def open_lids(vertices: np.ndarray, sites: Sites, share: float) -> np.ndarray:
    """A person's vertices [Nv, 3] with their lids raised by that share of eyeWide."""
    wide = [sites.template.expression_deltas[ARKIT_INDEX[f"eyeWide{side}"]] for side in ("Left", "Right")]
    return vertices + np.float32(share) * (wide[0] + wide[1])


def close_opened_lids(deltas: np.ndarray, rows: np.ndarray, sites: Sites, share: float) -> np.ndarray:
    """Expression deltas [52, e, 3] of the template's vertices `rows`, with blinks that close lids opened by
    `share`."""
    out = deltas.copy()
    for side in ("Left", "Right"):
        wide = sites.template.expression_deltas[ARKIT_INDEX[f"eyeWide{side}"], rows]
        out[ARKIT_INDEX[f"eyeBlink{side}"]] -= np.float32(share) * wide
    return out
