# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons of many programs by their own bone names, on the template's joints, with what hangs on them.

`data/rig_families.txt` holds the bones of each family; here they get sides, fingers and places.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lca_blender.backend.body.rig import Rig
from lca_blender.backend.body.template import load_template

TEMPLATE = load_template()
PLACES = dict(zip(TEMPLATE.joint_names, np.asarray(TEMPLATE.joint_heads, float), strict=True))
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
ROW = re.compile(
    r"(?P<name>[^<@=]+?) *(?:< *(?P<parent>[^@=]+?) *)?(?:@ *(?P<place>[\w.+]+) *)?(?:= *(?P<joint>\w+))?$"
)
TABLES = dict(
    re.findall(
        r"^\[(\w+)\]\n((?:(?!\[).+\n)+)",
        (Path(__file__).parent / "data" / "rig_families.txt").read_text(encoding="utf-8"),
        re.M,
    )
)


@dataclass
class Bone:
    name: str
    parent: str | None
    place: np.ndarray
    joint: str | None = None
    deforms: bool = True


def plain(rows: str, sides: tuple[str, str], fingers=None, hand="") -> list[Bone]:
    """Bones of a family. `fingers(finger, n)` names the bones of a finger, on the hand's bone `hand`."""
    middle = [row.strip() for row in rows.splitlines() if row.strip() and "#" not in row]
    sided = [row.strip() for row in rows.splitlines() if "#" in row]
    if fingers:
        for finger in FINGERS:
            parent = hand
            for n in (1, 2, 3):
                sided.append(f"{fingers(finger, n)} < {parent} = {finger}{n}")
                parent = fingers(finger, n)
    bones = [_bone(row, "") for row in middle]
    for side, word in zip("LR", sides, strict=True):
        bones += [_bone(row.replace("#", word), f".{side}") for row in sided]
    return bones


def _bone(row: str, side: str) -> Bone:
    name, parent, place, joint = ROW.match(row).group("name", "parent", "place", "joint")
    deforms = not name.startswith("!")
    joint = f"{joint}{side}" if joint and f"{joint}{side}" in PLACES else joint
    places = (place or joint or "pelvis").split("+")  # a+b: half way between two joints
    points = [PLACES[one if one in PLACES else f"{one}{side}"] for one in places]
    return Bone(name.lstrip("!"), parent and parent.lstrip("!"), np.mean(points, 0), joint, deforms)


def things(bones: list[Bone]) -> list[Bone]:
    """Twin tails to the hips, a skirt, a wide cape, a weapon and a breast, as characters carry them."""
    of = {bone.joint: bone.name for bone in bones if bone.joint}
    chest = of.get("spine3") or of.get("spine2") or of["spine1"]
    made = []
    for side, x in (("L", 1), ("R", -1)):
        chains = {
            f"Hair_{side}": (
                of["head"],
                [PLACES["head"] + (x * 0.12, 0.05, 0.12 - 0.2 * i) for i in range(6)],
            ),
            f"Cape_{side}": (
                chest,
                [PLACES["spine3"] + (x * (0.1 + 0.05 * i), 0.15, -0.2 * i) for i in range(7)],
            ),
            f"Breast_{side}": (chest, [PLACES["spine3"] + (x * 0.1, -0.1 - 0.03 * i, 0) for i in range(2)]),
            f"Sword_{side}": (
                of[f"hand.{side}"],
                [PLACES[f"hand.{side}"] + (0, -0.3 * i, 0) for i in range(2)],
            ),
        }
        for k in range(3):
            start = PLACES["pelvis"] + (x * (0.08 + 0.05 * k), -0.12 + 0.1 * k, -0.02)
            chains[f"Skirt_{k}_{side}"] = (of["pelvis"], [start - (0, 0, 0.14 * i) for i in range(4)])
        for name, (parent, points) in chains.items():
            for i, point in enumerate(points):
                made.append(Bone(f"{name}_{i}", parent, point))
                parent = f"{name}_{i}"
    return made


def renamed(bones: list[Bone], prefix: str, suffix: str) -> list[Bone]:
    """The bones with something before and after every name."""
    return [
        Bone(
            f"{prefix}{b.name}{suffix}",
            b.parent and f"{prefix}{b.parent}{suffix}",
            b.place,
            b.joint,
            b.deforms,
        )
        for b in bones
    ]


def without(bones: list[Bone], gone: set[str]) -> list[Bone]:
    """The bones less those that move some joints; what hung on them hangs on the next one up."""
    parent = {bone.name: bone.parent for bone in bones}
    dead = {bone.name for bone in bones if bone.joint in gone}

    def above(name):
        while name in dead:
            name = parent[name]
        return name

    return [Bone(b.name, above(b.parent), b.place, b.joint, b.deforms) for b in bones if b.name not in dead]


