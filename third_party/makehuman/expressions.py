# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's 52 blend shapes from MakeHuman's face units, without what the jaw's and the eyes' joints do."""

import numpy as np
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.expression import apply_face_joints
from lca_blender.backend.body.skeleton import INDEX

from .archive import MakeHuman

BROWS = 1.5  # MakeHuman's brow units move 5 mm at 1
JAW = ("jawOpen", "jawLeft", "jawRight", "jawForward")
TONGUE_OUT = np.array([0, -0.036, 0.011])  # metres that the tip of the tongue moves


def mirrored_name(name: str) -> str:
    for a, b in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(a):
            return name.removesuffix(a) + b
    return name


def units(data: MakeHuman, mirror: np.ndarray) -> dict[str, np.ndarray]:
    """name -> displacement [19158,3]: the two sides are each other's mirror image, brows are strengthened."""
    raw = {name: data.face_unit(name).astype(np.float64) for name in ARKIT_NAMES}
    flip = np.array([-1, 1, 1])
    even = {name: 0.5 * (raw[name] + raw[mirrored_name(name)][mirror] * flip) for name in ARKIT_NAMES}
    return {name: unit * (BROWS if name.startswith("brow") else 1) for name, unit in even.items()}


def jaw_weights(moved: np.ndarray, vertices: np.ndarray, lower_teeth: np.ndarray) -> np.ndarray:
    """Share of the lower jaw's motion [n] in jawOpen's displacement `moved` of vertices [n,3]; the rows of
    the lower teeth say what the whole motion is."""
    turn, shift = rigid_motion(vertices[lower_teeth], moved[lower_teeth])
    whole = vertices @ turn.T + shift - vertices
    return np.clip((moved * whole).sum(1) / np.maximum((whole**2).sum(1), 1e-12), 0, 1)


def rigid_motion(points: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3,3] and translation [3] nearest to displacements `moved` of points [n,3] (Kabsch 1976)."""
    a, b = points.mean(0), (points + moved).mean(0)
    u, _, vt = np.linalg.svd((points - a).T @ (points + moved - b))
    turn = vt.T @ np.diag([1, 1, np.linalg.det(vt.T @ u.T)]) @ u.T
    return turn, b - turn @ a


def without_joints(name: str, delta, vertices, weights, joint_heads) -> np.ndarray:
    """What is left [n,3] of a displacement when the jaw's joint has done its part: linear blend skinning by
    dense weights [n,58] of vertices + result gives vertices + delta."""
    if name not in JAW:
        return delta
    arkit = np.zeros(len(ARKIT_NAMES), np.float32)
    arkit[ARKIT_NAMES.index(name)] = 1
    rest = np.tile(np.eye(4, dtype=np.float32), (len(INDEX), 1, 1))
    matrices = np.asarray(apply_face_joints(rest, arkit, joint_heads=joint_heads), np.float64)
    blended = np.einsum("nj,jab->nab", weights, matrices)
    moved = vertices + delta - blended[:, :3, 3]
    return np.linalg.solve(blended[:, :3, :3], moved[..., None])[..., 0] - vertices


def tongue_out(points: np.ndarray) -> np.ndarray:
    """[n,3]: the tongue's tip comes out between the lips, its root stays."""
    ahead = (points[:, 1].max() - points[:, 1]) / np.ptp(points[:, 1])
    return ahead[:, None] * TONGUE_OUT
