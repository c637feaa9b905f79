# SPDX-License-Identifier: GPL-3.0-or-later
"""What rigs call their bones: spellings made comparable, sides told apart, families recognised.

The names themselves are data: `bone_maps/<family>.json` lists for every joint of the template the bones
that can move it, best first. `#` in a name stands for the side (`side` holds the family's word for left and
right), and finger and limb joints are written once, without their side. What the bones of one rig have in
common before or after these names ("mixamorig2", "CC_Base_", ".001") is found in the rig and set aside.
"""

import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

FOLDER = Path(__file__).parent / "bone_maps"
SIDES = ("L", "R")
SIDE_WORDS = {"l": "L", "left": "L", "lft": "L", "r": "R", "right": "R", "rgt": "R", "左": "L", "右": "R"}
# The joints without which a body cannot be told from a prop: what a family's score counts.
SIDED_CORE = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
CORE = ("pelvis", "spine1", "neck1", "head", *(f"{name}.{side}" for side in SIDES for name in SIDED_CORE))
# Words of bones that move other bones, and of bones that move no part of a body.
HELPERS = {
    "ik",
    "fk",
    "ref",
    "ctrl",
    "ctl",
    "control",
    "pole",
    "target",
    "tgt",
    "mch",
    "org",
    "tweak",
    "unused",
}
PROPS = (
    *("hair", "bang", "braid", "tail", "ahoge", "beard", "skirt", "cape", "cloak", "coat", "cloth", "dress"),
    *(
        "scarf",
        "ribbon",
        "sleeve",
        "belt",
        "strap",
        "tie",
        "chain",
        "weapon",
        "sword",
        "gun",
        "rifle",
        "knife",
    ),
    *(
        "shield",
        "staff",
        "bag",
        "wing",
        "hat",
        "helmet",
        "glasses",
        "earring",
        "breast",
        "bust",
        "boob",
        "butt",
    ),
    *("髪", "スカート", "マント", "リボン", "胸", "袖"),
    *("ネクタイ", "しっぽ", "尻尾", "マフラー", "テール"),
)
EXACT, FOLDED, SPELLED = (
    1.0,
    0.95,
    0.9,
)  # how sure a name is: as it stands, but for separators, another spelling
SHARED = 6  # bones that begin or end alike before that is taken for a prefix or a suffix of the whole rig
MOST_AFFIXES = 6  # prefixes and suffixes that are tried, the most frequent first
_SEPARATORS = re.compile(r"[\W_]+")
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]")


@dataclass(frozen=True)
class Family:
    """One table. `bones[joint]` are candidate names, best first, with sides filled in.
    `own_spine`: these bones of the spine are meant, though there are more."""

    name: str
    title: str
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
    return Family(data["family"], data["title"], bones, data.get("own_spine", False))


def without_namespace(name: str) -> str:
    """ "character:Hips", "armature|Hips" -> "Hips"."""
    return name.rsplit(":", 1)[-1].rsplit("|", 1)[-1]


def pieces(name: str) -> tuple[str, ...]:
    """Lower-case words and numbers of a name: "mixamorig:LeftHandIndex01" -> left, hand, index, 1."""
    words = _PIECES.findall(unicodedata.normalize("NFKC", without_namespace(name)))
    return tuple(str(int(word)) if word.isdecimal() else word.lower() for word in words)


def is_helper(name: str) -> bool:
    """Whether a bone's name says that it controls others: IK and FK chains, guides, targets."""
    return not HELPERS.isdisjoint(pieces(name))


def is_prop(name: str) -> bool:
    """Whether a bone's name says that it moves hair, clothes or things."""
    words = pieces(name)
    whole = "".join(words)
    return any(word in words or ((len(word) > 3 or not word.isascii()) and word in whole) for word in PROPS)


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


