# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's 58 joints out of MakeHuman's default rig, and the canonical pose."""

import numpy as np
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES, NEXT, joint_parents

from .archive import COUNT, MakeHuman

FINGERS = dict(zip("12345", ("thumb", "index", "middle", "ring", "pinky"), strict=True))
HEADS = {  # joint -> the bone that begins there
    "pelvis": "root", "spine1": "spine04", "spine2": "spine02", "spine3": "spine01", "neck1": "neck01",
    "neck2": "neck02", "head": "head", "jaw": "jaw", "eye": "eye", "clavicle": "clavicle",
    "upper_arm": "upperarm01", "forearm": "lowerarm01", "forearm_twist": "lowerarm02", "hand": "wrist",
    "thigh": "upperleg01", "shin": "lowerleg01", "foot": "foot", "toe": "toe2-1",
    **{f"{name}{i}": f"finger{number}-{i}" for number, name in FINGERS.items() for i in (1, 2, 3)},
}  # fmt: skip
JAW = ("jaw", "special04", "oris01", "oris02", "oris06", "oris07")  # bones that move with the lower jaw
JOINTS_OF_BONES = (  # start of a bone's name -> joint, the first that fits
    ("root", "pelvis"), ("pelvis", "pelvis"), ("spine05", "pelvis"), ("spine04", "spine1"),
    ("spine03", "spine1"), ("spine02", "spine2"), ("spine01", "spine3"), ("breast", "spine3"),
    ("neck01", "neck1"), ("neck", "neck2"),
    ("tongue", "jaw"), ("eye.", "eye"), ("clavicle", "clavicle"), ("shoulder01", "clavicle"),
    ("upperarm", "upper_arm"), ("lowerarm01", "forearm"), ("lowerarm02", "forearm_twist"), ("wrist", "hand"),
    ("metacarpal", "hand"), ("upperleg", "thigh"), ("lowerleg", "shin"), ("foot", "foot"), ("toe", "toe"),
)  # fmt: skip
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


def joint_of_bone(bone: str) -> str:
    """The template's joint that a bone of the default rig belongs to."""
    side = bone[-2:] if bone[-2:] in (".L", ".R") else ""
    stem = bone.removesuffix(side)
    if stem in JAW and not (stem in ("oris06", "oris07") and not side):
        return "jaw"
    if stem.startswith("finger"):
        return f"{FINGERS[stem[6]]}{stem[8]}{side}"
    for start, joint in JOINTS_OF_BONES:
        if bone.startswith(start):
            return joint + (side if joint + side in INDEX else "")
    return "head"


def joint_places(data: MakeHuman, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails [58,3] of a body with these vertices [19158,3]."""
    heads, tails = [], []
    for name in JOINT_NAMES:
        stem, side = name.split(".")[0], name[-2:] if name[-2] == "." else ""
        bone = HEADS[stem] + side
        heads.append(data.bone_end(vertices, bone, "head"))
        tails.append(data.bone_end(vertices, bone, "tail"))
    heads, tails = np.array(heads), np.array(tails)
    # MakeHuman's root bone begins behind the body: the pelvis turns about the middle of the hips
    heads[INDEX["pelvis"]] = (heads[INDEX["thigh.L"]] + heads[INDEX["thigh.R"]]) / 2
    for i, name in enumerate(JOINT_NAMES):
        after, side = NEXT.get(name), name[-2:]
        if after:
            tails[i] = heads[INDEX[after]]
        elif name.startswith("hand"):
            tails[i] = heads[INDEX["middle1" + side]]
    return heads, tails


def skinning_weights(data: MakeHuman) -> np.ndarray:
    """Dense [19158,58]; rows of vertices that no bone moves are zero. Mirror images have the same weights."""
    weights = np.zeros((COUNT, len(JOINT_NAMES)))
    for bone, rows in data.bone_weights.items():
        rows = np.reshape(rows, (-1, 2))
        weights[rows[:, 0].astype(int), INDEX[joint_of_bone(bone)]] += rows[:, 1]
    return weights


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation [3,3] that turns direction a into b (Rodrigues)."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), a @ b
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + c)


def canonical_transforms(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Skinning matrices [58,4,4] that take a body with these joints from MakeHuman's rest pose to the
    canonical one; the trunk stays."""
    turn, place = np.zeros((58, 3, 3)), np.zeros((58, 3))
    for j, (name, parent) in enumerate(zip(JOINT_NAMES, joint_parents(), strict=True)):
        above = np.eye(3) if parent < 0 else turn[parent]
        place[j] = heads[j] if parent < 0 else place[parent] + above @ (heads[j] - heads[parent])
        stem, flip = name.split(".")[0], np.array([-1 if name.endswith(".R") else 1, 1, 1])
        direction = above @ (tails[j] - heads[j])
        if stem in CANONICAL:
            turn[j] = _between(direction, CANONICAL[stem] * flip) @ above
        elif stem == "foot":
            # the sole stays level: the leg's turn is undone, and the foot turns about the vertical only
            ahead = (tails[j] - heads[j]) * (1, 1, 0)
            wanted = np.array([np.sin(TOES_OUT), -np.cos(TOES_OUT), 0]) * flip
            turn[j] = _between(ahead, wanted)
        else:
            turn[j] = above
    out = np.tile(np.eye(4), (58, 1, 1))
    out[:, :3, :3] = turn
    out[:, :3, 3] = place - np.einsum("jab,jb->ja", turn, heads)
    return out
