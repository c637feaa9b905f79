# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's 52 blend shapes from MakeHuman's face units, without what the jaw's and the eyes' joints do."""

import numpy as np
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.expression import apply_face_joints
from lca_blender.backend.body.skeleton import INDEX

from .archive import MakeHuman
from .openings import LEFT_LIDS, Opening

STRENGTH = {"brow": 1.5, "noseSneer": 1.6}  # units that hardly show: start of the name -> factor
JAW = {  # units of which the jaw's joint does a part -> how the jaw stands meanwhile
    **{name: name for name in ("jawOpen", "jawLeft", "jawRight", "jawForward")},
    "mouthClose": "jawOpen",
}
CLOSE_REACH = 0.012  # metres from the lips' rims
BLINK_REACH, BLINK_OVERLAP = 0.007, 0.0012  # metres
TONGUE_TIP = np.array([-0.022, -0.008])  # metres ahead of and above the lower lip's rim in tongueOut
TONGUE_OVER = 0.0055  # metres of the tongue's middle above the teeth and the lip that it lies on
PARTED = ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")


def mirrored_name(name: str) -> str:
    for a, b in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(a):
            return name.removesuffix(a) + b
    return name


def units(data: MakeHuman, mirror: np.ndarray) -> dict[str, np.ndarray]:
    """name -> displacement [19158,3]: the two sides are each other's mirror image, faint units are
    strengthened; tongueOut parts the lips."""
    raw = {name: data.face_unit(name).astype(np.float64) for name in ARKIT_NAMES}
    flip = np.array([-1, 1, 1])
    even = {name: 0.5 * (raw[name] + raw[mirrored_name(name)][mirror] * flip) for name in ARKIT_NAMES}
    for name, unit in even.items():
        unit *= next((factor for start, factor in STRENGTH.items() if name.startswith(start)), 1)
    even["tongueOut"] = 0.5 * sum(even[name] for name in PARTED)
    return even


def close_fully(
    face_units: dict, data: MakeHuman, base: np.ndarray, mirror: np.ndarray, lips: Opening
) -> None:
    """Changes mouthClose so that it shuts the mouth that jawOpen opens, and eyeBlink so that the upper lid
    ends a little below the lower one's rim; base [19158,3]."""
    opened = base + face_units["jawOpen"] + face_units["mouthClose"]
    face_units["mouthClose"] += lips.closing(CLOSE_REACH) @ opened
    blink = face_units["eyeBlinkLeft"]
    still = np.abs(blink[:, 2]) < 0.3 * np.abs(blink[:, 2]).max()
    lids = Opening(data, base, LEFT_LIDS, still)
    blink *= lids.shut_share(blink)[:, None]
    blink += lids.closing(BLINK_REACH, upper=1) @ (base + blink)
    blink += lids.overlap(BLINK_REACH, BLINK_OVERLAP, upper=1)
    face_units["eyeBlinkRight"] = blink[mirror] * (-1, 1, 1)


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
    dense weights [n,58] of vertices + result gives vertices + delta. Of mouthClose, what it adds to jawOpen.
    """
    if name not in JAW:
        return delta
    arkit = np.zeros(len(ARKIT_NAMES), np.float32)
    arkit[ARKIT_NAMES.index(JAW[name])] = 1
    rest = np.tile(np.eye(4, dtype=np.float32), (len(INDEX), 1, 1))
    matrices = np.asarray(apply_face_joints(rest, arkit, joint_heads=joint_heads), np.float64)
    blended = np.einsum("nj,jab->nab", weights, matrices)
    if name == JAW[name]:
        delta = vertices + delta - blended[:, :3, 3]
        return np.linalg.solve(blended[:, :3, :3], delta[..., None])[..., 0] - vertices
    return np.linalg.solve(blended[:, :3, :3], delta[..., None])[..., 0]


def tongue_out(points: np.ndarray, teeth: np.ndarray, lip: np.ndarray) -> np.ndarray:
    """[n,3]: the tongue comes out over the lower teeth and the lower lip, its root stays. points [n,3] at
    rest; teeth, lip [3]: the middle of the lower teeth's edge and of the lower lip's rim."""
    ahead = (points[:, 1].max() - points[:, 1]) / np.ptp(points[:, 1])
    middle = np.array([points[:, 1].max(), np.median(points[:, 2])])
    over = np.array([0, TONGUE_OVER])
    path = np.array([middle, teeth[1:] + over, lip[1:] + over, lip[1:] + TONGUE_TIP])
    length = np.r_[0, np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()]
    target = np.stack([np.interp(ahead * length[-1], length, column) for column in path.T], 1)
    out = np.zeros_like(points)
    out[:, 1] = target[:, 0] - points[:, 1]
    out[:, 2] = target[:, 1] - middle[1]
    return out
