# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's 58 joints out of MakeHuman's default rig."""

from functools import cache

import numpy as np
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES, NEXT
from scipy.sparse import csr_matrix

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


@cache
def joint_carriers(data: MakeHuman) -> csr_matrix:
    """[116,19158]: heads, then tails of the joints, as means of the base mesh's vertices."""
    heads, tails = {}, {}
    for name in JOINT_NAMES:
        stem, side = name.split(".")[0], name[-2:] if name[-2] == "." else ""
        heads[name], tails[name] = (data.bone_end(HEADS[stem] + side, end) for end in ("head", "tail"))
    # MakeHuman's root bone begins behind the body: the pelvis turns about the middle of the hips
    heads["pelvis"] = np.concatenate([heads["thigh.L"], heads["thigh.R"]])
    for name in JOINT_NAMES:
        after = "middle1" + name[-2:] if name.startswith("hand") else NEXT.get(name)
        tails[name] = heads[after] if after else tails[name]
    rows = [*heads.values(), *tails.values()]
    starts = np.cumsum([0, *map(len, rows)])
    shares = np.concatenate([np.full(len(row), 1 / len(row)) for row in rows])
    return csr_matrix((shares, np.concatenate(rows), starts), (len(rows), COUNT))


def joint_places(data: MakeHuman, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails [58,3] of a body with these vertices [19158,3]."""
    return tuple(np.split(joint_carriers(data) @ vertices, 2))


def skinning_weights(data: MakeHuman) -> np.ndarray:
    """Dense [19158,58]; rows of vertices that no bone moves are zero. Mirror images have the same weights."""
    weights = np.zeros((COUNT, len(JOINT_NAMES)))
    for bone, rows in data.bone_weights.items():
        rows = np.reshape(rows, (-1, 2))
        weights[rows[:, 0].astype(int), INDEX[joint_of_bone(bone)]] += rows[:, 1]
    return weights
