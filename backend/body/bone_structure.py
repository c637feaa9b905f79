# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a body in a rig whose names say nothing: by symmetry, hierarchy, lengths and order.

The rig may stand in any axes and at any size, as long as its rest pose is mirror-symmetric. Pairs of limbs
leave the bones in the middle: the pair that reaches farthest to the sides are the arms, the longest one that
leaves no later, seen from the root, the legs; hair, skirts and capes hang nearer to the middle than hands.
The bones in the middle between them are the spine, those beyond the arms neck and head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bone_names import side_of
from .rig import Rig

TOLERANCE = 0.02  # of the rig's size: how far from the mirror plane a bone may lie and still be in the middle


@dataclass
class _Limb:
    chain: list[int]  # bones from the one that leaves the middle to the tip, along the longest way
    trunk: int  # the bone in the middle that it hangs on
    length: float


def match_structure(rig: Rig) -> dict[str, str]:
    """Joint -> bone name for whatever can be told apart; empty when no symmetric body is found."""
    if len(rig.names) < 5:
        return {}
    children = rig.children()
    size = float(np.ptp(rig.heads, axis=0).max())
    if not size > 0:
        return {}
    axis = _mirror_axis(rig, size)
    if axis is None:
        return {}
    across = rig.heads[:, axis] - np.median(rig.heads[:, axis])
    middle = _in_the_middle(rig, children, across, TOLERANCE * size)
    pairs = _limb_pairs(rig, children, middle, across, size)
    if not pairs:
        return {}
    legs, arms = _legs_and_arms(rig, children, pairs, across)
    found = _trunk(rig, children, middle, legs, arms)
    for pair, kind in ((legs, _leg), (arms, _arm)):
        if pair is not None:
            for limb, side in zip(pair, _sides(rig, pair, axis, legs, arms), strict=True):
                found.update({f"{joint}.{side}": bone for joint, bone in kind(rig, children, limb).items()})
    return {joint: rig.names[bone] for joint, bone in found.items()}


def _mirror_axis(rig: Rig, size: float) -> int | None:
    """The axis across which most heads have a mirrored partner off the plane."""
    best, best_count = None, 3
    for axis in range(3):
        mirrored = rig.heads.copy()
        centre = np.median(rig.heads[:, axis])
        mirrored[:, axis] = 2 * centre - mirrored[:, axis]
        off = np.abs(rig.heads[:, axis] - centre) > TOLERANCE * size
        near = np.linalg.norm(mirrored[:, None] - rig.heads[None], axis=2).min(1) < TOLERANCE * size
        if near.mean() > 0.7 and (off & near).sum() > best_count:
            best, best_count = axis, int((off & near).sum())
    return best


def _in_the_middle(rig: Rig, children, across: np.ndarray, tolerance: float) -> np.ndarray:
    """Which bones begin in the mirror plane and, unless they are tips, lead on in it.

    Where a bone leads is told by its children: importers set tails at will.
    """
    middle = np.abs(across) < tolerance
    for bone, under in enumerate(children):
        if under and abs(np.mean(across[under])) >= tolerance:
            middle[bone] = False
    return middle


def _below(children, bone: int) -> list[int]:
    """The bone and everything under it."""
    found, todo = [], [bone]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children[one])
    return found


def _longest(rig: Rig, children, bone: int) -> tuple[float, list[int]]:
    """Length and bones of the longest way down from `bone`, that bone's head included."""
    best = (0.0, [])
    for child in children[bone]:
        length, chain = _longest(rig, children, child)
        length += float(np.linalg.norm(rig.heads[child] - rig.heads[bone]))
        best = max(best, (length, chain), key=lambda way: way[0])
    if not best[1]:
        return float(np.linalg.norm(rig.tails[bone] - rig.heads[bone])), [bone]
    return best[0], [bone, *best[1]]


