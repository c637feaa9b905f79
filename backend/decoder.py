# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose decoder's contract: what drives it, and what it changes.

The network trains it (`model/heads.py`), an avatar file stores its weights (`avatar_file.py`), and
`kernels/drive.c` runs it on the processor, `drive_torch.py` on other devices.
"""

import torch
from torch import Tensor

from .body.expression import CODE_SIZE, gaze_vectors
from .body.pose import pose_features

CHANGES = 13  # per Gaussian: colour 3, mean 3, quaternion 4, log scale 3; opacity never changes
SLOPE = 0.01  # of the leaky ReLU after every layer but the last
GAZE_SIZE = 6  # two unit vectors


def signal_size(joints: int) -> int:
    """How many numbers drive the decoder: axis-angles of all joints but the root, code, gaze."""
    return 3 * (joints - 1) + CODE_SIZE + GAZE_SIZE


def signal_features(transforms: Tensor, code: Tensor, gaze: Tensor, parents=None) -> Tensor:
    """The numbers that drive the decoder [...,S], S = `signal_size(J)`.

    transforms [...,J,4,4]: skinning matrices, jaw and eyes where the rig alone puts them; code [...,128]: the
    expression code; gaze [...,2,2] radians; parents [J]: the template's where None.
    """
    pose = pose_features(transforms, parents).flatten(-2)  # (..., J-1, 3) -> (..., 3 (J-1))
    return torch.cat([pose, code, gaze_vectors(gaze)], -1)