def rig_of(bones: list[Bone]) -> Rig:
    names = [bone.name for bone in bones]
    index = {name: i for i, name in enumerate(names)}
    assert len(index) == len(names)
    parents = [index[bone.parent] if bone.parent else -1 for bone in bones]
    heads = np.array([bone.place for bone in bones])
    tails = heads + np.array([0, 0, 0.03])
    for i in range(len(bones)):
        under = [j for j, parent in enumerate(parents) if parent == i]
        if under and np.linalg.norm(heads[under].mean(0) - heads[i]) > 1e-3:
            tails[i] = heads[under].mean(0)
    return Rig(tuple(names), np.array(parents), heads, tails, None, tuple(bone.deforms for bone in bones))


def wanted(bones: list[Bone]) -> dict[str, str]:
    """Joint -> bone."""
    return {bone.joint: bone.name for bone in bones if bone.joint}


JAPANESE = {"thumb": "親指", "index": "人指", "middle": "中指", "ring": "薬指", "pinky": "小指"}
COMMON, TITLES = "thumb index middle ring pinky", "Thumb Index Middle Ring Pinky"
SHORT, LITTLE = "Thumb Index Mid Ring Pinky", "Thumb Index Middle Ring Little"


def titled(words: str, form: str):
    """Names of finger bones: `form` with {finger} out of five words, {n} from 1 and {abc} from a."""
    names = dict(zip(FINGERS, words.split(), strict=True))
    return lambda finger, n: form.format(finger=names[finger], n=n, abc="abc"[n - 1])


def japanese(finger: str, n: int) -> str:
    return f"#{JAPANESE[finger]}{('０１２' if finger == 'thumb' else '１２３')[n - 1]}"


def biped(form: str):
    """Finger0, Finger01, Finger02; Finger1, Finger11 ..."""
    return lambda finger, n: form + str(FINGERS.index(finger)) + ("" if n == 1 else str(n - 1))


def vrm(finger: str, n: int) -> str:
    parts = (
        ("Metacarpal", "Proximal", "Distal") if finger == "thumb" else ("Proximal", "Intermediate", "Distal")
    )
    return f"#{dict(zip(FINGERS, LITTLE.split(), strict=True))[finger]}{parts[n - 1]}"


def side_last(name: str | None) -> str | None:
    """As mmd_tools brings it in: a side before the name goes behind it."""
    side = {"左": ".L", "右": ".R"}.get(name[0]) if name else None
    return name[1:] + side if side else name


def families() -> dict[str, list[Bone]]:
    """Every family's bones."""
    left_right, l_r, upper = ("Left", "Right"), ("l", "r"), ("L", "R")
    mmd = plain(TABLES["mmd"], ("左", "右"), japanese, "#手首")
    max_biped = TABLES["source"].replace("#_", "# ").replace("Neck1", "Neck").replace("Head1", "Head")
    arp = {(f, n): f"{f}1.#" if n == 1 else f"c_{f}{n}.#" for f in FINGERS for n in (1, 2, 3)}
    rows = {
        "mixamo": (left_right, titled(TITLES, "#Hand{finger}{n}"), "#Hand"),
        "metahuman": (l_r, titled(COMMON, "{finger}_0{n}_#"), "hand_#"),
        "auto_rig_pro": (l_r, lambda f, n: arp[f, n], "hand.#"),
        "daz_3": (l_r, titled(SHORT, "#{finger}{n}"), "#Hand"),
        "daz_9": (l_r, titled(SHORT.lower(), "#_{finger}{n}"), "#_hand"),
        "cats": (
            left_right,
            titled("Thumb IndexFinger MiddleFinger RingFinger LittleFinger", "{finger}{n}_#"),
            "# wrist",
        ),
        "koikatsu": (upper, titled(LITTLE.lower(), "cf_j_{finger}0{n}_#"), "cf_j_hand_#"),
        "xnalara": (("left", "right"), titled("1 2 3 4 5", "arm # finger {finger}{abc}"), "arm # wrist"),
        "advanced_skeleton": (upper, titled(TITLES, "{finger}Finger{n}_#"), "Wrist_#"),
        "reallusion": (upper, titled(SHORT, "CC_Base_#_{finger}{n}"), "CC_Base_#_Hand"),
        "vroid": (upper, titled(LITTLE, "J_Bip_#_{finger}{n}"), "J_Bip_#_Hand"),
        "vrm_1": (("left", "right"), vrm, "#Hand"),
        "second_life": (left_right, titled(TITLES, "mHand{finger}{n}#"), "mWrist#"),
        "rigify": (
            upper,
            titled("thumb f_index f_middle f_ring f_pinky", "DEF-{finger}.0{n}.#"),
            "DEF-hand.#",
        ),
        "xsens": (left_right,),
        "bvh": (left_right,),
    }
    return {
        **{name: plain(TABLES[name], *arguments) for name, arguments in rows.items()},
        "mmd": mmd,
        "mmd, side last": [
            Bone(side_last(b.name), side_last(b.parent), b.place, b.joint, b.deforms) for b in mmd
        ],
        "source": renamed(
            plain(TABLES["source"], upper, biped("#_Finger"), "#_Hand"), "ValveBiped.Bip01_", ""
        ),
        "biped": renamed(plain(max_biped, upper, biped("# Finger"), "# Hand"), "Bip001 ", ""),
        "smpl": renamed(plain(TABLES["smpl"], upper), "m_avg_", ""),
    }


FAMILIES = families()
