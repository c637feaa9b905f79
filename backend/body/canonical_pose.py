# SPDX-License-Identifier: GPL-3.0-or-later
"""From MakeHuman's rest pose to the template's canonical pose."""

import numpy as np

from .rotations import smallest_rotation, unit
from .skeleton import JOINT_NAMES, joint_parents

# Directions of the left side's bones in the canonical pose: arms 45 degrees below the horizontal, the palm
# towards the thigh, fingers slightly bent, legs straight.
CANONICAL = {
    "upper_arm": (0.71, 0.02, -0.71), "forearm": (0.7, -0.09, -0.7), "forearm_twist": (0.7, -0.09, -0.7),
    "hand": (0.71, -0.16, -0.69), "thumb1": (0.3, -0.54, -0.79), "thumb2": (0.43, -0.32, -0.84),
    "thumb3": (0.52, -0.19, -0.84), "index1": (0.53, -0.1, -0.84), "index2": (0.32, -0.03, -0.95),
    "index3": (0.16, 0.02, -0.99), "middle1": (0.55, -0.03, -0.83), "middle2": (0.34, 0.03, -0.94),
    "middle3": (0.18, 0.08, -0.98), "ring1": (0.57, 0.03, -0.82), "ring2": (0.35, 0.09, -0.93),
    "ring3": (0.19, 0.13, -0.97), "pinky1": (0.58, 0.11, -0.81), "pinky2": (0.37, 0.17, -0.91),
    "pinky3": (0.2, 0.2, -0.96), "thigh": (0.02, -0.01, -1.0), "shin": (0.01, 0.09, -1.0),
}  # fmt: skip
TOES_OUT = np.radians(7.0)  # the foot's turn from straight ahead


def canonical_transforms(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Skinning matrices [58,4,4] that take a body with these joints [58,3] from MakeHuman's rest pose to the
    canonical one; the trunk stays."""
    turn, place = np.zeros((58, 3, 3)), np.zeros((58, 3))
    for j, (name, parent) in enumerate(zip(JOINT_NAMES, joint_parents(), strict=True)):
        above = np.eye(3) if parent < 0 else turn[parent]
        place[j] = heads[j] if parent < 0 else place[parent] + above @ (heads[j] - heads[parent])
        stem, flip = name.split(".")[0], np.array([-1 if name.endswith(".R") else 1, 1, 1])
        direction = above @ (tails[j] - heads[j])
        if stem in CANONICAL:
            turn[j] = smallest_rotation(unit(direction), unit(CANONICAL[stem] * flip)) @ above
        elif stem == "foot":
            # the sole stays level: the leg's turn is undone, and the foot turns about the vertical only
            ahead = (tails[j] - heads[j]) * (1, 1, 0)
            wanted = np.array([np.sin(TOES_OUT), -np.cos(TOES_OUT), 0]) * flip
            turn[j] = smallest_rotation(unit(ahead), wanted)
        else:
            turn[j] = above
    out = np.tile(np.eye(4), (58, 1, 1))
    out[:, :3, :3] = turn
    out[:, :3, 3] = place - np.einsum("jab,jb->ja", turn, heads)
    return out
