# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bone of a rig moves which joint of the template: found, shown, edited, saved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError, printable
from ..files import write_text
from . import bone_names
from .bone_structure import match_structure, spread
from .rig import Rig
from .skeleton import FINGERS, JOINT_NAMES, SIDE_CHAIN

FORMAT, VERSION = "lca-bone-map", 1
SIDE_WORDS = {"L": "left", "R": "right"}
LEAST_DEFORMING = 10  # with fewer deforming bones the flags of a rig say nothing about its body
MAX_FILE_BYTES = 1_000_000
MAX_NAME = 256  # characters of a bone's name; Blender's are shorter
SHOWN = 6  # names that a warning lists


@dataclass
class BoneMap:
    """`bones[joint]` is a bone's name, `family` the recognised naming ("structure" where the bones were found
    without names), `warnings` one sentence each.
    """

    bones: dict[str, str]
    family: str = "custom"
    warnings: list[str] = field(default_factory=list)

    @property
    def missing(self) -> tuple[str, ...]:
        """The template's joints that no bone moves, in the template's order."""
        return tuple(joint for joint in JOINT_NAMES if joint not in self.bones)

    def save(self, path: str | Path) -> None:
        """Writes the map as JSON, whole or not at all."""
        data = {"format": FORMAT, "version": VERSION, "family": self.family, "bones": self.bones}
        write_text(Path(path), json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> BoneMap:
        """Reads a map; every fault of the file is a UserError."""
        path = Path(path)
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise UserError(f"{path.name} is too large to be a bone map.")
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path.name} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path.name} is not a bone map: it is not valid JSON.") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UserError(f"{path.name} is not a bone map.", "Choose a file that Save Bone Map wrote.")
        version, bones, family = data.get("version"), data.get("bones"), data.get("family", "custom")
        if type(version) is not int or version < 1:
            raise UserError(f"{path.name} does not say which version of a bone map it is.")
        if version > VERSION:
            raise UserError(
                f"{path.name} was written by a newer version.", "Update this extension to read it."
            )
        if not isinstance(bones, dict) or not all(map(_is_name, bones.values())):
            raise UserError(f"{path.name} is damaged: its list of bones cannot be read.")
        unknown = sorted(set(bones) - set(JOINT_NAMES))
        warnings = []
        if unknown:
            warnings.append(f"Left out joints that this version does not know: {_listed(unknown)}.")
        known = {joint: bone for joint, bone in bones.items() if joint in JOINT_NAMES and bone}
        family = family if _is_name(family) else "custom"
        return cls(known, family, warnings)


def _is_name(value) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


