# SPDX-License-Identifier: GPL-3.0-or-later
"""What rigs call their bones: spellings made comparable, sides told apart, families recognised.

The names themselves are data: `bone_maps/<family>.json` lists for every joint of the template the bones
that can move it, best first. `#` in a name stands for the side (`side` holds the family's word for left and
right), and finger and limb joints are written once, without their side.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "bone_maps"
SIDES = ("L", "R")
SIDE_WORDS = {"l": "L", "left": "L", "lft": "L", "r": "R", "right": "R", "rgt": "R", "左": "L", "右": "R"}
# The joints without which a body cannot be told from a prop: what a family's score counts.
SIDED_CORE = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
CORE = ("pelvis", "spine1", "neck1", "head", *(f"{name}.{side}" for side in SIDES for name in SIDED_CORE))
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]")


@dataclass(frozen=True)
class Family:
    """One table. `bones[joint]` are candidate names, best first, with sides filled in and no prefix.
    `own_spine`: these bones of the spine are meant, though there are more."""

    name: str
    title: str
    prefixes: tuple[str, ...]
    bones: dict[str, tuple[str, ...]]
    own_spine: bool = False


@lru_cache
def families() -> tuple[Family, ...]:
    """Every table of `bone_maps`, the one of common names last."""
    found = [_read(path) for path in sorted(FOLDER.glob("*.json"))]
    return tuple(sorted(found, key=lambda family: (family.name == "generic", family.name)))


def family(name: str) -> Family:
    """The table called `name`; KeyError when there is none."""
    return {one.name: one for one in families()}[name]


def _read(path: Path) -> Family:
    data = json.loads(path.read_text(encoding="utf-8"))
    bones = {}
    for joint, names in data["bones"].items():
        if any("#" in name for name in names):
            for side, word in zip(SIDES, data["side"], strict=True):
                bones[f"{joint}.{side}"] = tuple(name.replace("#", word) for name in names)
        else:
            bones[joint] = tuple(names)
    return Family(data["family"], data["title"], tuple(data["prefixes"]), bones, data.get("own_spine", False))


def without_prefix(name: str, prefixes: tuple[str, ...] = ()) -> str:
    """`name` without its namespace ("anything:") and without a family's prefix ("Bip001 ", "mixamorig_")."""
    name = name.rsplit(":", 1)[-1].rsplit("|", 1)[-1]
    for prefix in prefixes:
        if name.lower().startswith(prefix.lower()) and len(name) > len(prefix):
            rest = name[len(prefix) :].lstrip("_ .-")
            return re.sub(r"^\d+(?=[_ .-])", "", rest).lstrip("_ .-") or name
    return name


def pieces(name: str) -> tuple[str, ...]:
    """Lower-case words and numbers of a name: "mixamorig:LeftHandIndex01" -> left, hand, index, 1."""
    words = _PIECES.findall(without_prefix(name))
    return tuple(str(int(word)) if word.isdecimal() else word.lower() for word in words)


@lru_cache(maxsize=8192)
def normalise(name: str) -> tuple[str, str]:
    """A spelling to compare by, and the side: "upper_arm.L", "UpperArm_l", "L UpperArm" -> ("upperarm", "L").

    The side is "L", "R" or "" and is looked for at both ends first; "lThigh" and "rShin" count, "leg" and
    "ring" do not.
    """
    words = list(pieces(name))
    places = [0, len(words) - 1, *range(1, len(words) - 1)]
    for place in places:
        if 0 <= place < len(words) and words[place] in SIDE_WORDS and len(words) > 1:
            side = SIDE_WORDS[words.pop(place)]
            return "".join(words), side
    return "".join(words), ""


def side_of(name: str) -> str:
    """ "L", "R", or "" for a bone in the middle."""
    return normalise(name)[1]


def match(bone_names: tuple[str, ...], table: Family) -> dict[str, tuple[str, float]]:
    """Joint -> (bone, confidence): 1 for the table's exact spelling, 0.9 for another spelling of it.

    A bone is given to one joint only; among several candidates the table's order decides.
    """
    exact: dict[str, str] = {}
    spelled: dict[tuple[str, str], str] = {}
    for bone in bone_names:
        bare = without_prefix(bone, table.prefixes)
        exact.setdefault(bare, bone)
        spelled.setdefault(normalise(bare), bone)
    found: dict[str, tuple[str, float]] = {}
    taken: set[str] = set()
    for confidence in (1.0, 0.9):
        for joint, names in table.bones.items():
            if joint in found:
                continue
            for name in names:
                bone = exact.get(name) if confidence == 1.0 else spelled.get(normalise(name))
                if bone is not None and bone not in taken:
                    found[joint] = (bone, confidence)
                    taken.add(bone)
                    break
    return found


def score(found: dict[str, tuple[str, float]]) -> float:
    """How well a table fits: core joints count four times, fingers and the rest once, by confidence."""
    return sum(confidence * (4.0 if joint in CORE else 1.0) for joint, (_, confidence) in found.items())


def recognise(bone_names: tuple[str, ...]) -> tuple[Family, dict[str, str]]:
    """The table that fits a list of bone names best, and its matches, joint -> bone."""
    ranked = [(match(bone_names, table), table) for table in families()]
    found, table = max(ranked, key=lambda entry: score(entry[0]))
    return table, {joint: bone for joint, (bone, _) in found.items()}


def title(family_name: str) -> str:
    """What a person calls a family."""
    known = {one.name: one.title for one in families()}
    return known.get(family_name, {"structure": "Found by structure"}.get(family_name, "Bone map"))
