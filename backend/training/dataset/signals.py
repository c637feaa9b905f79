# SPDX-License-Identifier: GPL-3.0-or-later
"""How a person of a data set is posed: joint transforms as matrices, and the pose decoder's signal."""

from __future__ import annotations

import numpy as np
import torch

from ...decoder import signal_features


def square(transforms: np.ndarray) -> np.ndarray:
    """Joint transforms [...,3,4] or [...,4,4] -> float32 [...,4,4]."""
    if transforms.shape[-2] == 4:
        return transforms.astype(np.float32)
    last = np.broadcast_to(np.array([[0, 0, 0, 1]], np.float32), (*transforms.shape[:-2], 1, 4))
    return np.concatenate([transforms, last], -2).astype(np.float32)


def signal_of(transforms: np.ndarray, code: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """[V,S] of transforms [V,J,4,4] (jaw and eyes not turned), expression codes [V,128] and gaze [V,2,2]."""
    return signal_features(*map(torch.from_numpy, (transforms, code, gaze))).float().numpy()
