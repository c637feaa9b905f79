# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds the template's joints to a rig of any naming, size, axes and rest pose.

Every joint j gets a constant matrix A_j that carries the canonical avatar into the rig's rest pose; a frame
is then T_j = C_b A_j with C_b the skinning matrix of the joint's bone (`PoseBone.matrix_channel`).
How A_j is made:

- One rotation and one uniform scale for the whole person, from the rig's hips, shoulders and bone lengths.
- The trunk (pelvis to spine3) is one piece between the hip joints and the shoulder joints, because riggers
  place spine bones anywhere; the neck is one piece from there to the head; the head stays upright.
- Limbs and fingers: a joint's head lands on its bone's head, turned by the smallest rotation that brings the
  bone to its direction (continuing its parent's), stretched along the bone to the rig's length.
- Clavicles run from the trunk to the rig's shoulder joint. Jaw and eyes rest on the head and take their
  bones' rotations about their own pivots. Joints without a bone follow their parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..errors import UserError
from .bone_map import BoneMap, check, parent_of
from .rig import Rig
from .rotations import (
    frame,
    half_twist,
    nearest_rotation,
    rotation_about,
    smallest_rotation,
    twist_angle,
    unit,
)
from .skeleton import FINGERS, JOINT_NAMES

TRUNK = ("pelvis", "spine1", "spine2", "spine3")
NECK = ("neck1", "neck2")
FACE = ("jaw", "eye.L", "eye.R")
LIMB_NEXT = {"upper_arm": "forearm", "forearm": "hand", "thigh": "shin", "shin": "foot", "foot": "toe"}
STRETCH = (0.4, 2.5)  # a bone that asks for more than this is not the bone it seems
NECK_STRETCH = (0.85, 1.25)  # riggers put the head bone anywhere from the jaw to the ears
BACKWARDS = 0.5  # of a foot's length to the person's back: more, on both sides, is no way to stand
HEEL_ANGLE = np.radians(30)  # a foot that points up or down by less is only a toe bone at another height


class Skeleton(Protocol):
    """What binding reads of a Template or an Avatar."""

    joint_names: tuple[str, ...]
    joint_heads: np.ndarray


@dataclass(frozen=True)
class Binding:
    """The template bound to a rig.

    rest [J,4,4] are the matrices A_j, canonical metres to the rig's rest in the rig's unit; bones [J] is the
    bone whose motion a joint takes (-1: none, it stays at rest); scale is rig units per metre of the avatar.
    """

    rest: np.ndarray
    bones: np.ndarray
    scale: float
    warnings: tuple[str, ...]
    _heads: np.ndarray  # [J,3] canonical
    _twists: tuple[tuple[int, int, int], ...]  # (forearm_twist, forearm, hand) that are derived
    _face: tuple[
        tuple[int, int, int, np.ndarray], ...
    ]  # (joint, head joint, bone, bone's head) with own bones

    def transforms(self, channel_matrices: np.ndarray, moved: np.ndarray | None = None) -> np.ndarray:
        """Skinning matrices of a pose [J,4,4] float32, canonical -> armature space.

        `channel_matrices` [B,4,4] are the rig's own skinning matrices (rest -> pose, armature space) in the
        order of the `Rig` that was bound. `moved` [4,4] carries the avatar at rest to where these take it.
        """
        channels = np.asarray(channel_matrices, np.float64)
        if moved is not None:
            channels = channels @ moved
        resting = np.eye(4) if moved is None else moved
        per_joint = np.where(self.bones[:, None, None] >= 0, channels[self.bones], resting)
        posed = per_joint @ self.rest
        for twist, forearm, hand in self._twists:
            posed[twist] = half_twist(
                per_joint[forearm], per_joint[hand], self.rest[twist], self._axis(forearm, hand)
            )
        for joint, head, bone, pivot in self._face:
            relative = (
                np.linalg.pinv(per_joint[head]) @ channels[bone]
            )  # a head scaled to nothing has no inverse
            anchor = (self.rest[head] @ np.append(self._heads[joint], 1.0))[:3]
            shift = relative[:3, :3] @ pivot + relative[:3, 3] - pivot
            turn = np.eye(4)
            turn[:3, :3] = nearest_rotation(relative[:3, :3])
            turn[:3, 3] = anchor + shift - turn[:3, :3] @ anchor
            posed[joint] = per_joint[head] @ turn @ self.rest[joint]
        return posed.astype(np.float32)

    def on(self, places: np.ndarray) -> Binding:
        """The binding to the same bones at other places of a rig's list; `places` [B], -1: not there."""
        bones = np.where(self.bones >= 0, places[self.bones], -1)
        face = tuple(
            (j, head, int(places[bone]), at) for j, head, bone, at in self._face if places[bone] >= 0
        )
        return replace(self, bones=bones, _face=face)

    def _axis(self, forearm: int, hand: int) -> tuple[np.ndarray, np.ndarray]:
        """Origin and direction of the forearm in the rig's rest pose."""
        ends = [(self.rest[joint] @ np.append(self._heads[joint], 1.0))[:3] for joint in (forearm, hand)]
        return ends[0], unit(ends[1] - ends[0])


def bind(template: Skeleton, rig: Rig, bone_map: BoneMap | Mapping[str, str]) -> Binding:
    """Binds the joints of a template or an avatar (the 58 of JOINT_NAMES) to a rig by a bone map.

    Raises UserError when the map and the rig have neither spine nor head in common, or when the rig has no
    size or is mirrored.
    """
    if not isinstance(bone_map, BoneMap):
        bone_map = BoneMap(dict(bone_map))
    return _Binder(template, rig, bone_map).binding()


class _Binder:
    def __init__(self, template: Skeleton, rig: Rig, bone_map: BoneMap):
        self.warnings = tuple(check(bone_map, rig))
        self.rig = rig
        self.bones = {joint: rig.index(bone) for joint, bone in bone_map.bones.items() if bone in rig}
        self.heads = dict(
            zip(template.joint_names, np.asarray(template.joint_heads, np.float64), strict=True)
        )
        self.scale = self._scale()
        self.turn = self._orientation()
        self._check_sides()
        self.linear: dict[str, np.ndarray] = {}  # rotation only
        self.rest: dict[str, np.ndarray] = {}

    def at(self, joint: str) -> np.ndarray | None:
        """Where the rig has a joint; None when it has no bone for it."""
        bone = self.bones.get(joint)
        return None if bone is None else self.rig.heads[bone]

    # The person as a whole

    def _scale(self) -> float:
        """Rig units per metre: the ratio of all bone lengths that both have; bends do not change it."""
        ours = theirs = 0.0
        for first, second in self._spans():
            a, b = self._both(first), self._both(second)
            if a is not None and b is not None:
                ours += np.linalg.norm(b[0] - a[0])
                theirs += np.linalg.norm(b[1] - a[1])
        if not ours > 0 or not theirs > 0:
            raise UserError(
                "This armature has too few recognised bones to tell how large it is.",
                "Set more bones in the bone map, hips and head at least.",
            )
        return theirs / ours

    def _spans(self):
        for side in "LR":
            for a, b in (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot")):
                yield (f"{a}.{side}",), (f"{b}.{side}",)
        yield self._bottom(), self._top()

    def _bottom(self) -> tuple[str, ...]:
        """The joints whose middle is the lower end of the trunk, in this rig."""
        if {"thigh.L", "thigh.R"} <= self.bones.keys():
            return ("thigh.L", "thigh.R")
        return next(((joint,) for joint in TRUNK if joint in self.bones), ())

    def _top(self) -> tuple[str, ...]:
        if {"upper_arm.L", "upper_arm.R"} <= self.bones.keys():
            return ("upper_arm.L", "upper_arm.R")
        top = next(((joint,) for joint in ("neck1", "neck2", "head") if joint in self.bones), ())
        return top or next(((joint,) for joint in TRUNK[::-1] if joint in self.bones), ())

    def _both(self, joints: tuple[str, ...]):
        """Middle of some joints, (canonical, rig); None unless the rig has all of them."""
        if not joints or any(joint not in self.bones for joint in joints):
            return None
        return np.mean([self.heads[j] for j in joints], 0), np.mean([self.at(j) for j in joints], 0)

    def _orientation(self) -> np.ndarray:
        """Rotation [3,3] from the canonical axes to the rig's."""
        bottom, top = self._both(self._bottom()), self._both(self._top())
        sides = []
        for joint in ("thigh", "upper_arm", "clavicle", "shin", "foot", "forearm", "hand"):
            pair = [(self.heads[f"{joint}.{s}"], self.at(f"{joint}.{s}")) for s in "LR"]
            if all(there is not None for _, there in pair):
                across = [pair[0][i] - pair[1][i] for i in (0, 1)]
                if np.linalg.norm(across[1]) > 1e-6 * self.scale:
                    sides.append([across[0], across[1] / self.scale])
            if len(sides) == 2:
                break
        ups = [] if bottom is None or top is None else [(top[0] - bottom[0], top[1] - bottom[1])]
        if not ups or not np.linalg.norm(ups[0][1]) > 0:
            return np.eye(3)
        if not sides:
            return smallest_rotation(unit(ups[0][0]), unit(ups[0][1]))
        across = np.sum(sides, 0)
        return frame(ups[0][1], across[1]) @ frame(ups[0][0], across[0]).T

    def _check_sides(self) -> None:
        """UserError where the left bones are on the right: then both feet point backwards."""
        behind = []
        for side in "LR":
            foot, toe = self.at(f"foot.{side}"), self.at(f"toe.{side}")
            if foot is not None and toe is not None:
                behind.append((self.turn.T @ unit(toe - foot))[1] > BACKWARDS)
        if len(behind) == 2 and all(behind):
            raise UserError(
                "This armature is mirrored: the bones of its left side are on its right.",
                "Swap the two sides in the bone map, or mirror the armature back.",
            )

    # Joint by joint

    def binding(self) -> Binding:
        self._trunk()
        self._neck_and_head()
        for side in "LR":
            self._clavicle(side)
            self._limb(("upper_arm", "forearm"), side)
            self._hand(side)
            self._twist(side)
            self._limb(("thigh", "shin"), side)
            self._foot(side)
        rest = np.stack([self.rest[joint] for joint in JOINT_NAMES])
        index = {joint: i for i, joint in enumerate(JOINT_NAMES)}
        twists, face = [], []
        for side in "LR":
            names = [f"{joint}.{side}" for joint in ("forearm_twist", "forearm", "hand")]
            if names[0] not in self.bones and names[1] in self.bones and names[2] in self.bones:
                twists.append(tuple(index[name] for name in names))
        for joint in FACE:
            if joint in self.bones:
                bone = self.bones[joint]
                face.append((index[joint], index["head"], bone, self.rig.heads[bone].copy()))
        bones = np.array([-1 if (b := self._follows(joint)) is None else b for joint in JOINT_NAMES])
        heads = np.stack([self.heads[joint] for joint in JOINT_NAMES])
        return Binding(rest, bones, float(self.scale), self.warnings, heads, tuple(twists), tuple(face))

    def _follows(self, joint: str | None) -> int | None:
        """The bone of a joint or of its nearest ancestor; for the lowest ones, that of the next joint up."""
        while joint is not None:
            if joint in self.bones and joint not in FACE:
                return self.bones[joint]
            joint = parent_of(joint)
        return next((self.bones[j] for j in (*TRUNK, *NECK, "head") if j in self.bones), None)

    def _place(self, joint: str, rotation, target, along=None, stretch=1.0) -> None:
        """A_j: turned by `rotation`, stretched along a canonical direction, its head brought to `target`."""
        linear = np.eye(3)
        if along is not None and stretch != 1.0:
            linear += (np.clip(stretch, *STRETCH) - 1.0) * np.outer(along, along)
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * rotation @ linear
        matrix[:3, 3] = target - matrix[:3, :3] @ self.heads[joint]
        self.linear[joint], self.rest[joint] = rotation, matrix

    def _carried(self, joint: str, parent: str) -> np.ndarray:
        """Where the parent's matrix takes a joint's head."""
        return self.rest[parent][:3, :3] @ self.heads[joint] + self.rest[parent][:3, 3]

    def _follow(self, joint: str, parent: str, whole: bool = False) -> None:
        """A joint without a bone of its own: like its parent, without (or with) the parent's stretch."""
        if whole:
            self.linear[joint], self.rest[joint] = self.linear[parent], self.rest[parent].copy()
        else:
            self._place(joint, self.linear[parent], self._carried(joint, parent))

    def _trunk(self) -> None:
        bottom, top = self._both(self._bottom()), self._both(self._top())
        span = top[0] - bottom[0] if bottom is not None and top is not None else np.zeros(3)
        along, stretch, turn = None, 1.0, self.turn
        if np.linalg.norm(span) > 0.05:
            there = top[1] - bottom[1]
            along = unit(span)
            stretch = float(np.linalg.norm(there) / np.linalg.norm(span) / self.scale)
            turn = smallest_rotation(self.turn @ along, unit(there)) @ self.turn
        anchor = bottom or top
        self._place("pelvis", turn, np.zeros(3), along, stretch)
        matrix = self.rest["pelvis"]
        matrix[:3, 3] = anchor[1] - matrix[:3, :3] @ anchor[0]
        for joint in TRUNK[1:]:
            self._follow(joint, "pelvis", whole=True)

    def _neck_and_head(self) -> None:
        base = self._carried("neck1", "spine3")
        there = self.at("head")
        if there is None:
            there = base + self.scale * self.turn @ (self.heads["head"] - self.heads["neck1"])
        ours = self.heads["head"] - self.heads["neck1"]
        turn, stretch = self._aim(self.turn, ours, there - base)
        self._place("neck1", turn, base, unit(ours), float(np.clip(stretch, *NECK_STRETCH)))
        self._follow("neck2", "neck1", whole=True)
        self._place("head", self.turn, self._carried("head", "neck2"))
        for joint in FACE:
            self._follow(joint, "head", whole=True)

    def _aim(self, start: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, float]:
        """Rotation that continues `start` and turns `ours` towards `theirs`, and the stretch that fits."""
        length = np.linalg.norm(theirs)
        if length < 1e-4 * self.scale:
            return start, 1.0
        rotation = smallest_rotation(unit(start @ ours), theirs / length) @ start
        return rotation, float(length / np.linalg.norm(ours) / self.scale)

    def _clavicle(self, side: str) -> None:
        joint, end = f"clavicle.{side}", f"upper_arm.{side}"
        there = self.at(end)
        if there is None:
            self._follow(joint, "spine3", whole=True)
            return
        base = self._carried(joint, "spine3")
        ours = self.heads[end] - self.heads[joint]
        turn, stretch = self._aim(self.linear["spine3"], ours, there - base)
        self._place(joint, turn, base, unit(ours), stretch)

    def _limb(self, joints: tuple[str, str], side: str) -> None:
        """Upper arm and forearm, or thigh and shin, each towards the next joint that the rig has."""
        for base in joints:
            joint = f"{base}.{side}"
            parent = parent_of(joint)
            if joint not in self.bones:
                between = (
                    base == joints[1] and self.at(self._end(base, side)) is not None and parent in self.bones
                )
                self._follow(joint, parent, whole=between)
                continue
            end = f"{LIMB_NEXT[base]}.{side}"
            if self.at(end) is None:
                end = next((e for e in (self._end(base, side),) if self.at(e) is not None), end)
            there = self.at(end)
            if there is None:
                there = self.rig.tails[self.bones[joint]]
            ours = self.heads[end] - self.heads[joint]
            turn, stretch = self._aim(self.linear[parent], ours, there - self.at(joint))
            self._place(joint, turn, self.at(joint), unit(ours), stretch)

    @staticmethod
    def _end(base: str, side: str) -> str:
        return f"{'hand' if base in ('upper_arm', 'forearm') else 'foot'}.{side}"

    def _hand(self, side: str) -> None:
        joint, parent = f"hand.{side}", f"forearm.{side}"
        target = self.at(joint)
        if target is None:
            self._follow(joint, parent)
        else:
            knuckles = [f"{f}1.{side}" for f in FINGERS[1:] if f"{f}1.{side}" in self.bones]
            turn, along, stretch = self.linear[parent], None, 1.0
            if knuckles:
                ours = np.mean([self.heads[k] for k in knuckles], 0) - self.heads[joint]
                theirs = np.mean([self.at(k) for k in knuckles], 0) - target
                turn, stretch = self._aim(turn, ours, theirs)
                along = unit(ours)
                if len(knuckles) >= 2:
                    spread = [
                        self.heads[knuckles[0]] - self.heads[knuckles[-1]],
                        self.at(knuckles[0]) - self.at(knuckles[-1]),
                    ]
                    turn = frame(theirs, spread[1]) @ frame(ours, spread[0]).T
            self._place(joint, turn, target, along, stretch)
        for finger in FINGERS:
            self._finger(finger, side)

    def _finger(self, finger: str, side: str) -> None:
        for n in (1, 2, 3):
            joint = f"{finger}{n}.{side}"
            parent = parent_of(joint)
            if joint not in self.bones:
                self._follow(joint, parent)
                continue
            there = self.at(f"{finger}{n + 1}.{side}") if n < 3 else None
            if there is None:  # the last one: only its direction is known from a leaf bone, and seldom well
                self._place(joint, self.linear[parent], self.at(joint))
                continue
            ours = self.heads[f"{finger}{n + 1}.{side}"] - self.heads[joint]
            turn, stretch = self._aim(self.linear[parent], ours, there - self.at(joint))
            self._place(joint, turn, self.at(joint), unit(ours), stretch)

    def _twist(self, side: str) -> None:
        """The lower half of the forearm, turned half as far about its axis as the hand is."""
        joint, forearm, hand = f"forearm_twist.{side}", f"forearm.{side}", f"hand.{side}"
        axis = unit(self.heads[hand] - self.heads[forearm])
        relative = self.linear[forearm].T @ self.linear[hand]
        half = rotation_about(axis, 0.5 * twist_angle(relative, axis))
        self._follow(joint, forearm, whole=True)
        origin = np.eye(4)
        origin[:3, :3] = half
        origin[:3, 3] = self.heads[forearm] - half @ self.heads[forearm]
        self.linear[joint] = self.linear[forearm] @ half
        self.rest[joint] = self.rest[forearm] @ origin

    def _foot(self, side: str) -> None:
        joint, parent, toe = f"foot.{side}", f"shin.{side}", f"toe.{side}"
        target, there = self.at(joint), self.at(toe)
        if target is None:
            self._follow(joint, parent)
        elif there is None:
            self._place(joint, self.turn, target)
        else:
            ours, theirs = self.heads[toe] - self.heads[joint], there - target
            up = self.turn[:, 2]
            level = [self.turn @ ours, theirs]
            pitch = [np.arctan2(v @ up, np.linalg.norm(v - up * (v @ up))) for v in level]
            if abs(pitch[0] - pitch[1]) < HEEL_ANGLE:
                theirs = theirs + up * (np.linalg.norm(theirs) * np.sin(pitch[0]) - theirs @ up)
            turn, stretch = self._aim(self.turn, ours, theirs)
            self._place(joint, turn, target, unit(ours), stretch)
        self._place(toe, self.linear[joint], self._carried(toe, joint))