def _limb_pairs(rig: Rig, children, middle, across, size: float) -> list[tuple[_Limb, _Limb]]:
    """Pairs (positive side first) of chains that leave the middle to both sides, the longest pair first."""
    limbs: list[_Limb] = []
    for bone in range(len(rig.names)):
        parent = rig.parents[bone]
        if middle[bone] or parent < 0 or not middle[parent]:
            continue
        length, chain = _longest(rig, children, bone)
        if length > 0.15 * size and len(chain) >= 3:
            limbs.append(_Limb(chain, int(parent), length))
    pairs = []
    for limb in limbs:
        place = across[limb.chain[-1]]
        if place <= 0:
            continue
        twins = [
            other
            for other in limbs
            if across[other.chain[-1]] < 0 and abs(other.length - limb.length) < 0.05 * limb.length
        ]
        if twins:
            pairs.append((limb, min(twins, key=lambda other: abs(across[other.chain[-1]] + place))))
    return sorted(pairs, key=lambda pair: -pair[0].length)


def _legs_and_arms(rig: Rig, children, pairs, across: np.ndarray):
    """Which pair is which; None for one that the rig does not have.

    Where both leave one bone, the arms are the ones with more to them.
    """
    depth = [rig.depth(pair[0].trunk) for pair in pairs]
    size = [len(_below(children, pair[0].chain[0])) for pair in pairs]
    if len(pairs) == 1:
        return (None, pairs[0]) if size[0] > 8 or depth[0] > 1 else (pairs[0], None)
    reach = [float(np.abs(across[pair[0].chain]).max()) for pair in pairs]
    arms = int(np.argmax(reach))
    others = [i for i in range(len(pairs)) if i != arms and depth[i] <= depth[arms]]
    if not others:  # what reaches farthest are legs astride, or what hangs on the head
        arms = max((i for i in range(len(pairs)) if i != arms), key=lambda i: pairs[i][0].length)
        others = [i for i in range(len(pairs)) if i != arms]
    legs = max(others, key=lambda i: pairs[i][0].length)
    if depth[legs] > depth[arms] or (
        pairs[legs][0].trunk == pairs[arms][0].trunk and size[legs] > size[arms]
    ):
        legs, arms = arms, legs
    return pairs[legs], pairs[arms]


def _trunk(rig: Rig, children, middle, legs, arms) -> dict[str, int]:
    found: dict[str, int] = {}
    top = arms[0].trunk if arms else None
    bottom = legs[0].trunk if legs else None
    if top is not None:
        path = [*rig.ancestors(top)[::-1], top]
        path = path[path.index(bottom) :] if bottom in path else [b for b in path if middle[b]][-4:]
        found["pelvis"] = path[0]
        found.update(zip(("spine1", "spine2", "spine3"), spread(path[1:], 3), strict=False))
    elif bottom is not None:
        found["pelvis"] = bottom
    start = top if top is not None else bottom
    up = [child for child in children[start] if middle[child]]
    if legs and not arms:
        up = [child for child in up if len(_longest(rig, children, child)[1]) >= 2]
    if up:
        chain = max((_longest_middle(rig, children, child, middle) for child in up), key=len)
        if not arms and len(chain) > 2:
            found.update(zip(("spine1", "spine2", "spine3"), spread(chain[:-2], 3), strict=False))
            chain = chain[-2:]
        if len(chain) >= 2:
            found["neck1"], found["head"] = chain[0], chain[1] if len(chain) < 4 else chain[2]
            if len(chain) >= 4:
                found["neck2"] = chain[1]
        elif chain:
            found["head"] = chain[0]
    return found


def _longest_middle(rig: Rig, children, bone: int, middle) -> list[int]:
    ways = [_longest_middle(rig, children, child, middle) for child in children[bone] if middle[child]]
    return [bone, *max(ways, key=len, default=[])]


def spread(chain: list[int], count: int) -> list[int]:
    """`count` bones spread evenly over a chain; the whole chain when it is shorter."""
    if len(chain) <= count:
        return chain
    return [chain[round(i * (len(chain) - 1) / (count - 1))] for i in range(count)]


def _two_longest(rig: Rig, chain: list[int]) -> int:
    """Where in the chain the two longest bones in a row begin (upper arm and forearm, thigh and shin)."""
    ends = np.array([*(rig.heads[bone] for bone in chain[1:]), rig.tails[chain[-1]]])
    lengths = np.linalg.norm(ends - rig.heads[chain], axis=1)
    return int(np.argmax(np.minimum(lengths[:-1], lengths[1:]))) if len(chain) > 1 else 0


def _leg(rig: Rig, _children, limb: _Limb) -> dict[str, int]:
    start = _two_longest(rig, limb.chain)
    return dict(zip(("thigh", "shin", "foot", "toe"), limb.chain[start:], strict=False))


