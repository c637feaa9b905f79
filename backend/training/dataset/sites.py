# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed points on the template where the photos of prepared people are sampled: the Gaussians of the largest
anchor set. Any smaller anchor set looks its Gaussians' nearest sites up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...body.anchors import sample_anchors
from ...model.config import ModelConfig
from ...model.tokens import child_positions


@dataclass(frozen=True)
class Sites:
    """Fixed points on the template where photos are sampled: positions [S,3] metres, is_face [S]."""

    positions: np.ndarray
    is_face: np.ndarray


def make_sites(config: ModelConfig) -> Sites:
    """The places of all Gaussians at the largest anchor count that training sees."""
    anchors = sample_anchors(config.training_tokens[1], config.face_fraction)
    order = np.argsort(~anchors.is_face, kind="stable")
    children = child_positions(
        config, anchors.positions[order], anchors.frames[order], anchors.spacing[order]
    )
    return Sites(children.reshape(-1, 3), np.repeat(anchors.is_face[order], config.gaussians_per_token))
