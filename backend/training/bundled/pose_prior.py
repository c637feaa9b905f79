# SPDX-License-Identifier: GPL-3.0-or-later
"""The prior of the joint angles that a photo is fitted with: `python -m
lca_blender.backend.training.bundled.pose_prior` writes it anew.
"""

from pathlib import Path

import numpy as np

from ...body.skeleton import INDEX
from ...imaging.fit.pose_prior import FILE, FREE
from ...tensor_file import write_tensors
from ..people.poses import random_pose

POSES = 20_000
FLOOR = np.radians(3.0)  # of a standard deviation: a joint that never moves may still move a little


def measure(path: Path = FILE, count: int = POSES) -> None:
    """Writes the prior of `count` random poses."""
    rng = np.random.default_rng(11)
    poses = np.stack([random_pose(rng).rotations for _ in range(count)]).astype(np.float64)
    rest = poses.mean(0)
    rest[0] = 0
    free = poses[:, [INDEX[name] for name in FREE]].reshape(count, -1)
    covariance = np.cov(free.T) + FLOOR**2 * np.eye(free.shape[1])
    root = np.linalg.cholesky(np.linalg.inv(covariance)).T
    write_tensors(path, {"rest": rest.astype(np.float32), "root": root.astype(np.float32)})


if __name__ == "__main__":
    measure()
