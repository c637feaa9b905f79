# SPDX-License-Identifier: GPL-3.0-or-later
"""The prior of poses: a Gaussian over the joint angles that a photo is fitted with.

Its mean and covariance are those of the poses of the synthetic people, which come from measured ranges of
motion.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ...body.skeleton import FINGERS, INDEX
from ...tensor_file import REINSTALL, TensorFile

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
    """The prior in a file. Raises `TensorFileError`."""
    file = TensorFile(path, "pose prior", REINSTALL)
    file.check({"rest": ("F32", (len(INDEX), 3)), "root": ("F32", (3 * len(FREE), 3 * len(FREE)))})
    tensors = {name: value.astype(np.float64) for name, value in file.arrays().items()}
    joints = np.array([INDEX[name] for name in FREE])
    return PosePrior(joints, tensors["rest"][joints], tensors["root"], tensors["rest"])
