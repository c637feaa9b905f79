# SPDX-License-Identifier: GPL-3.0-or-later
"""Anatomical angles to joint rotations: flex, abduct, turn, reach, in degrees and in the body's own
directions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np

from ...body.pose import axis_angles, rotation_matrices
from ...body.skeleton import FINGERS, INDEX, JOINT_NAMES, joint_parents, mirror_joints

FORWARD, LEFT, UP = np.array([0.0, -1, 0]), np.array([1.0, 0, 0]), np.array([0.0, 0, 1])
_PARENTS, _MIRROR = joint_parents(), mirror_joints()
_FLIP = np.diag([-1.0, 1, 1])


def about(axis, degrees: float) -> np.ndarray:
    """Rotation matrix [3, 3] about an axis by degrees (right hand)."""
    return _rodrigues(float(axis[0]), float(axis[1]), float(axis[2]), np.radians(float(degrees)))


@numba.njit(cache=True, nogil=True)
def _rodrigues(x, y, z, angle):
    length = np.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    s, c = np.sin(angle), np.cos(angle)
    d = 1 - c
    out = np.empty((3, 3))
    out[0, 0], out[0, 1], out[0, 2] = c + d * x * x, d * x * y - s * z, d * x * z + s * y
    out[1, 0], out[1, 1], out[1, 2] = d * x * y + s * z, c + d * y * y, d * y * z - s * x
    out[2, 0], out[2, 1], out[2, 2] = d * x * z - s * y, d * y * z + s * x, c + d * z * z
    return out


@numba.njit(cache=True, nogil=True)
def _places(local, heads, parents):
    turn, place = np.empty_like(local), heads.copy()
    for j in range(len(parents)):
        parent = parents[j]
        if parent < 0:
            turn[j] = local[j]
            continue
        turn[j] = turn[parent] @ local[j]
        place[j] = place[parent] + turn[parent] @ (heads[j] - heads[parent])
    return place


def _unit(vector):
    return vector / np.sqrt(vector @ vector)


def _cross(a, b):
    """np.cross of two 3-vectors, without its overhead."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _frame(direction, hinge):
    """Orthonormal columns: a bone's direction, its hinge made perpendicular, and their product."""
    d = _unit(direction)
    h = _unit(hinge - d * (hinge @ d))
    return np.stack([d, h, _cross(d, h)], 1)


class _Anatomy(NamedTuple):
    """Directions of the left side in the canonical pose; the right side is its mirror image."""

    heads: np.ndarray
    upper_arm: np.ndarray  # shoulder -> elbow, unit
    forearm: np.ndarray
    elbow_hinge: np.ndarray
    hand: np.ndarray
    thumb_side: np.ndarray
    palm: np.ndarray  # out of the palm


@lru_cache(maxsize=1)
def _anatomy() -> _Anatomy:
    from ...body.template import load_template

    heads = np.asarray(load_template().joint_heads, np.float64)
    at = {name: heads[i] for name, i in INDEX.items()}
    upper_arm = _unit(at["forearm.L"] - at["upper_arm.L"])
    hand = _unit(at["middle1.L"] - at["hand.L"])
    side = at["index1.L"] - at["pinky1.L"]
    side = _unit(side - hand * (side @ hand))
    return _Anatomy(
        heads, upper_arm, _unit(at["hand.L"] - at["forearm.L"]), _unit(_cross(upper_arm, FORWARD)),
        hand, side, _cross(hand, side),
    )  # fmt: skip


class Pose(NamedTuple):
    """rotations [J, 3] axis-angle, joint-local; root [3] metres added to the pelvis so that the figure
    stands on z = 0.
    """

    rotations: np.ndarray
    root: np.ndarray


