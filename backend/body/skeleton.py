# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and parents of the template's 58 joints."""

import numpy as np

AXIAL = ("pelvis", "spine1", "spine2", "spine3", "neck1", "neck2", "head", "jaw")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SIDE_CHAIN = {  # joint -> parent, within one side unless the parent is axial
    "eye": "head", "clavicle": "spine3", "upper_arm": "clavicle", "forearm": "upper_arm",
    "forearm_twist": "forearm", "hand": "forearm_twist",
    **{f"{finger}{i}": "hand" if i == 1 else f"{finger}{i - 1}" for finger in FINGERS for i in (1, 2, 3)},
    "thigh": "pelvis", "shin": "thigh", "foot": "shin", "toe": "foot",
}  # fmt: skip
JOINT_NAMES = AXIAL + tuple(f"{name}.{side}" for side in "LR" for name in SIDE_CHAIN)
INDEX = {name: i for i, name in enumerate(JOINT_NAMES)}
# The joint at a bone's far end, where there is one.
NEXT = {
    "pelvis": "spine1", "spine1": "spine2", "spine2": "spine3", "spine3": "neck1", "neck1": "neck2",
    "neck2": "head",
    **{f"{a}.{side}": f"{b}.{side}" for side in "LR" for a, b in (
        ("clavicle", "upper_arm"), ("upper_arm", "forearm"), ("forearm", "forearm_twist"),
        ("forearm_twist", "hand"), ("hand", "middle1"), ("thigh", "shin"), ("shin", "foot"), ("foot", "toe"),
        *((f"{finger}{i}", f"{finger}{i + 1}") for finger in FINGERS for i in (1, 2)),
    )},
}  # fmt: skip


def joint_parents():
    """[58] int32, -1 for the pelvis."""
    parents = [-1] + [
        AXIAL.index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "neck1", "neck2", "head")
    ]
    for side in "LR":
        for parent in SIDE_CHAIN.values():
            parents.append(INDEX[parent] if parent in INDEX else INDEX[f"{parent}.{side}"])
    return np.array(parents, np.int32)


def mirror_joints():
    """[58] index of every joint's counterpart on the other side."""
    swap = {".L": ".R", ".R": ".L"}
    return np.array(
        [INDEX[n[:-2] + swap[n[-2:]]] if n[-2:] in swap else i for i, n in enumerate(JOINT_NAMES)]
    )