def _arm(rig: Rig, children, limb: _Limb) -> dict[str, int]:
    """Where fingers branch off is the hand; the elbow is the joint nearest half way to the shoulder."""
    chain = limb.chain
    fingers = [len(_finger_chains(rig, children, bone)) for bone in chain]
    hand = max((i for i, count in enumerate(fingers) if i >= 2 and count >= 3), default=None)
    if hand is None:
        start = _two_longest(rig, chain)
        found = dict(zip(("upper_arm", "forearm", "hand"), chain[start : start + 3], strict=False))
    else:
        start = 1 if hand >= 3 else 0
        heads = rig.heads[chain]
        uneven = [
            abs(np.linalg.norm(heads[i] - heads[start]) - np.linalg.norm(heads[hand] - heads[i]))
            for i in range(start + 1, hand)
        ]
        elbow = start + 1 + int(np.argmin(uneven))
        found = {"upper_arm": chain[start], "forearm": chain[elbow], "hand": chain[hand]}
        found.update(_fingers(rig, children, chain[hand]))
    if start > 0:
        found["clavicle"] = chain[start - 1]
    return found


def _fingers(rig: Rig, children, hand: int) -> dict[str, int]:
    """Fingers by their order across the palm; the thumb is the one that begins nearest the wrist."""
    chains = _finger_chains(rig, children, hand)
    if not 2 <= len(chains) <= 5:
        return {}
    bases = np.array([rig.heads[chain[0]] for chain in chains])
    away = np.linalg.norm(bases - rig.heads[hand], axis=1)
    thumb = int(np.argmin(away))
    rest = sorted(
        (i for i in range(len(chains)) if i != thumb), key=lambda i: np.linalg.norm(bases[i] - bases[thumb])
    )
    found = {}
    for finger, i in zip(("thumb", "index", "middle", "ring", "pinky"), [thumb, *rest], strict=False):
        found.update({f"{finger}{n + 1}": bone for n, bone in enumerate(chains[i])})
    return found


def _finger_chains(rig: Rig, children, hand: int) -> list[list[int]]:
    """Unbranched chains of two or three bones at the ends below a hand."""
    chains = []
    for bone in _below(children, hand)[1:]:
        if children[bone]:
            continue
        chain = [bone]
        while (parent := int(rig.parents[chain[0]])) != hand and len(children[parent]) == 1:
            chain.insert(0, parent)
        chain = _phalanges(rig, hand, chain)
        if len(chain) >= 2:
            chains.append(chain)
    return chains


def _phalanges(rig: Rig, hand: int, chain: list[int]) -> list[int]:
    """Three bones of a finger: without a metacarpal that begins at the wrist, without a marker at the tip."""
    if len(chain) <= 3:
        return chain
    first = np.linalg.norm(rig.heads[chain[1]] - rig.heads[chain[0]])
    from_wrist = np.linalg.norm(rig.heads[chain[0]] - rig.heads[hand])
    return chain[1:4] if from_wrist < 0.7 * first else chain[:3]


def _sides(rig: Rig, pair, axis: int, legs, arms) -> tuple[str, str]:
    """Left and right of a pair, by what the bones are called or, failing that, by where the toes point."""
    named = [[side_of(rig.names[bone]) for bone in limb.chain] for limb in pair]
    votes = named[0].count("L") + named[1].count("R") - named[0].count("R") - named[1].count("L")
    if votes:
        return ("L", "R") if votes > 0 else ("R", "L")
    positive_is_left = True  # a person who faces -Y in Blender has the left side at +X
    if legs is not None:
        chain = legs[0].chain
        ankle = chain[min(_two_longest(rig, chain) + 2, len(chain) - 1)]
        toes = rig.heads[chain[-1]] if chain[-1] != ankle else rig.tails[ankle]
        forward = toes - rig.heads[ankle]
        top = rig.heads[arms[0].trunk] if arms is not None else rig.heads[legs[0].trunk]
        up = top - 0.5 * (rig.heads[legs[0].chain[-1]] + rig.heads[legs[1].chain[-1]])
        left = np.cross(up, forward)
        positive_is_left = bool(left[axis] >= 0)
    return ("L", "R") if positive_is_left else ("R", "L")