class _Bones:
    """The bones of a rig by what is left of their names without a prefix and a suffix.

    Bones with this prefix and suffix come before the others, and preferred ones before the rest.
    """

    def __init__(self, names: tuple[str, ...], prefix: str = "", suffix: str = ""):
        self.exact: dict[str, str] = {}
        self.folded: dict[str, str] = {}
        self.spelled: dict[tuple[str, str], str] = {}
        whole = []
        for name in names:
            bare = without_namespace(name)
            if len(bare) > len(prefix) + len(suffix) and bare.startswith(prefix) and bare.endswith(suffix):
                self._add(name, bare[len(prefix) : len(bare) - len(suffix)])
            else:
                whole.append((name, bare))
        for name, bare in whole:
            self._add(name, bare)

    def _add(self, name: str, bare: str) -> None:
        self.exact.setdefault(bare, name)
        self.folded.setdefault(_folded(bare), name)
        self.spelled.setdefault(normalise(bare), name)

    def find(self, name: str, confidence: float) -> str | None:
        if confidence == EXACT:
            return self.exact.get(name)
        return self.folded.get(_folded(name)) if confidence == FOLDED else self.spelled.get(normalise(name))


@lru_cache(maxsize=8192)
def _folded(name: str) -> str:
    """A name without its separators and capitals; Biped's "Finger01" and "Finger1" stay two."""
    return _SEPARATORS.sub("", name).lower()


def _match(bones: _Bones, table: Family, found: dict[str, tuple[str, float]]) -> None:
    """Adds joint -> (bone, confidence), the table's exact spelling before any other.

    A bone is given to one joint only; among several candidates the table's order decides.
    """
    taken = {bone for bone, _ in found.values()}
    for confidence in (EXACT, FOLDED, SPELLED):
        for joint, names in table.bones.items():
            if joint in found:
                continue
            for name in names:
                bone = bones.find(name, confidence)
                if bone is not None and bone not in taken:
                    found[joint] = (bone, confidence)
                    taken.add(bone)
                    break


def shared_affixes(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Prefixes and suffixes that several bones share, each list with "" first and then by frequency.

    They end where words do and not with a side; of those that the same bones share, the longest remains.
    """
    starts, ends = Counter(), Counter()
    for name in map(without_namespace, names):
        words = list(_PIECES.finditer(name))
        starts.update({name[: word.start()] for word in words[1:]})
        ends.update({name[word.end() :] for word in words[:-1]})

    def chosen(counts: Counter, extends) -> list[str]:
        common = [(affix, n) for affix, n in counts.most_common() if n >= SHARED and affix]
        kept = [
            affix
            for affix, n in common
            if SIDE_WORDS.keys().isdisjoint(pieces(affix))
            and not any(m == n and other != affix and extends(other, affix) for other, m in common)
        ]
        return ["", *kept[:MOST_AFFIXES]]

    return chosen(starts, str.startswith), chosen(ends, str.endswith)


def recognise(
    names: tuple[str, ...], deforms: tuple[bool, ...] | None = None
) -> tuple[Family, dict[str, str]]:
    """The table that fits a list of bone names best, and its matches, joint -> bone.

    `deforms` tells the bones that move a mesh from those that move other bones. Where the best table has no
    name for a joint, the table of common names is asked; not for the spine, whose bones are counted.
    """
    deforms = deforms or (True,) * len(names)
    second = {name for name, deform in zip(names, deforms, strict=True) if not deform or is_helper(name)}
    ordered = tuple(sorted(names, key=lambda name: name in second))

    def score(found: dict[str, tuple[str, float]]) -> float:
        """Core joints count four times, by confidence; bones that do not deform count half."""
        return sum(
            confidence * (4.0 if joint in CORE else 1.0) * (0.5 if bone in second else 1.0)
            for joint, (bone, confidence) in found.items()
        )

    table, found, bones, best_score = None, {}, None, -1.0
    for prefix, suffix in product(*shared_affixes(names)):
        if all(joint in found and found[joint][0] not in second for joint in CORE):
            break  # nothing is left to find
        spelled = _Bones(ordered, prefix, suffix)
        for one in families():
            matches: dict[str, tuple[str, float]] = {}
            _match(spelled, one, matches)
            if (points := score(matches)) > best_score:
                table, found, bones, best_score = one, matches, spelled, points
    common = family("generic")
    rest = {joint: names for joint, names in common.bones.items() if not joint.startswith("spine")}
    _match(bones, Family(common.name, common.title, rest), found)
    return table, {joint: bone for joint, (bone, _) in found.items()}


def title(family_name: str) -> str:
    """What a person calls a family."""
    known = {one.name: one.title for one in families()}
    return known.get(family_name, {"structure": "Found by structure"}.get(family_name, "Bone map"))
