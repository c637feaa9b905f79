# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bone of a rig moves which joint of the template: found, shown, edited, saved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from ..files import write_text
from . import bone_names
from .bone_structure import match_structure, spread
from .rig import Rig
from .skeleton import JOINT_NAMES, SIDE_CHAIN

FORMAT, VERSION = "lca-bone-map", 1
LEGS = ("thigh", "shin")
MAX_FILE_BYTES = 1_000_000


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
        if not isinstance(data.get("version"), int) or data["version"] > VERSION:
            raise UserError(
                f"{path.name} was written by a newer version.", "Update this extension to read it."
            )
        bones = data.get("bones")
        if not isinstance(bones, dict) or not all(isinstance(bone, str) for bone in bones.values()):
            raise UserError(f"{path.name} is damaged: its list of bones cannot be read.")
        unknown = sorted(set(bones) - set(JOINT_NAMES))
        warnings = (
            [f"Left out joints that this version does not know: {', '.join(unknown)}."] if unknown else []
        )
        known = {joint: bone for joint, bone in bones.items() if joint in JOINT_NAMES and bone}
        return cls(known, str(data.get("family", "custom")), warnings)


def map_bones(rig: Rig) -> BoneMap:
    """Finds the bones that move the template's joints: by names, then, where names fail, by structure.

    Raises UserError when the rig holds neither a spine nor a head.
    """
    table, found = bone_names.recognise(rig.names)
    family = table.name
    core = [joint for joint in bone_names.CORE if joint in found]
    if len(core) < 0.8 * len(bone_names.CORE):
        by_structure = match_structure(rig)
        if len(core) < 6 and len(by_structure) > len(core):
            found, family = {}, "structure"
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


def _spread_spine(rig: Rig, found: dict[str, str]) -> None:
    """Lets spine1 to spine3 sit evenly on a spine of more or fewer bones than three."""
    top = next(
        (found[joint] for joint in ("neck1", "head", "clavicle.L", "clavicle.R") if joint in found), None
    )
    if top is None or "pelvis" not in found:
        return
    pelvis, bone = rig.index(found["pelvis"]), rig.index(top)
    chain = rig.ancestors(bone)
    if pelvis not in chain:
        return
    chain = chain[: chain.index(pelvis)][::-1]  # from above the pelvis to below the neck
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
        warnings.append(f"Bones of the map that this armature does not have: {', '.join(lost[:6])}.")
    if not has_spine:
        warnings.append("No spine was recognised; the avatar's trunk follows the bones that were found.")
    if not any(f"{joint}.{side}" in known for joint in LEGS for side in "LR"):
        warnings.append("This armature has no legs; the avatar's legs stay in rest pose.")
    else:
        warnings += _one_sided(known, LEGS, "leg")
    if not any(f"{joint}.{side}" in known for joint in ("upper_arm", "forearm") for side in "LR"):
        warnings.append("This armature has no arms; the avatar's arms stay in rest pose.")
    else:
        warnings += _one_sided(known, ("upper_arm", "forearm"), "arm")
    if "head" not in known:
        warnings.append("No head bone was recognised; the avatar's head follows the neck or the spine.")
    return warnings


def _one_sided(known, joints, what: str) -> list[str]:
    lost = [
        word
        for side, word in (("L", "left"), ("R", "right"))
        if not any(f"{j}.{side}" in known for j in joints)
    ]
    return [f"No {lost[0]} {what} was recognised; it stays in rest pose."] if len(lost) == 1 else []


def parent_of(joint: str) -> str | None:
    """The template joint that a joint follows when no bone moves it."""
    axial = ("pelvis", "spine1", "spine2", "spine3", "neck1", "neck2", "head", "jaw")
    if joint in axial:
        place = axial.index(joint)
        return axial[place - 1] if place else None
    base, side = joint.rsplit(".", 1)
    parent = SIDE_CHAIN[base]
    return parent if parent in axial else f"{parent}.{side}"