def _listed(names: list[str]) -> str:
    """The first few of some names, and how many there are more."""
    shown = ", ".join(printable(name[:40]) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def map_bones(rig: Rig) -> BoneMap:
    """Finds the bones that move the template's joints: by names, then, where names fail, by structure.

    Raises UserError when the rig holds neither a spine nor a head.
    """
    table, found = bone_names.recognise(rig.names, rig.deforms)
    family = table.name
    core = [joint for joint in bone_names.CORE if joint in found]
    if len(core) < 0.8 * len(bone_names.CORE):
        by_structure = match_structure(_body(rig))
        if len(core) < 6 and len(by_structure) > len(core):
            found, family = {}, "structure"
        elif not _agree(found, by_structure):
            by_structure = {}
        taken = set(found.values())
        for joint, bone in by_structure.items():
            if joint not in found and bone not in taken:
                found[joint] = bone
                taken.add(bone)
    if not (table.own_spine and {"spine1", "spine2", "spine3"} <= found.keys()):
        _spread_spine(rig, found)
    result = BoneMap({joint: found[joint] for joint in JOINT_NAMES if joint in found}, family)
    result.warnings = check(result, rig)
    return result


def _body(rig: Rig) -> Rig:
    """The rig without hair, clothes and things, and without the bones that control others."""
    deforms = rig.deforms or (True,) * len(rig.names)
    if sum(deforms) < LEAST_DEFORMING:
        deforms = (True,) * len(rig.names)
    names = zip(rig.names, deforms, strict=True)
    return rig.without({n for n, d in names if not d or bone_names.is_helper(n) or bone_names.is_prop(n)})


def _agree(by_name: dict[str, str], by_structure: dict[str, str]) -> bool:
    """Whether structure found the limbs and the head where their names are, as far as they have any."""
    known = [joint for joint in bone_names.CORE if joint in by_name and joint in by_structure]
    known = [joint for joint in known if joint not in ("spine1", "pelvis")]
    return sum(by_name[joint] == by_structure[joint] for joint in known) >= 0.8 * len(known)


def _spread_spine(rig: Rig, found: dict[str, str]) -> None:
    """Lets spine1 to spine3 sit evenly on a spine of more or fewer bones than three."""
    top = next(
        (found[joint] for joint in ("neck1", "head", "clavicle.L", "clavicle.R") if joint in found), None
    )
    if top is None or "pelvis" not in found:
        return
    pelvis, bone = rig.index(found["pelvis"]), rig.index(top)
    chain = rig.ancestors(bone)
    # Some rigs hang pelvis and spine side by side on one bone that moves both.
    start = next((b for b in (pelvis, *rig.ancestors(pelvis)) if b in chain), None)
    if start is None:
        return
    chain = chain[: chain.index(start)][::-1]  # from above the pelvis to below the neck
    if len(chain) == 3 or not chain:
        return
    if len(chain) < 3 and all(f"spine{i + 1}" in found for i in range(len(chain))):
        return
    for joint in ("spine1", "spine2", "spine3"):
        found.pop(joint, None)
    used = set(found.values())
    for joint, place in zip(("spine1", "spine2", "spine3"), spread(chain, 3), strict=False):
        if rig.names[place] not in used:
            found[joint] = rig.names[place]


def check(bone_map: BoneMap, rig: Rig) -> list[str]:
    """Sentences about what a map lacks on this rig. Raises UserError when nothing can be bound with it."""
    known = {joint for joint, bone in bone_map.bones.items() if bone in set(rig.names)}
    lost = sorted(bone for bone in bone_map.bones.values() if bone not in set(rig.names))
    has_spine = known & {"pelvis", "spine1", "spine2", "spine3"}
    if not (has_spine or known & {"neck1", "head"}):
        raise UserError(
            "This armature has no spine and no head that could be recognised.",
            "Choose a humanoid armature, or load a bone map for it.",
        )
    warnings = []
    if lost:
        warnings.append(f"Bones of the map that this armature does not have: {_listed(lost)}.")
    if not has_spine:
        warnings.append("No spine was recognised; the avatar's trunk follows the bones that were found.")
    elif not known & {"spine1", "spine2", "spine3"}:
        warnings.append("No bone between hips and neck was recognised; the avatar's trunk follows the hips.")
    warnings += _limb_warnings(known, ("thigh", "shin", "foot"), "leg")
    warnings += _limb_warnings(known, ("upper_arm", "forearm", "hand"), "arm")
    warnings += _finger_warnings(known)
    if "head" not in known:
        warnings.append("No head bone was recognised; the avatar's head follows the neck or the spine.")
    return warnings


def _limb_warnings(known: set[str], joints: tuple[str, str, str], what: str) -> list[str]:
    """What the legs or the arms lack: both, one, or parts of one."""
    lost = {side: [joint for joint in joints if f"{joint}.{side}" not in known] for side in SIDE_WORDS}
    none = [side for side, missing in lost.items() if len(missing) == len(joints)]
    if len(none) == 2:
        return [f"This armature has no {what}s; the avatar's {what}s stay in rest pose."]
    sentences = [f"No {SIDE_WORDS[side]} {what} was recognised; it stays in rest pose." for side in none]
    for side, missing in lost.items():
        if missing and side not in none:
            parts = " and ".join(joint.replace("_", " ") for joint in missing)
            sentences.append(f"No bone was recognised for the {SIDE_WORDS[side]} {parts}.")
    return sentences


def _finger_warnings(known: set[str]) -> list[str]:
    """The fingers that have no bone, of hands that have one."""
    if not any(joint.startswith(FINGERS) for joint in known):
        return ["No finger bones were recognised; the fingers move with the hands."]
    sentences = []
    for side, word in SIDE_WORDS.items():
        lost = [finger for finger in FINGERS if not known & {f"{finger}{i}.{side}" for i in (1, 2, 3)}]
        if f"hand.{side}" not in known or not lost:
            continue
        what = "fingers" if len(lost) == len(FINGERS) else ", ".join(lost)
        sentences.append(f"No bones were recognised for the {word} {what}; they move with the hand.")
    return sentences


def parent_of(joint: str) -> str | None:
    """The template joint that a joint follows when no bone moves it."""
    axial = ("pelvis", "spine1", "spine2", "spine3", "neck1", "neck2", "head", "jaw")
    if joint in axial:
        place = axial.index(joint)
        return axial[place - 1] if place else None
    base, side = joint.rsplit(".", 1)
    parent = SIDE_CHAIN[base]
    return parent if parent in axial else f"{parent}.{side}"