class Figure:
    """A pose under construction, starting at the canonical A-pose. Angles are degrees; `side` is "L" or "R".

    Directions and places given for an arm or leg are those of the left side: +x points away from the body.
    They are mirrored for the right.
    """

    def __init__(self):
        self.local = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
        self.anatomy = _anatomy()

    @classmethod
    def of(cls, pose: Pose) -> Figure:
        """The figure that took up a pose."""
        figure = cls()
        figure.local = np.asarray(rotation_matrices(pose.rotations), np.float64)
        return figure

    def _turn(self, name: str, side: str, rotation: np.ndarray):
        j = INDEX[f"{name}.{side}"]
        self.local[j] = self.local[j] @ (rotation if side == "L" else _FLIP @ rotation @ _FLIP)

    def pelvis(self, tilt=0.0, side=0.0, turn=0.0):
        """Forward tilt, drop towards the left, turn to the left."""
        self.local[0] = about(UP, turn) @ about(LEFT, tilt) @ about(-FORWARD, side) @ self.local[0]

    def spine(self, bend=0.0, side=0.0, turn=0.0):
        """Bends forward, sideways to the left and turns to the left, spread over the three spine joints."""
        for name, share in (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)):
            self._axial(name, bend * share, side * share, turn * share)

    def head(self, nod=0.0, side=0.0, turn=0.0):
        """Chin down, ear to the left shoulder, face to the left, spread over the neck and the head."""
        for name, share in (("neck1", 0.25), ("neck2", 0.25), ("head", 0.5)):
            self._axial(name, nod * share, side * share, turn * share)

    def _axial(self, name, bend, side, turn):
        rotation = about(UP, turn) @ about(LEFT, bend) @ about(-FORWARD, side)
        self.local[INDEX[name]] = self.local[INDEX[name]] @ rotation

    def leg(self, side, flex=0.0, abduct=0.0, rotate=0.0, knee=0.0, ankle=0.0, toes=0.0):
        """Hip flexion (thigh forward), abduction, outward rotation; knee flexion; ankle up; toes up."""
        self._turn("thigh", side, about(LEFT, -flex) @ about(-FORWARD, -abduct) @ about(UP, rotate))
        self._turn("shin", side, about(LEFT, knee))
        self._turn("foot", side, about(LEFT, -ankle))
        self._turn("toe", side, about(LEFT, -toes))

    def arm(self, side, direction, elbow=0.0, roll=0.0, shrug=0.0):
        """Points the upper arm along `direction` (chest frame), turns it by `roll` (inwards) and bends the
        elbow.
        """
        a = self.anatomy
        target = _unit(np.asarray(direction, np.float64))
        axis = _cross(a.upper_arm, target)
        angle = np.degrees(np.arctan2(np.linalg.norm(axis), a.upper_arm @ target))
        swing = about(axis, angle) if np.linalg.norm(axis) > 1e-9 else np.eye(3)
        clavicle = self._clavicle(target, shrug)
        self._turn("clavicle", side, clavicle)
        self._turn("upper_arm", side, clavicle.T @ about(target, roll) @ swing)
        self._turn("forearm", side, about(a.elbow_hinge, elbow))

    @staticmethod
    def _clavicle(direction, shrug):
        """The shoulder girdle rises with the arm above 45 degrees below the horizontal, and follows it
        forward.
        """
        rise = max(0.0, np.degrees(np.arcsin(np.clip(direction[2], -1, 1))) + 45)
        forward = max(0.0, float(direction @ FORWARD))
        return about(-UP, 9 * forward) @ about(FORWARD, 0.12 * rise + shrug)

    def reach(self, side, target, pole=(0.4, 0.6, -1.0), shrug=0.0):
        """Brings the wrist to `target` (canonical metres, carried by the chest) with the elbow towards
        `pole`.
        """
        a = self.anatomy
        shoulder, elbow, wrist = (a.heads[INDEX[f"{n}.L"]] for n in ("upper_arm", "forearm", "hand"))
        base = a.heads[INDEX["clavicle.L"]]
        target = np.asarray(target, np.float64)
        clavicle = self._clavicle(_unit(target - shoulder) * 0.6, shrug)
        start = base + clavicle @ (shoulder - base)
        upper, lower = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
        distance = np.clip(np.linalg.norm(target - start), abs(upper - lower) + 0.03, upper + lower - 0.003)
        line = _unit(target - start)
        along = (distance**2 + upper**2 - lower**2) / (2 * distance)
        out = np.asarray(pole, np.float64)
        out = _unit(out - line * (out @ line))
        bent = start + line * along + out * np.sqrt(max(upper**2 - along**2, 0.0))
        end = start + line * distance
        hinge = _cross(bent - start, end - bent)
        turned = _frame(bent - start, hinge) @ _frame(a.upper_arm, a.elbow_hinge).T
        forearm = _frame(end - bent, hinge) @ _frame(a.forearm, a.elbow_hinge).T
        self._turn("clavicle", side, clavicle)
        self._turn("upper_arm", side, clavicle.T @ turned)
        self._turn("forearm", side, turned.T @ forearm)

    def hand(self, side, flex=0.0, ulnar=0.0, pronate=0.0):
        """Wrist flexion towards the palm, ulnar deviation, pronation (shared with the forearm twist
        joint).
        """
        a = self.anatomy
        self._turn("forearm_twist", side, about(a.forearm, pronate / 2))
        bend = about(_cross(a.hand, a.palm), flex) @ about(_cross(a.hand, -a.thumb_side), ulnar)
        self._turn("hand", side, about(a.forearm, pronate / 2) @ bend)

    def palm_towards(self, side, direction, limit=75.0):
        """Pronates so that the palm looks along `direction` (world, left-side view) as far as the forearm
        allows.
        """
        a = self.anatomy
        want = np.asarray(direction, np.float64) * (1 if side == "L" else (-1, 1, 1))
        turned = self.world(f"forearm.{side}").T @ want
        turned = turned if side == "L" else _FLIP @ turned
        axis = a.forearm
        x = turned - axis * (turned @ axis)
        p = a.palm - axis * (a.palm @ axis)
        angle = np.degrees(np.arctan2(axis @ _cross(p, x), p @ x))
        self.hand(side, pronate=float(np.clip(angle, -limit, limit)))

    def fingers(self, side, curls, spread=0.0, thumb=None):
        """curls: one share 0..1 (0 straight, 1 fist) or four from index to pinky; thumb 0 beside, 1 folded
        in.
        """
        a = self.anatomy
        curls = np.broadcast_to(np.asarray(curls, np.float64), (4,))
        thumb = float(curls.mean()) if thumb is None else thumb
        for finger, curl, fan in zip(FINGERS[1:], curls, (1.0, 0.1, -0.8, -1.6), strict=True):
            aside = about(a.palm, spread * fan * (1 - curl))
            for i, most, rest in ((1, 78.0, 12.0), (2, 92.0, 14.0), (3, 58.0, 10.0)):
                # The canonical hand is relaxed, not flat: a straight finger undoes most of its rest angle.
                degrees = most * curl - rest * 0.7 * max(0.0, 1 - 4 * curl)
                bend = about(_cross(self._phalanx(finger, i), a.palm), degrees)
                self._turn(f"{finger}{i}", side, aside @ bend if i == 1 else bend)
        inward = _unit(a.palm - 0.6 * a.thumb_side)
        for i, most in ((1, 22.0), (2, 38.0), (3, 55.0)):
            bend = about(_cross(self._phalanx("thumb", i), inward), most * thumb)
            self._turn(f"thumb{i}", side, about(a.hand, 30 * thumb) @ bend if i == 1 else bend)

    def _phalanx(self, finger, i):
        heads = self.anatomy.heads
        first, last = (i, i + 1) if i < 3 else (2, 3)
        return _unit(heads[INDEX[f"{finger}{last}.L"]] - heads[INDEX[f"{finger}{first}.L"]])

    def world(self, name: str) -> np.ndarray:
        """Rotation [3, 3] of a joint, all its parents' turns included."""
        j, out = INDEX[name], np.eye(3)
        while j >= 0:
            out = self.local[j] @ out
            j = _PARENTS[j]
        return out

    def joints(self) -> np.ndarray:
        """Places [J, 3] of the joints, pelvis where the canonical pose has it."""
        return _places(np.ascontiguousarray(self.local), self.anatomy.heads, _PARENTS)

    def mirror(self):
        """Swaps left and right."""
        self.local = (_FLIP @ self.local @ _FLIP)[_MIRROR]

    def finish(self) -> Pose:
        """The pose, standing on the ground."""
        rotations = np.asarray(axis_angles(self.local.astype(np.float32)))
        return Pose(rotations, np.array([0, 0, -self._lowest()], np.float32))

    def _lowest(self):
        place = self.joints()
        low = min(place[INDEX[f"shin.{s}"]][2] - 0.06 for s in "LR")
        for s in "LR":
            foot, toe = self.world(f"foot.{s}"), self.world(f"toe.{s}")
            heel = place[INDEX[f"foot.{s}"]] + foot @ [0, 0.045, -0.08]
            ball = place[INDEX[f"toe.{s}"]] + foot @ [0, 0, -0.024]
            tip = place[INDEX[f"toe.{s}"]] + toe @ [0, -0.08, -0.024]
            low = min(low, heel[2], ball[2], tip[2])
        return low

    def crosses_itself(self) -> bool:
        """Whether hands or forearms are well inside the trunk, the head, a thigh or the other arm."""
        place = self.joints()
        at = {name: place[i] for name, i in INDEX.items()}
        solids = [
            (at["pelvis"], at["spine2"], 0.115), (at["spine2"], at["spine3"], 0.12),
            (at["spine3"], at["neck1"], 0.085), (at["head"] + [0, 0, 0.03], at["head"] + [0, 0, 0.09], 0.085),
            *((at[f"thigh.{s}"], at[f"shin.{s}"], 0.06) for s in "LR"),
        ]  # fmt: skip
        hands = []
        for s in "LR":
            elbow, wrist = at[f"forearm.{s}"], at[f"hand.{s}"]
            hands.append([0.5 * (elbow + wrist), wrist, at[f"middle1.{s}"], at[f"middle3.{s}"]])
        forearms = [[(at[f"forearm.{s}"], at[f"hand.{s}"], 0.03)] for s in "RL"]
        shins = [[(at[f"shin.{s}"], at[f"foot.{s}"], 0.075)] for s in "LR"]
        middles = [[0.5 * (start + end)] for ((start, end, _),) in shins]
        elbows = [at["forearm.L"], at["forearm.R"]]
        return (
            _any_inside(hands[0] + hands[1], solids)
            or _any_inside(elbows, solids[1:2])
            or any(_any_inside(*pair) for pair in zip(hands, forearms, strict=True))
            or any(_any_inside(*pair) for pair in zip(middles, shins[::-1], strict=True))
        )


def _any_inside(points, capsules) -> bool:
    """Whether any of the points [p, 3] lies in any capsule (start, end, radius)."""
    points = np.asarray(points)[:, None]
    start, end = np.array([c[0] for c in capsules]), np.array([c[1] for c in capsules])
    axis = end - start
    t = np.clip(((points - start) * axis).sum(-1) / (axis * axis).sum(-1), 0, 1)
    away = points - start - t[..., None] * axis
    return bool(((away * away).sum(-1) < np.array([c[2] for c in capsules]) ** 2).any())
