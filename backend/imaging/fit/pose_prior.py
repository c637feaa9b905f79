# SPDX-License-Identifier: GPL-3.0-or-later
"""How people hold themselves: a Gaussian over the joint angles that a photo is fitted with.

Its mean and covariance are those of the poses of the synthetic people, which come from measured ranges of
motion.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ...body.skeleton import FINGERS, INDEX

FILE = Path(__file__).parent / "data" / "pose_prior.safetensors"
LIMBS = ("clavicle", "upper_arm", "forearm", "forearm_twist", "hand", "thigh", "shin", "foot")
FREE = (
    *("spine1", "spine2", "spine3", "neck1", "neck2", "head"),
    *(f"{name}.{side}" for side in "LR" for name in LIMBS),
    *(f"{finger}{n}.{side}" for side in "LR" for finger in FINGERS for n in (1, 2, 3)),
)


@dataclass(frozen=True)
class PosePrior:
    """joints [F] indices of the free joints; mean [F,3] axis-angle; root [3F,3F]: |root (x - mean)|² is the
    squared Mahalanobis distance; rest [J,3] axis-angle of all joints, the mean pose.
    """

    joints: np.ndarray
    mean: np.ndarray
    root: np.ndarray
    rest: np.ndarray


@cache
def load_prior(path: Path = FILE) -> PosePrior:
    tensors = {name: value.astype(np.float64) for name, value in load_file(path).items()}
    joints = np.array([INDEX[name] for name in FREE])
    return PosePrior(joints, tensors["rest"][joints], tensors["root"], tensors["rest"])
